"""Smooth activations: Sigmoid, TanH, ELU, Swish, BNLL.

Source: src/caffe/layers/sigmoid_layer.cpp, tanh_layer.cpp, elu_layer.cpp, swish_layer.cpp, bnll_layer.cpp.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from caffe_compat.layers.base import Layer, register

_BNLL_THRESHOLD = 50.0  # kBNLL_THRESHOLD of bnll_layer.cpp: exp goes no further


@register("Sigmoid")
class Sigmoid(Layer):
    """1 / (1 + exp(-x))"""

    overwrites_bottom = True

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        return (torch.sigmoid(bottoms[0]),)

    def forward_in_place(self, bottom: Tensor) -> Tensor:
        return bottom.sigmoid_()


@register("TanH")
class TanH(Layer):
    """(exp(x) - exp(-x)) / (exp(x) + exp(-x))"""

    overwrites_bottom = True

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        return (torch.tanh(bottoms[0]),)

    def forward_in_place(self, bottom: Tensor) -> Tensor:
        return bottom.tanh_()


@register("ELU")
class ELU(Layer):
    """x above 0, alpha * (exp(x) - 1) elsewhere; the gradient at 0 is alpha."""

    overwrites_bottom = True

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        return (F.elu(bottoms[0], self.param.elu_param.alpha),)

    def forward_in_place(self, bottom: Tensor) -> Tensor:
        alpha = self.param.elu_param.alpha
        if alpha < 0:  # torch cannot tell the sign of x from the result then
            return self.forward(bottom)[0]
        return F.elu(bottom, alpha, inplace=True)


@register("Swish")
class Swish(Layer):
    """x * sigmoid(beta * x)"""

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        return (bottoms[0] * torch.sigmoid(self.param.swish_param.beta * bottoms[0]),)


@register("BNLL")
class BNLL(Layer):
    """log(1 + exp(x)), the binomial normal log likelihood; x itself where exp(x) would be too large."""

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        return (F.softplus(bottoms[0], threshold=_BNLL_THRESHOLD),)
