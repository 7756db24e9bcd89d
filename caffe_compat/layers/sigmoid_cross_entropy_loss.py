"""SigmoidCrossEntropyLoss. Source: src/caffe/layers/sigmoid_cross_entropy_loss_layer.cpp."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from caffe_compat.glog import shape_text
from caffe_compat.layers.base import register
from caffe_compat.layers.loss import LossLayer
from caffe_compat.layers.normalization import normalizer, read_normalization
from caffe_compat.layers.shapes import Shape, count
from caffe_compat.proto import caffe_pb2


@register("SigmoidCrossEntropyLoss")
class SigmoidCrossEntropyLoss(LossLayer):
    """-sum t log s(x) + (1 - t) log(1 - s(x)) over the normaliser, BATCH_SIZE by default; s(x) = 1 / (1 + exp(-x)).

    Targets t may be any numbers. Those that ``ignore_label`` equals when their fraction is cut off do not count.
    """

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        loss = self.param.loss_param
        self.ignore_label = loss.ignore_label if loss.HasField("ignore_label") else None
        self.normalization = read_normalization(loss, default=caffe_pb2.LossParameter.BATCH_SIZE)

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        tops = super().top_shapes(bottom_shapes)
        scores, targets = bottom_shapes
        if count(scores) != count(targets):
            problem = "SIGMOID_CROSS_ENTROPY_LOSS layer inputs must have the same count."
            raise self.error(f"{problem} Got {shape_text(scores)} and {shape_text(targets)}", field="bottom")
        return tops

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        scores = bottoms[0]
        targets = bottoms[1].reshape(scores.shape).to(scores)
        losses = F.binary_cross_entropy_with_logits(scores, targets, reduction="none")
        labels = targets.trunc()
        if self.ignore_label is not None:
            losses = losses.masked_fill(labels == self.ignore_label, 0)
        return (losses.sum() / normalizer(self.normalization, labels, self.ignore_label, scores.shape[0]),)
