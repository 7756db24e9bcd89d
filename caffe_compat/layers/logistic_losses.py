"""MultinomialLogisticLoss and InfogainLoss, whose logarithms have a floor.

Source: src/caffe/layers/multinomial_logistic_loss_layer.cpp, infogain_loss_layer.cpp.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from caffe_compat.errors import CaffeCompatError, expected_got
from caffe_compat.glog import shape_text
from caffe_compat.layers.base import register
from caffe_compat.layers.labels import check_label_count, class_indices
from caffe_compat.layers.loss import LOG_THRESHOLD, LossLayer, check_one_label_a_row, raised_to
from caffe_compat.layers.normalization import normalizer
from caffe_compat.layers.shapes import Shape, canonical_axis, count
from caffe_compat.weights import read_blobproto_file

logger = logging.getLogger("caffe_compat")


@register("MultinomialLogisticLoss")
class MultinomialLogisticLoss(LossLayer):
    """-log max(p[label], 1e-20), summed, over N; the first bottom holds probabilities.

    Everything behind the first axis counts as classes. The gradient is -1 / max(p, 1e-20) / N, below the floor too.
    """

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        tops = super().top_shapes(bottom_shapes)
        check_one_label_a_row(self, bottom_shapes[0][0], bottom_shapes[1], 1)
        return tops

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        prob = bottoms[0].reshape(bottoms[0].shape[0], -1)
        labels = class_indices(self, bottoms[1], prob.shape[1], None).reshape(-1, 1)
        return (-raised_to(LOG_THRESHOLD, prob.gather(1, labels)).log().sum() / len(prob),)


@register("InfogainLoss")
class InfogainLoss(LossLayer):
    """-sum over classes l of H[label, l] log max(softmax(scores)[l], 1e-20), summed over the labels that count.

    H is the third bottom or the BlobProto file ``source``. The gradient leaves the floor out, as SoftmaxWithLoss's.

    Shapes: scores (outer..., L, inner...) with classes at infogain_loss_param.axis; outer x inner labels; H: L x L
        numbers, indexed [label, class]. Tops: the loss (); optionally the probabilities, like the scores and without
        gradient.
    Deviations: Caffe's backward pass aborts where ``force_backward`` or a learning layer wants H's gradient.
    """

    bottoms = (2, 3)
    tops = (1, 2)
    _infogain: Tensor

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        logger.info("Creating layer %s", self.param.name)  # Caffe's own Softmax layer inside, which its log shows
        options, loss = self.param.infogain_loss_param, self.param.loss_param
        self.axis = canonical_axis(self, options.axis, bottom_shapes[0], "infogain_loss_param.axis")
        self.ignore_label = loss.ignore_label if loss.HasField("ignore_label") else None
        if loss.HasField("normalize"):
            raise self.error('normalize is deprecated. use "normalization"', field="loss_param.normalize")
        if len(bottom_shapes) == 3:
            self._check_propagate_down()
            self.label_bottoms = (1, 2)
        else:
            self.register_buffer("_infogain", self._read_infogain(), persistent=False)

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        super().top_shapes(bottom_shapes)
        scores = bottom_shapes[0]
        check_label_count(self, scores, self.axis, bottom_shapes[1])
        infogain = bottom_shapes[2] if len(bottom_shapes) == 3 else tuple(self._infogain.shape)
        classes = scores[self.axis]
        if count(infogain) != classes * classes:
            problem = expected_got(f"a matrix of {classes} x {classes} numbers", shape_text(infogain))
            field = "bottom[2]" if len(bottom_shapes) == 3 else "infogain_loss_param.source"
            raise self.error(problem, field=field)
        return [(), scores][: max(1, len(self.param.top))]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        log_prob = F.log_softmax(bottoms[0], self.axis)
        loss = self._loss(log_prob, bottoms[1], bottoms[2] if len(bottoms) == 3 else self._infogain)
        return (loss,) if len(self.param.top) < 2 else (loss, log_prob.detach().exp())

    def _loss(self, log_prob: Tensor, labels: Tensor, infogain: Tensor) -> Tensor:
        classes = log_prob.shape[self.axis]
        targets = class_indices(self, labels, classes, self.ignore_label).reshape(-1)
        rows = raised_to(math.log(LOG_THRESHOLD), log_prob).movedim(self.axis, -1).reshape(-1, classes)
        counts = torch.ones_like(targets) if self.ignore_label is None else (targets != self.ignore_label).long()
        weights = infogain.to(rows).reshape(classes, classes)[targets * counts] * counts[:, None]
        outer = count(log_prob.shape[: self.axis])
        divisor = normalizer(self.param.loss_param.normalization, targets, self.ignore_label, outer)
        return -(weights * rows).sum() / divisor

    def _check_propagate_down(self) -> None:
        if self.param.propagate_down and self.param.propagate_down[-1]:
            problem = "InfogainLoss Layer cannot backpropagate to infogain inputs."
            raise self.error(problem, field="propagate_down")

    def _read_infogain(self) -> Tensor:
        source, field = self.param.infogain_loss_param.source, "infogain_loss_param.source"
        if not source:
            raise self.error("Infogain matrix source must be specified.", field=field)
        try:
            return torch.from_numpy(read_blobproto_file(source))
        except (CaffeCompatError, OSError) as exc:
            raise self.error(str(exc), field=field) from exc
