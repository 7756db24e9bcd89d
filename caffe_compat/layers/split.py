"""Split and Silence: one blob to many, and to none. Source: src/caffe/layers/split_layer.cpp, silence_layer.cpp."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.shapes import Shape


@register("Split")
class Split(Layer):
    """Every top is the bottom; the gradients add up."""

    tops = (1, None)

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        return (bottoms[0],) * len(self.param.top)


@register("Silence")
class Silence(Layer):
    """Swallows its bottoms, so that they are not outputs of the net. Their gradient is zero."""

    bottoms = (1, None)
    tops = (0, 0)

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        return []

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        return ()
