"""ContrastiveLoss. Source: src/caffe/layers/contrastive_loss_layer.cpp."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from caffe_compat.errors import expected_got
from caffe_compat.glog import shape_text
from caffe_compat.layers.base import register
from caffe_compat.layers.loss import LossLayer, check_one_label_a_row
from caffe_compat.layers.shapes import Shape


@register("ContrastiveLoss")
class ContrastiveLoss(LossLayer):
    """sum over pairs of d^2 if similar, else max(margin - d, 0)^2, over 2 N; d = |a - b|.

    The third bottom says which pairs are similar: those whose number, its fraction cut off, is not 0.
    ``legacy_version``: max(margin - d^2, 0) for the dissimilar ones. Gradients go to both a and b.

    Shapes: a and b (N, C), or with axes of size 1 behind; the third bottom N numbers.
    """

    bottoms = (3, 3)
    label_bottoms = ()  # Caffe says nothing when propagate_down wants the third bottom's gradient; there is none

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        tops = super().top_shapes(bottom_shapes)
        one, other, similar = bottom_shapes
        for index, shape in enumerate((one, other)):
            if len(shape) > 4 or any(size != 1 for size in shape[2:]):
                problem = expected_got("shape (N, C), (N, C, 1) or (N, C, 1, 1)", shape_text(shape))
                raise self.error(problem, field=f"bottom[{index}]")
        if _width(one) != _width(other):
            raise self.error(expected_got(f"{_width(one)} channels, as in the first", _width(other)), field="bottom[1]")
        check_one_label_a_row(self, one[0], similar, 2)
        return tops

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        options = self.param.contrastive_loss_param
        rows = bottoms[0].shape[0]
        difference = (bottoms[0].reshape(rows, -1)) - (bottoms[1].reshape(rows, -1))
        squares = difference.square().sum(1)
        if options.legacy_version:
            apart = F.relu(options.margin - squares)
        else:
            apart = F.relu(options.margin - _Distance.apply(difference)).square()
        is_similar = bottoms[2].reshape(-1).long() != 0
        return (torch.where(is_similar, squares, apart).sum() / (2 * rows),)


def _width(shape: Shape) -> int:
    return shape[1] if len(shape) > 1 else 1


class _Distance(torch.autograd.Function):
    """|x| of each row, with Caffe's gradient x / (|x| + 1e-4), which is 0 at 0."""

    @staticmethod
    def forward(ctx: Any, difference: Tensor) -> Tensor:
        distance = difference.square().sum(1).sqrt()
        ctx.save_for_backward(difference, distance)
        return distance

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        difference, distance = ctx.saved_tensors
        return (grad / (distance + 1e-4))[:, None] * difference
