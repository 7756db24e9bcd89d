"""Shape arithmetic the layers share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from caffe_compat.errors import PrototxtError, expected_got
from caffe_compat.glog import shape_text

Shape = tuple[int, ...]

MOST_NUMBERS = 2**31 - 1  # of a blob, as Caffe counts them in an int


class NamesItself(Protocol):
    """Whoever's shapes are wrong, a layer, makes the error that names it."""

    def error(self, problem: str, field: str | None = None) -> PrototxtError: ...


def count(shape: Sequence[int]) -> int:
    """Number of elements; 1 for no axes."""
    return math.prod(shape)


def check_blob_shape(layer: NamesItself, shape: Sequence[int], field: str) -> None:
    """Raises: PrototxtError for a shape that no blob may have: a negative size, more numbers than an int counts.

    Source: Blob::Reshape, src/caffe/blob.cpp.
    """
    numbers = 1
    for size in shape:
        if size < 0:
            raise layer.error(f"a blob of shape {shape_text(shape)}: {expected_got('sizes >= 0', size)}", field)
        numbers *= size
        if numbers > MOST_NUMBERS:
            problem = f"blob size exceeds INT_MAX: {expected_got(f'at most {MOST_NUMBERS} numbers', shape_text(shape))}"
            raise layer.error(problem, field)


def new_blob(layer: NamesItself, shape: Shape, field: str) -> Tensor:
    """An uninitialised float32 blob. Raises: PrototxtError as ``check_blob_shape``, or if there is no memory for it."""
    check_blob_shape(layer, shape, field)
    try:
        return torch.empty(shape)
    except RuntimeError as exc:
        raise layer.error(f"no memory for a blob of shape {shape_text(shape)}", field) from exc


def canonical_axis(layer: NamesItself, axis: int, shape: Shape, field: str) -> int:
    """``axis`` counted from the front; negative ones count from the end.

    Raises: PrototxtError if the blob has no such axis.
    """
    if not -len(shape) <= axis < len(shape):
        raise layer.error(f"axis {axis} out of range for a bottom of shape {shape_text(shape)}", field=field)
    return axis % len(shape)
