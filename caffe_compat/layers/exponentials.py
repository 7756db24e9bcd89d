"""Exp and Log of a scaled and shifted bottom, to any base.

Source: src/caffe/layers/exp_layer.cpp, log_layer.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from caffe_compat.errors import expected_got
from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.shapes import Shape

_E = -1  # this base stands for e


@register("Exp")
class Exp(Layer):
    """base^(scale * x + shift), as base^shift * exp(log(base) * scale * x)."""

    overwrites_bottom = True

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        options = self.param.exp_param
        log_base = _log_of_base(self, options.base, "exp_param.base")
        self.inner_scale = log_base * options.scale
        self.outer_scale = torch.tensor(log_base * options.shift, dtype=torch.float64).exp().item()  # may be infinite

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        return (self._scaled(torch.exp(bottoms[0] if self.inner_scale == 1 else bottoms[0] * self.inner_scale)),)

    def forward_in_place(self, bottom: Tensor) -> Tensor:
        return self._scaled((bottom if self.inner_scale == 1 else bottom.mul_(self.inner_scale)).exp_())

    def _scaled(self, exponential: Tensor) -> Tensor:
        return exponential if self.outer_scale == 1 else exponential * self.outer_scale


@register("Log")
class Log(Layer):
    """log(scale * x + shift) / log(base)"""

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        log_base = _log_of_base(self, self.param.log_param.base, "log_param.base")
        if log_base == 0:
            raise self.error(expected_got("a base other than 1, whose logarithm is 0", 1), field="log_param.base")
        self.outer_scale = 1 / log_base

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        options = self.param.log_param
        inner = bottoms[0] if options.scale == 1 else bottoms[0] * options.scale
        logarithm = torch.log(inner + options.shift if options.shift else inner)
        return (logarithm if self.outer_scale == 1 else logarithm * self.outer_scale,)


def _log_of_base(layer: Layer, base: float, field: str) -> float:
    """1 exactly for base -1, which stands for e. Raises: PrototxtError unless the base is positive and finite."""
    if base == _E:
        return 1.0
    if not 0 < base < math.inf:
        raise layer.error(expected_got(f"> 0 and finite, or {_E} for e", f"{base:g}"), field=field)
    return math.log(base)
