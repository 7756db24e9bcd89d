"""Gradients that no layer can give: indices, maxima's positions.

Caffe ends the process when a backward pass asks for one; here it raises.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from caffe_compat.layers.base import Layer


def refuse_gradient(layer: Layer, top: Tensor, bottom: Tensor, problem: str) -> Tensor:
    """``top``, which depends on ``bottom`` in a way without gradient: a backward pass that needs it raises.

    Raises: PrototxtError with ``problem``, from the backward pass.
    """
    if not (bottom.requires_grad and torch.is_grad_enabled()):
        return top
    return _Refusal.apply(top, bottom, layer.error(problem, field="propagate_down"))


class _Refusal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, top: Tensor, bottom: Tensor, error: Exception) -> Tensor:
        ctx.error = error
        return top.view_as(top)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        raise ctx.error
