"""Piecewise linear neurons: AbsVal, Clip, Threshold.

Source: src/caffe/layers/absval_layer.cpp, clip_layer.cpp, threshold_layer.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.shapes import Shape


@register("AbsVal")
class AbsVal(Layer):
    """|x|; the gradient at 0 is 0."""

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        if self.param.bottom[0] == self.param.top[0]:
            raise self.error("AbsVal Layer does not allow in-place computation.", field="top")

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        return (bottoms[0].abs(),)


@register("Clip")
class Clip(Layer):
    """max(min, min(x, max)); the gradient passes from min to max, both included."""

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        options = self.param.clip_param
        # in two steps: torch's clamp(min, max) gives max where min > max, Caffe gives min
        return (bottoms[0].clamp(max=options.max).clamp(min=options.min),)


@register("Threshold")
class Threshold(Layer):
    """1 above the threshold, else 0. There is no gradient: asking for one is an error."""

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        return (_Step.apply(bottoms[0], self),)


class _Step(torch.autograd.Function):
    """x > threshold, tied to x so that a gradient that comes back is noticed."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: Threshold) -> Tensor:
        ctx.layer = layer
        return (x > layer.param.threshold_param.threshold).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        raise ctx.layer.error("Threshold Layer cannot backpropagate: it has no gradient.")
