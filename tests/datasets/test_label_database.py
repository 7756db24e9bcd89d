"""Label databases as one column, and every record that is no label named by its key."""

from pathlib import Path

import lmdb
import numpy as np
import pytest

from caffe_compat.data.datum import encode_datum, label_datum
from caffe_compat.data.lmdb_store import LmdbReader
from caffe_compat.datasets.label_database import read_labels
from caffe_compat.errors import DataError

IMAGE = encode_datum(np.zeros((3, 2, 2), np.uint8)).SerializeToString()


def database(path: Path, records: list[bytes]) -> LmdbReader:
    with lmdb.open(str(path)) as environment, environment.begin(write=True) as transaction:
        for number, record in enumerate(records):
            transaction.put(b"%08d" % number, record)
    return LmdbReader(path)


def label(value: float) -> bytes:
    return label_datum(value).SerializeToString()


def test_labels_in_key_order(tmp_path: Path) -> None:
    labels = read_labels(database(tmp_path, [label(value) for value in (3, -1, 0, 13)]))
    assert labels.dtype == np.int64 and labels.tolist() == [3, -1, 0, 13]


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (b"\xff\xff", "record 00000001: not a Datum"),
        (IMAGE, "expected a label database, records of one number each, got 12 in record 00000001"),
        (label(-2), "record 00000001: expected a whole number >= -1, got -2.0"),
        (label(0.5), "record 00000001: expected a whole number >= -1, got 0.5"),
        (label(float("nan")), "record 00000001: expected a whole number >= -1, got nan"),
        (label(float("inf")), "record 00000001: expected a whole number >= -1, got inf"),
    ],
)
def test_what_is_no_label(tmp_path: Path, record: bytes, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        read_labels(database(tmp_path, [label(1), record, label(2)]))
