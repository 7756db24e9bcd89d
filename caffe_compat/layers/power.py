"""Power. Source: src/caffe/layers/power_layer.cpp."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.shapes import Shape


@register("Power")
class Power(Layer):
    """(shift + scale * x)^power

    With power or scale 0 the bottom counts for nothing: the top is a constant (1 for power 0) and the gradient 0.
    Powers other than 0, 1 and 2 have Caffe's gradient power * scale * top / (shift + scale * x): NaN where that is
    0 / 0.
    """

    overwrites_bottom = True

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        options = self.param.power_param
        self.power, self.scale, self.shift = options.power, options.scale, options.shift

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        if self.power == 0 or self.scale == 0:
            return (self._constant(bottoms[0]),)
        base = bottoms[0] if self.scale == 1 else bottoms[0] * self.scale
        base = base + self.shift if self.shift else base
        if self.power == 1:
            return (base,)
        return (base.square() if self.power == 2 else _QuotientPower.apply(base, self.power),)

    def forward_in_place(self, bottom: Tensor) -> Tensor:
        if self.power != 1 or self.scale == 0:
            return self.forward(bottom)[0]
        return (bottom if self.scale == 1 else bottom.mul_(self.scale)).add_(self.shift)

    def _constant(self, bottom: Tensor) -> Tensor:
        """shift^power everywhere; filled in, for the gradient to be 0 and not absent."""
        value = torch.tensor(self.shift, dtype=torch.float64).pow(self.power).item()
        everywhere = torch.ones((), dtype=torch.bool, device=bottom.device)
        return bottom.masked_fill(everywhere, value)


class _QuotientPower(torch.autograd.Function):
    """base^power, whose gradient Caffe computes as power * top / base."""

    @staticmethod
    def forward(ctx: Any, base: Tensor, power: float) -> Tensor:
        top = base.pow(power)
        ctx.save_for_backward(base, top)
        ctx.power = power
        return top

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        base, top = ctx.saved_tensors
        return grad * (top / base) * ctx.power, None
