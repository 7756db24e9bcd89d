"""The blobs that a Python layer's code sees: arrays, as in pycaffe. Source: python/caffe/_caffe.cpp, blob.cpp."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


class Shaped:
    """What pycaffe tells of a blob's shape."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def count(self) -> int:
        """Number of elements."""
        return math.prod(self._shape)

    @property
    def num(self) -> int:
        return self._legacy_size(0)

    @property
    def channels(self) -> int:
        return self._legacy_size(1)

    @property
    def height(self) -> int:
        return self._legacy_size(2)

    @property
    def width(self) -> int:
        return self._legacy_size(3)

    def _legacy_size(self, axis: int) -> int:
        if len(self._shape) > 4:
            raise ValueError(f"num, channels, height and width are for 4 axes at most, not for shape {self._shape}")
        return self._shape[axis] if axis < len(self._shape) else 1


def checked_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """``shape`` as integers. Raises: ValueError for a negative size."""
    if any(size < 0 for size in shape):
        raise ValueError(f"expected no negative size, got {tuple(shape)}")
    return tuple(int(size) for size in shape)


class Blob(Shaped):
    """``data`` and ``diff``, two arrays of one shape.

    Both are written into, ``blob.data[...] = values``, and keep what is written there until the next change of shape.
    """

    def __init__(self, shape: tuple[int, ...] = (0,)) -> None:
        super().__init__(shape)
        self._data = np.zeros(math.prod(shape), np.float32)
        self._diff = np.zeros_like(self._data)

    @property
    def data(self) -> Array:
        return self._data[: self.count].reshape(self._shape)

    @property
    def diff(self) -> Array:
        return self._diff[: self.count].reshape(self._shape)

    def reshape(self, *shape: int) -> None:
        """Give both arrays another shape. The numbers stay unless there are to be more than ever before: then zeros."""
        self._shape = checked_shape(shape)
        if self.count > self._data.size:
            self._data = np.zeros(self.count, self._data.dtype)
            self._diff = np.zeros_like(self._data)

    def set_type(self, dtype: np.dtype[Any]) -> None:
        """Hold numbers of ``dtype`` from now on."""
        self._data, self._diff = self._data.astype(dtype, copy=False), self._diff.astype(dtype, copy=False)

    def show(self, values: Array) -> None:
        """Let ``data`` be ``values`` itself, of which nothing is copied; ``diff`` keeps its numbers."""
        self.reshape(*values.shape)
        self._data = values.reshape(-1)
