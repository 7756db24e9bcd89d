"""Dropout. Source: src/caffe/layers/dropout_layer.cpp."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from caffe_compat.errors import expected_got
from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.shapes import Shape


@register("Dropout")
class Dropout(Layer):
    """In training mode each element is zeroed with probability dropout_ratio, the rest scaled by 1 / (1 - ratio)."""

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        self.ratio = self.param.dropout_param.dropout_ratio
        if not 0 <= self.ratio < 1:
            raise self.error(expected_got("in [0, 1)", f"{self.ratio:g}"), field="dropout_param.dropout_ratio")

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        return (F.dropout(bottoms[0], self.ratio, self.training),)
