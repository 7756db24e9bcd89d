"""SoftmaxWithNoisyLabelLoss, the paper's label noise model as its authors' Caffe has it (branch noisy-label)."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from torch import Tensor

from caffe_compat.errors import expected_got
from caffe_compat.label_noise.checks import check_confusion, decay_warning, diagonal_warning
from caffe_compat.label_noise.functional import label_noise_loss, label_noise_loss_and_posterior
from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.shapes import Shape

logger = logging.getLogger("caffe_compat")

_FILLER = "softmax_noisy_label_loss_param.matrix_c_filler"


@register("SoftmaxWithNoisyLabelLoss")
class SoftmaxWithNoisyLabelLoss(Layer):
    """-Q / B forward (Eq. 6), Eq. 7 / B backward, where B counts the rows without a label (-1) too.

    Shapes: scores of the true label (B, L) or (B, L, 1, 1); of the noise type, L = 3; noisy label, B in all. Tops: the
        loss (); optionally p(y|x) and p(z|x), like the scores, and the posterior (B, L, 3, 1), none with a gradient.
    Blobs: C (1, 1, L, L), indexed [noisy, true]; gets no gradient.
    Caffe's weight decay shrinks C, as any blob, unless its ``param { lr_mult: 0 }`` says otherwise.
    Deviations: a label that the model thinks all but impossible has its loss and gradient; the authors' layer loses it.
    """

    bottoms = (3, 3)
    tops = (1, 4)
    is_loss = True
    label_bottoms = (2,)

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        options = self.param.softmax_noisy_label_loss_param
        self.update_noise_lr = options.update_noise_lr
        self._check_shapes(bottom_shapes)
        self._warnings: set[str] = set()
        num_classes = bottom_shapes[0][1]
        self.add_blob((1, 1, num_classes, num_classes), options.matrix_c_filler, field=_FILLER)
        self._check_confusion()

    def blobs_loaded(self) -> None:
        if shrunk := decay_warning(self._confusion()):  # by a training of which this may be a snapshot
            self._warn(shrunk)
        else:
            self._check_confusion()

    def _check_confusion(self) -> None:
        try:
            check_confusion(self._confusion())
        except ValueError as exc:
            raise self.error(str(exc), field=_FILLER) from exc
        if warning := diagonal_warning(self._confusion()):
            self._warn(warning)

    def _warn(self, warning: str) -> None:
        if warning not in self._warnings:
            logger.warning("Layer %s: %s", self.param.name, warning)
            self._warnings.add(warning)

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        self._check_shapes(bottom_shapes)
        (batch_size, num_classes, *_), scores_z = bottom_shapes[0], bottom_shapes[1]
        return [(), bottom_shapes[0], scores_z, (batch_size, num_classes, 3, 1)][: max(1, len(self.param.top))]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        scores_y, scores_z, noisy_label = bottoms
        arguments = (
            scores_y.flatten(1),
            scores_z.flatten(1),
            noisy_label.flatten(),
            self._confusion(),
            self.update_noise_lr,
        )
        if len(self.param.top) < 2:
            return (label_noise_loss(*arguments, value="q"),)
        loss, (posterior, p, t) = label_noise_loss_and_posterior(*arguments, value="q")
        tops = (loss, p.view(scores_y.shape), t.view(scores_z.shape), posterior.unsqueeze(3))
        return tops[: len(self.param.top)]

    def _confusion(self) -> Tensor:
        blob = self.blob(0).detach()
        return blob.reshape(blob.shape[-2:])

    def _check_shapes(self, bottom_shapes: Sequence[Shape]) -> None:
        scores_y, scores_z, noisy_label = bottom_shapes
        batch_size = scores_y[0]
        for index, shape, wanted, fits in (
            (0, scores_y, "(B, L) or (B, L, 1, 1) with L >= 2", len(scores_y) > 1 and scores_y[1] > 1),
            (1, scores_z, f"({batch_size}, 3) or ({batch_size}, 3, 1, 1)", scores_z[:2] == (batch_size, 3)),
            (2, noisy_label, f"({batch_size},) or ({batch_size}, 1, 1, 1)", noisy_label[:1] == (batch_size,)),
        ):
            if not fits or any(size != 1 for size in shape[1 if index == 2 else 2 :]):
                raise self.error(expected_got(wanted, shape), field=f"bottom {self.param.bottom[index]}")
