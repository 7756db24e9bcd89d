"""The label noise loss for any PyTorch model."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor, nn

from caffe_compat.label_noise.checks import check_confusion, diagonal_warning
from caffe_compat.label_noise.functional import (
    Normalization,
    Posterior,
    Reduction,
    Value,
    check_options,
    label_noise_posterior,
    loss_and_outputs,
)


class LabelNoiseLoss(nn.Module):
    """Trains p(y|x) and p(z|x) from noisy labels: ``loss = LabelNoiseLoss(C)(scores_y, scores_z, noisy_label)``.

    y is the true label, z the noise type: 0 noise free, 1 pure random, 2 confusing. Both losses have the same
    gradient (Eq. 7).

    Args:
        C: (L, L), the confusion matrix indexed [noisy, true]; columns sum to 1 within 1e-4 or are zero. Kept as a
            buffer in the default dtype; ``estimate_confusion`` makes one.
        update_noise_lr: multiplies the gradient of the noise-type scores, nothing else.
        value: "nll" gives -log p(noisy label | x), what training minimises; "q" gives -Q of Eq. 6, what the authors'
            layer prints.
        reduction: "mean", "sum", or "none" for one loss per row, 0 where there is no label.
        normalization: the divisor of "mean": "batch" the batch size, unlabelled rows included, as the authors' layer;
            "labelled" the number of labelled rows, at least 1.

    Shapes: scores_y (B, L), scores_z (B, 3), any floating type; noisy_label (B) or (B, 1, 1, 1), int64 or whole floats
        in [-1, L), -1 where there is none. The loss of an empty batch is 0.
    Raises: ValueError or TypeError if an argument does not fit. Warns of a diagonal that is not zero.
    Source: Xiao et al., CVPR 2015, section 3.1; the layer SoftmaxWithNoisyLabelLoss of the authors' Caffe.
    """

    C: Tensor

    def __init__(
        self,
        C: Tensor | npt.ArrayLike,
        update_noise_lr: float = 1.0,
        value: Value = "nll",
        reduction: Reduction = "mean",
        normalization: Normalization = "batch",
    ) -> None:
        super().__init__()
        check_options(value, reduction, normalization)
        if isinstance(C, (str, os.PathLike)):
            raise TypeError(f"C: expected an array, got the path {os.fspath(C)!r}; read it first: "
                            "read_blobproto_file(path)[0, 0] of caffe_compat.weights, or numpy.load")  # fmt: skip
        self.update_noise_lr, self.value = float(update_noise_lr), value
        self.reduction, self.normalization = reduction, normalization
        self.register_buffer("C", torch.as_tensor(C).detach().to(torch.get_default_dtype(), copy=True))
        self._check()
        self.register_load_state_dict_post_hook(_check_loaded)

    def _check(self) -> None:
        check_confusion(self.C)
        warning = diagonal_warning(self.C)
        if warning is not None:
            warnings.warn(warning, stacklevel=3)

    def forward(self, scores_y: Tensor, scores_z: Tensor, noisy_label: Tensor) -> Tensor:
        return loss_and_outputs(
            scores_y,
            scores_z,
            noisy_label,
            self.C,
            self.update_noise_lr,
            self.value,
            self.reduction,
            self.normalization,
            False,
        )[0]

    def posterior(self, scores_y: Tensor, scores_z: Tensor, noisy_label: Tensor) -> Posterior:
        """``(posterior, p, t)``: p(y, z | noisy label, x) (B, L, 3), p(y|x) (B, L), p(z|x) (B, 3); no gradient."""
        return label_noise_posterior(scores_y, scores_z, noisy_label, self.C)

    def extra_repr(self) -> str:
        options: dict[str, Any] = {
            "num_classes": self.C.shape[0],
            "update_noise_lr": self.update_noise_lr,
            "value": self.value,
            "reduction": self.reduction,
            "normalization": self.normalization,
        }
        return ", ".join(f"{name}={option}" for name, option in options.items())


def _check_loaded(loss: LabelNoiseLoss, _: object) -> None:
    loss._check()
