"""Accuracy. Source: src/caffe/layers/accuracy_layer.cpp."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from caffe_compat.errors import expected_got
from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.labels import check_label_count, class_indices
from caffe_compat.layers.shapes import Shape, canonical_axis


@register("Accuracy")
class Accuracy(Layer):
    """Share of labels among the ``top_k`` best scores; no gradient.

    A row is right if fewer than top_k *other* classes score as much as the true one or more: ties count against,
    and NaN, which is never "as much", counts for. The optional second top is the accuracy of each class, 0 for one
    without a label.
    """

    bottoms = (2, 2)
    tops = (1, 2)
    label_bottoms = (0, 1)

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        options = self.param.accuracy_param
        self.axis = canonical_axis(self, options.axis, bottom_shapes[0], "accuracy_param.axis")
        self.top_k = options.top_k
        self.ignore_label = options.ignore_label if options.HasField("ignore_label") else None

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        check_label_count(self, bottom_shapes[0], self.axis, bottom_shapes[1])
        num_classes = bottom_shapes[0][self.axis]
        if self.top_k > num_classes:
            problem = expected_got(f"at most the {num_classes} classes", self.top_k)
            raise self.error(problem, field="accuracy_param.top_k")
        return [(), (num_classes,)][: len(self.param.top)]

    @torch.no_grad()
    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        num_classes = bottoms[0].shape[self.axis]
        labels = class_indices(self, bottoms[1], num_classes, self.ignore_label).reshape(-1)
        scores = bottoms[0].movedim(self.axis, -1).reshape(-1, num_classes)
        counts = torch.ones_like(labels, dtype=torch.bool) if self.ignore_label is None else labels != self.ignore_label
        targets = labels.where(counts, 0)  # an ignored label may be no class at all
        own = scores.gather(1, targets[:, None])
        is_right = ((scores >= own).sum(1) - 1 < self.top_k) & counts
        accuracy = is_right.sum() / counts.sum().clamp(min=1)
        tops = (accuracy.to(scores.dtype),)
        return tops if len(self.param.top) < 2 else (*tops, _per_class(targets, is_right, counts, num_classes, scores))


def _per_class(targets: Tensor, is_right: Tensor, counts: Tensor, num_classes: int, like: Tensor) -> Tensor:
    right, total = (like.new_zeros(num_classes).index_add_(0, targets, mask.to(like)) for mask in (is_right, counts))
    return right / total.clamp(min=1)
