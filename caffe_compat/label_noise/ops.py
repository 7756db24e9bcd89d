"""The kernels as PyTorch operators: what ``torch.compile`` sees, and the way to the extension.

``torch.ops.caffe_compat.label_noise_forward`` and ``..._backward`` are the extension's two functions, with shapes for
tracing and the gradient. Eager code goes through the extension's own autograd function over the same two
(:mod:`caffe_compat.label_noise.functional`): the operators' dispatch costs more than the loss of a small batch.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

_C: ModuleType | None
try:
    _C = importlib.import_module("caffe_compat._C")
except ImportError as exc:
    _C, _why_missing = None, str(exc)

# loss, grad_y, grad_z, p, t, q, r, posterior
Forward = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


def extension() -> ModuleType:
    """The compiled kernels. Raises ImportError, saying how to build them, if they are not there."""
    if _C is None:
        raise ImportError(
            "the label noise kernels are not built; run `pip install --no-build-isolation -e .` in the source folder "
            f"({_why_missing})"
        )
    return _C


@torch.library.custom_op("caffe_compat::label_noise_forward", mutates_args=())
def label_noise_forward(
    scores_y: Tensor,
    scores_z: Tensor,
    noisy: Tensor,
    C: Tensor,
    want_q: bool,
    want_grad: bool,
    want_posterior: bool,
    update_noise_lr: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """loss (B), grad_y (B, L), grad_z (B, 3), p (B, L), t (B, 3), q (B, L), r (B, 3), posterior (B, L, 3).

    The two gradients are empty unless ``want_grad``, p to posterior unless ``want_posterior``; only the loss has a
    gradient. ``want_q``: the loss is -Q instead of -log S. ``update_noise_lr`` multiplies the gradient of scores_z.

    Shapes: scores_y (B, L), scores_z (B, 3), noisy (B) or (B, 1, 1, 1), C (L, L) indexed [noisy, true].
    """
    result = extension().label_noise_forward(
        scores_y, scores_z, noisy, C, want_q, want_grad, want_posterior, 1.0, update_noise_lr
    )
    nothing = (result[0].new_empty(0) for _ in result)  # an operator's outputs must be tensors of their own
    forward: Forward = tuple(next(nothing) if output is None else output for output in result)
    return forward


@label_noise_forward.register_fake
def _(
    scores_y: Tensor,
    scores_z: Tensor,
    noisy: Tensor,
    C: Tensor,
    want_q: bool,
    want_grad: bool,
    want_posterior: bool,
    update_noise_lr: float,
) -> Forward:
    batch_size, num_classes = scores_y.shape
    dtype = torch.float64 if scores_y.dtype == torch.float64 else torch.float32

    def empty(wanted: bool, *shape: int) -> Tensor:
        return torch.empty(shape if wanted else (0,), dtype=dtype, device=scores_y.device)

    return (
        empty(True, batch_size),
        empty(want_grad, batch_size, num_classes),
        empty(want_grad, batch_size, 3),
        empty(want_posterior, batch_size, num_classes),
        empty(want_posterior, batch_size, 3),
        empty(want_posterior, batch_size, num_classes),
        empty(want_posterior, batch_size, 3),
        empty(want_posterior, batch_size, num_classes, 3),
    )


@torch.library.custom_op("caffe_compat::label_noise_backward", mutates_args=())
def label_noise_backward(grad_loss: Tensor, grad_y: Tensor, grad_z: Tensor) -> tuple[Tensor, Tensor]:
    """Eq. 7: the gradients of scores_y (B, L) and scores_z (B, 3).

    Shapes: grad_loss (B), or one number for every row; the others as ``label_noise_forward`` returned them.
    """
    grads: tuple[Tensor, Tensor] = extension().label_noise_backward(grad_loss, grad_y, grad_z, False)
    return grads


@label_noise_backward.register_fake
def _(grad_loss: Tensor, grad_y: Tensor, grad_z: Tensor) -> tuple[Tensor, Tensor]:
    return torch.empty_like(grad_y), torch.empty_like(grad_z)


def _save_for_backward(ctx: Any, inputs: tuple[Any, ...], output: Forward) -> None:
    ctx.mark_non_differentiable(*output[1:])
    ctx.save_for_backward(output[1], output[2])
    ctx.dtype = inputs[0].dtype


def _backward(ctx: Any, grad_loss: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
    row_grad_y, row_grad_z = ctx.saved_tensors
    if row_grad_y.numel() == 0 and grad_loss.numel() > 0:
        raise RuntimeError("label_noise_forward: want_grad was False, so there is nothing to go back with")
    grad_y, grad_z = label_noise_backward(grad_loss, row_grad_y, row_grad_z)
    return grad_y.to(ctx.dtype), grad_z.to(ctx.dtype), None, None, None, None, None, None


label_noise_forward.register_autograd(_backward, setup_context=_save_for_backward)
