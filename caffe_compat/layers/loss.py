"""What the loss layers share. Source: src/caffe/layers/loss_layer.cpp."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from caffe_compat.glog import shape_text
from caffe_compat.layers.base import Layer
from caffe_compat.layers.shapes import Shape

LOG_THRESHOLD = float(torch.tensor(1e-20))  # Caffe's kLOG_THRESHOLD, a float32


class LossLayer(Layer):
    """Two bottoms, predictions and labels, with one first dimension; one top, the loss ()."""

    bottoms = (2, 2)
    is_loss = True
    label_bottoms: tuple[int, ...] = (1,)

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        data, labels = bottom_shapes[:2]
        if not data or not labels or data[0] != labels[0]:
            problem = "The data and label should have the same first dimension."
            raise self.error(f"{problem} Got {shape_text(data)} and {shape_text(labels)}", field="bottom")
        return [()]


def check_one_label_a_row(layer: Layer, rows: int, labels: Shape, index: int) -> None:
    """Bottom ``index`` holds one number for each of the ``rows``: (N,) or with axes of size 1 behind.

    Raises: PrototxtError.
    """
    if tuple(labels) != (rows,) + (1,) * (len(labels) - 1):
        raise layer.error(
            f"expected one label a row, {rows} in all, got {shape_text(labels)}", field=f"bottom[{index}]"
        )


def raised_to(floor: float, values: Tensor) -> Tensor:
    """max(values, floor), whose gradient is that of ``values`` everywhere: how Caffe treats a small probability."""
    return _RaisedTo.apply(values, floor)


class _RaisedTo(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, floor: float) -> Tensor:
        return values.clamp(min=floor)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None
