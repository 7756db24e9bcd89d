"""EuclideanLoss. Source: src/caffe/layers/euclidean_loss_layer.cpp."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from caffe_compat.glog import shape_text
from caffe_compat.layers.base import register
from caffe_compat.layers.loss import LossLayer
from caffe_compat.layers.shapes import Shape, count


@register("EuclideanLoss")
class EuclideanLoss(LossLayer):
    """sum (a - b)^2 / (2 N), N the first dimension; both bottoms take a gradient."""

    label_bottoms = ()

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        tops = super().top_shapes(bottom_shapes)
        one, other = bottom_shapes
        if count(one[1:]) != count(other[1:]):
            problem = f"Inputs must have the same dimension. Got {shape_text(one)} and {shape_text(other)}"
            raise self.error(problem, field="bottom")
        return tops

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        one, other = bottoms
        difference = one - other.reshape(one.shape)
        return (difference.square().sum() / (2 * one.shape[0]),)
