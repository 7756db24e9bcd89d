"""Softmax. Source: src/caffe/layers/softmax_layer.cpp."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.shapes import Shape, canonical_axis


@register("Softmax")
class Softmax(Layer):
    """exp(x) / sum exp(x) along ``axis``."""

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        self.axis = canonical_axis(self, self.param.softmax_param.axis, bottom_shapes[0], "softmax_param.axis")

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        return (F.softmax(bottoms[0], self.axis),)
