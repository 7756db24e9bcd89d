"""SoftmaxWithLoss. Source: src/caffe/layers/softmax_loss_layer.cpp."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.labels import check_label_count, class_indices
from caffe_compat.layers.loss import raised_to
from caffe_compat.layers.normalization import normalizer, read_normalization
from caffe_compat.layers.shapes import Shape, canonical_axis
from caffe_compat.proto import caffe_pb2

logger = logging.getLogger("caffe_compat")

_LARGEST_LOSS = -math.log(torch.finfo(torch.float32).tiny)  # 87.3365: Caffe floors probabilities at FLT_MIN
_NO_LABEL = -(2**62)  # ignores nothing


@register("SoftmaxWithLoss")
class SoftmaxWithLoss(Layer):
    """-log softmax(scores)[label], summed over the labels that count, over the normaliser.

    Shapes: scores (outer..., classes, inner...) with classes at softmax_param.axis; outer x inner labels. Tops: the
        loss (); optionally the probabilities, like the scores and without gradient.
    """

    bottoms = (2, 2)
    tops = (1, 2)
    is_loss = True
    label_bottoms = (1,)

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        logger.info("Creating layer %s", self.param.name)  # Caffe's own Softmax layer inside, which its log shows
        self.axis = canonical_axis(self, self.param.softmax_param.axis, bottom_shapes[0], "softmax_param.axis")
        loss = self.param.loss_param
        self.ignore_label = loss.ignore_label if loss.HasField("ignore_label") else None
        self.normalization = read_normalization(loss, default=caffe_pb2.LossParameter.VALID)

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        check_label_count(self, bottom_shapes[0], self.axis, bottom_shapes[1])
        return [(), bottom_shapes[0]][: max(1, len(self.param.top))]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        scores, labels = bottoms
        log_prob = F.log_softmax(scores, self.axis)
        loss = self._loss(log_prob, labels)
        return (loss,) if len(self.param.top) < 2 else (loss, log_prob.detach().exp())

    def _loss(self, log_prob: Tensor, labels: Tensor) -> Tensor:
        num_classes = log_prob.shape[self.axis]
        rows = log_prob.movedim(self.axis, 1)
        targets = class_indices(self, labels, num_classes, self.ignore_label).reshape(rows.shape[:1] + rows.shape[2:])
        ignored = _NO_LABEL if self.ignore_label is None else self.ignore_label
        losses = -raised_to(-_LARGEST_LOSS, -F.nll_loss(rows, targets, ignore_index=ignored, reduction="none"))
        outer = math.prod(log_prob.shape[: self.axis])
        return losses.sum() / normalizer(self.normalization, targets, self.ignore_label, outer)
