"""HingeLoss. Source: src/caffe/layers/hinge_loss_layer.cpp."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from caffe_compat.layers.base import register
from caffe_compat.layers.labels import class_indices
from caffe_compat.layers.loss import LossLayer, check_one_label_a_row
from caffe_compat.layers.shapes import Shape
from caffe_compat.proto import caffe_pb2


@register("HingeLoss")
class HingeLoss(LossLayer):
    """One-against-all: sum max(0, 1 + s x) / N with s = -1 for the label's score and 1 for the others; L2: squared.

    Everything behind the first axis of the scores counts as classes.
    """

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        tops = super().top_shapes(bottom_shapes)
        check_one_label_a_row(self, bottom_shapes[0][0], bottom_shapes[1], 1)
        return tops

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        scores = bottoms[0].reshape(bottoms[0].shape[0], -1)
        labels = class_indices(self, bottoms[1], scores.shape[1], None).reshape(-1, 1)
        signs = torch.ones_like(scores).scatter_(1, labels, -1)
        margins = F.relu(1 + signs * scores)
        if self.param.hinge_loss_param.norm == caffe_pb2.HingeLossParameter.L2:
            margins = margins.square()
        return (margins.sum() / len(scores),)
