"""The label noise loss and the posterior as functions of scores, over the kernels of csrc/.

Symbols are the paper's (docs/equations.md): p and t are the predictions for the true label y and the noise type z,
C is indexed [noisy, true].
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from caffe_compat.label_noise import ops

Value = Literal["nll", "q"]
Reduction = Literal["mean", "sum", "none"]
Normalization = Literal["batch", "labelled"]
Result = tuple[Tensor, Tensor, Tensor, Tensor]  # loss, posterior, p, t


def check_options(value: str, reduction: str, normalization: str) -> None:
    """Raise ValueError for an unknown option."""
    for name, given, known in (
        ("value", value, Value),
        ("reduction", reduction, Reduction),
        ("normalization", normalization, Normalization),
    ):
        if given not in get_args(known):
            raise ValueError(f"{name}: expected one of {', '.join(get_args(known))}, got {given!r}")


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
    scores_y: Tensor,
    scores_z: Tensor,
    noisy_label: Tensor,
    C: Tensor,
    update_noise_lr: float = 1.0,
    value: Value = "nll",
    reduction: Reduction = "mean",
    normalization: Normalization = "batch",
) -> Tensor:
    """-log p(noisy label | x), or -Q; the gradient of either is Eq. 7. :class:`LabelNoiseLoss` explains the options.

    Shapes: scores_y (B, L); scores_z (B, 3); noisy_label (B) or (B, 1, 1, 1), int64 or whole floats in [-1, L), -1
        where there is none; C (L, L) indexed [noisy, true], not differentiated. Result (), or (B) unreduced; float32
        for half-precision scores.
    Raises: ValueError or TypeError if an argument does not fit; a label out of range on a GPU is an assertion there.
    Source: Xiao et al., CVPR 2015, Eq. 1-7.  Deviations: evaluated with exponents of unlimited range, so that a label
        the model thinks all but impossible still has its loss and gradient.
    """
    check_options(value, reduction, normalization)
    return loss_and_outputs(
        scores_y, scores_z, noisy_label, C, update_noise_lr, value, reduction, normalization, False
    )[0]


def label_noise_loss_and_posterior(
    scores_y: Tensor,
    scores_z: Tensor,
    noisy_label: Tensor,
    C: Tensor,
    update_noise_lr: float = 1.0,
    value: Value = "nll",
    reduction: Reduction = "mean",
    normalization: Normalization = "batch",
) -> tuple[Tensor, Posterior]:
    """As :func:`label_noise_loss`, and the posterior from the same pass."""
    check_options(value, reduction, normalization)
    loss, posterior, p, t = loss_and_outputs(
        scores_y, scores_z, noisy_label, C, update_noise_lr, value, reduction, normalization, True
    )
    return loss, Posterior(posterior, p, t)


def label_noise_posterior(scores_y: Tensor, scores_z: Tensor, noisy_label: Tensor, C: Tensor) -> Posterior:
    """Eq. 5 without the loss. Shapes and errors as :func:`label_noise_loss`."""
    with torch.no_grad():
        return label_noise_loss_and_posterior(scores_y, scores_z, noisy_label, C)[1]


def loss_and_outputs(
    scores_y: Tensor,
    scores_z: Tensor,
    noisy: Tensor,
    C: Tensor,
    update_noise_lr: float,
    value: Value,
    reduction: Reduction,
    normalization: Normalization,
    want_posterior: bool,
) -> Result:
    """What the functions above share: the loss; the posterior, p and t, meaningless unless ``want_posterior``."""
    divisor = None if reduction == "none" else 1.0
    if reduction == "mean" and normalization == "batch":
        divisor = float(max(1, scores_y.shape[0]))
    sums = _compiled_sums if torch.compiler.is_compiling() else ops.extension().label_noise_loss
    result: Result = sums(scores_y, scores_z, noisy, C, update_noise_lr, value == "q", divisor, want_posterior)
    if reduction == "mean" and normalization == "labelled":
        return result[0] / (noisy >= 0).sum().clamp(min=1), *result[1:]  # the count stays on the device
    return result


def _compiled_sums(
    scores_y: Tensor,
    scores_z: Tensor,
    noisy: Tensor,
    C: Tensor,
    update_noise_lr: float,
    want_q: bool,
    divisor: float | None,
    want_posterior: bool,
) -> Result:
    """The extension's ``label_noise_loss`` through the operators."""
    want_grad = torch.is_grad_enabled() and (scores_y.requires_grad or scores_z.requires_grad)
    rows, _, _, p, t, _, _, posterior = ops.label_noise_forward(
        scores_y, scores_z, noisy, C, want_q, want_grad, want_posterior, update_noise_lr
    )
    return rows if divisor is None else rows.sum() / divisor, posterior, p, t
