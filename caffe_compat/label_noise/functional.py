"""The label noise loss and the posterior as functions of scores, over the kernels of csrc/.

Symbols are the paper's (docs/equations.md): p and t are the predictions for the true label y and the noise type z,
C is indexed [noisy, true].
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from caffe_compat.label_noise import ops

Value = Literal["nll", "q"]
Reduction = Literal["mean", "sum", "none"]
Normalization = Literal["batch", "labelled"]


class Posterior(NamedTuple):
    """What the model says of a batch; no gradient.

    Attributes:
        posterior: (B, L, 3), p(y, z | noisy label, x), of sum 1; zeros where there is no label.
        p: (B, L), p(y | x).
        t: (B, 3), p(z | x).
    """

    posterior: Tensor
    p: Tensor
    t: Tensor


def label_noise_loss(
    scores_y: Tensor, scores_z: Tensor, noisy_label: Tensor, C: Tensor, update_noise_lr: float = 1.0,
    value: Value = "nll", reduction: Reduction = "mean", normalization: Normalization = "batch",
) -> Tensor:
    """-log p(noisy label | x), or -Q; the gradient of either is Eq. 7. :class:`LabelNoiseLoss` explains the options.

    Shapes: scores_y (B, L); scores_z (B, 3); noisy_label (B) or (B, 1, 1, 1), int64 or whole floats in [-1, L), -1
        where there is none; C (L, L) indexed [noisy, true], not differentiated. Result (), or (B) unreduced; float32
        for half-precision scores.
    Raises: ValueError or TypeError if an argument does not fit; a label out of range on a GPU is an assertion there.
    Source: Xiao et al., CVPR 2015, Eq. 1-7.  Deviations: evaluated with exponents of unlimited range, so that a label
        the model thinks all but impossible still has its loss and gradient.
    """
    if torch.compiler.is_compiling():
        return _compiled(scores_y, scores_z, noisy_label, C, update_noise_lr, value, reduction, normalization, False)[0]
    loss: Tensor = _LabelNoise.apply(
        scores_y, scores_z, noisy_label, C, update_noise_lr, value, reduction, normalization, False
    )
    return loss


def label_noise_loss_and_posterior(
    scores_y: Tensor, scores_z: Tensor, noisy_label: Tensor, C: Tensor, update_noise_lr: float = 1.0,
    value: Value = "nll", reduction: Reduction = "mean", normalization: Normalization = "batch",
) -> tuple[Tensor, Posterior]:
    """As :func:`label_noise_loss`, and the posterior from the same pass."""
    apply = _compiled if torch.compiler.is_compiling() else _LabelNoise.apply
    loss, *outputs = apply(
        scores_y, scores_z, noisy_label, C, update_noise_lr, value, reduction, normalization, True
    )
    return loss, Posterior(*outputs)


def label_noise_posterior(scores_y: Tensor, scores_z: Tensor, noisy_label: Tensor, C: Tensor) -> Posterior:
    """Eq. 5 without the loss. Shapes and errors as :func:`label_noise_loss`."""
    with torch.no_grad():
        return label_noise_loss_and_posterior(scores_y, scores_z, noisy_label, C)[1]


class _LabelNoise(torch.autograd.Function):
    """The extension's two functions for eager code. Gives the loss, or with ``want_posterior`` a tuple that begins so."""

    @staticmethod
    def forward(
        ctx: Any, scores_y: Tensor, scores_z: Tensor, noisy: Tensor, C: Tensor, update_noise_lr: float, value: Value,
        reduction: Reduction, normalization: Normalization, want_posterior: bool,
    ) -> Tensor | tuple[Tensor, ...]:
        rows, unit_grad_y, unit_grad_z, p, t, _, _, posterior = ops.extension().label_noise_forward(
            scores_y, scores_z, noisy, C, value == "q", any(ctx.needs_input_grad), want_posterior
        )
        ctx.divisor = _divisor(noisy, reduction, normalization)
        ctx.update_noise_lr = update_noise_lr
        ctx.save_for_backward(unit_grad_y, unit_grad_z)
        loss = _reduce(rows, reduction, ctx.divisor)
        if not want_posterior:
            return loss
        ctx.mark_non_differentiable(posterior, p, t)
        return loss, posterior, p, t

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_loss: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        scale = 1.0
        if isinstance(ctx.divisor, Tensor):
            grad_loss = grad_loss / ctx.divisor
        else:
            scale /= ctx.divisor
        grad_y, grad_z = ops.extension().label_noise_backward(
            grad_loss, *ctx.saved_tensors, scale, ctx.update_noise_lr
        )
        return grad_y, grad_z, None, None, None, None, None, None, None


def _compiled(
    scores_y: Tensor, scores_z: Tensor, noisy: Tensor, C: Tensor, update_noise_lr: float, value: Value,
    reduction: Reduction, normalization: Normalization, want_posterior: bool,
) -> tuple[Tensor, ...]:
    """As ``_LabelNoise.apply``, through the operators."""
    want_grad = torch.is_grad_enabled() and (scores_y.requires_grad or scores_z.requires_grad)
    rows, _, _, p, t, _, _, posterior = ops.label_noise_forward(
        scores_y, scores_z, noisy, C, value == "q", want_grad, want_posterior, update_noise_lr
    )
    return _reduce(rows, reduction, _divisor(noisy, reduction, normalization)), posterior, p, t


def _divisor(noisy: Tensor, reduction: Reduction, normalization: Normalization) -> float | Tensor:
    if reduction != "mean":
        return 1.0
    if normalization == "batch":
        return float(max(1, noisy.shape[0]))
    return (noisy >= 0).sum().clamp(min=1)  # stays on the device


def _reduce(rows: Tensor, reduction: Reduction, divisor: float | Tensor) -> Tensor:
    return rows if reduction == "none" else rows.sum() / divisor
