"""Label databases: a record a label, whole numbers from -1 (none) on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from caffe_compat.arrays import IntArray
from caffe_compat.data.database import Reader
from caffe_compat.data.datum import decode_datum, parse_datum, stack_raw
from caffe_compat.datasets.samples import NO_LABEL
from caffe_compat.errors import DataError, expected_got

_AT_ONCE = 10_000

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def read_labels(reader: Reader) -> IntArray:
    """All labels in key order, (N,) int64.

    Raises: DataError naming the first record that is not one whole number >= -1.
    """
    return np.concatenate(list(_chunks(reader)))


def _chunks(reader: Reader) -> Iterator[IntArray]:
    for start in range(0, len(reader), _AT_ONCE):
        positions = range(start, min(start + _AT_ONCE, len(reader)))
        datums = list(_each(reader, positions, parse_datum, reader.read_all(positions)))
        stack = stack_raw(datums)
        arrays = list(_each(reader, positions, decode_datum, datums)) if stack is None else stack
        for position, array in zip(positions, arrays, strict=True):
            if array.size != 1:
                wanted = "expected a label database, records of one number each"
                raise DataError(f"{wanted}, got {array.size} in record {_key(reader, position)}", path=reader.path)
        values = np.fromiter((array.item() for array in arrays), np.float64, len(arrays))
        bad = np.flatnonzero(~(np.isfinite(values) & (values >= NO_LABEL) & (values == np.floor(values))))
        if len(bad):
            wanted = expected_got(f"a whole number >= {NO_LABEL}", float(values[bad[0]]))
            raise DataError(f"record {_key(reader, positions[bad[0]])}: {wanted}", path=reader.path)
        yield values.astype(np.int64)


def _each(
    reader: Reader, positions: Sequence[int], function: Callable[[_Item], _Result], items: Iterable[_Item]
) -> Iterator[_Result]:
    """``function`` of the record's item for each position. Raises: DataError with the record's place in front."""
    for position, item in zip(positions, items, strict=True):
        try:
            yield function(item)
        except DataError as exc:
            raise DataError(f"record {_key(reader, position)}: {exc.problem}", path=reader.path) from exc


def _key(reader: Reader, position: int) -> str:
    return os.fsdecode(reader.key(position))
