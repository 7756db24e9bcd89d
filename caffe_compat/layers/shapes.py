"""Shape arithmetic the layers share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from caffe_compat.glog import shape_text

if TYPE_CHECKING:
    from caffe_compat.layers.base import Layer, Shape


def count(shape: Sequence[int]) -> int:
    """Number of elements; 1 for no axes."""
    return math.prod(shape)


def canonical_axis(layer: Layer, axis: int, shape: Shape, field: str) -> int:
    """``axis`` counted from the front; negative ones count from the end.

    Raises: PrototxtError if the blob has no such axis.
    """
    if not -len(shape) <= axis < len(shape):
        raise layer.error(f"axis {axis} out of range for a bottom of shape {shape_text(shape)}", field=field)
    return axis % len(shape)
