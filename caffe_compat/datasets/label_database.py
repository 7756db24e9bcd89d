"""Label databases: a record a label, whole numbers from -1 (none) on."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

from caffe_compat.data.database import Reader
from caffe_compat.data.datum import decode_datum, parse_datum, stack_raw
from caffe_compat.datasets.samples import NO_LABEL
from caffe_compat.errors import DataError, expected_got
from caffe_compat.label_noise.confusion import IntArray

_AT_ONCE = 10_000


def read_labels(reader: Reader) -> IntArray:
    """All labels in key order, (N,) int64.

    Raises: DataError naming the first record that is not one whole number >= -1.
    """
    return np.concatenate(list(_chunks(reader)))


def _chunks(reader: Reader) -> Iterator[IntArray]:
    for start in range(0, len(reader), _AT_ONCE):
        positions = range(start, min(start + _AT_ONCE, len(reader)))
        datums = [parse_datum(record) for record in reader.read_all(positions)]
        stack = stack_raw(datums)
        values = np.stack([decode_datum(datum) for datum in datums]) if stack is None else stack
        labels = values.reshape(len(datums), -1)
        if labels.shape[1] != 1:
            problem = f"expected a label database, records of one number each, got records of {labels.shape[1]}"
            raise DataError(problem, path=reader.path)
        column = labels[:, 0].astype(np.int64)
        bad = np.flatnonzero((column != labels[:, 0]) | (column < NO_LABEL))
        if len(bad):
            key = os.fsdecode(reader.key(positions[bad[0]]))
            wanted = expected_got(f"a whole number >= {NO_LABEL}", float(labels[bad[0], 0]))
            raise DataError(f"record {key}: {wanted}", path=reader.path)
        yield column
