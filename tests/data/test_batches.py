"""Which records a batch holds."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from databases import pixels, write_images

from caffe_compat.data.batches import BatchDataset
from caffe_compat.data.datum import encoded_datum
from caffe_compat.data.lmdb_store import LmdbReader, write_database
from caffe_compat.data.reading_order import load_index
from caffe_compat.data.transformer import Transformer
from caffe_compat.errors import DataError
from caffe_compat.proto import caffe_pb2

PARAM = caffe_pb2.TransformationParameter


def dataset(path: Path, batch_size: int, index: list[int] | None = None, start: int = 0) -> BatchDataset:
    order = None if index is None else np.array(index)
    return BatchDataset(LmdbReader(path), order, Transformer(PARAM()), batch_size, start)


@pytest.fixture
def seven(tmp_path: Path) -> Path:
    return write_images(tmp_path / "db", pixels(7))


def test_batches_follow_key_order_and_wrap(seven: Path) -> None:
    batches = dataset(seven, 3)
    assert [batches[k][1].tolist() for k in range(5)] == [[0, 1, 2], [3, 4, 5], [6, 0, 1], [2, 3, 4], [5, 6, 0]]
    assert [batches.restarts(k) for k in range(5)] == [0, 0, 1, 0, 1]
    np.testing.assert_array_equal(batches[2][0].numpy(), pixels(7)[[6, 0, 1]])


def test_a_batch_may_be_larger_than_the_database(seven: Path) -> None:
    batches = dataset(seven, 15)
    assert batches[1][1].tolist() == [n % 7 for n in range(15, 30)]
    assert [batches.restarts(k) for k in range(3)] == [2, 2, 2]


def test_reading_can_begin_anywhere(seven: Path) -> None:
    batches = dataset(seven, 3, start=5)
    assert [batches[k][1].tolist() for k in range(2)] == [[5, 6, 0], [1, 2, 3]]
    assert [batches.restarts(k) for k in range(3)] == [1, 0, 1]


def test_an_index_gives_the_order(seven: Path) -> None:
    batches = dataset(seven, 2, index=[6, 0, 6, 3, 3], start=1)
    assert [batches[k][1].tolist() for k in range(3)] == [[0, 6], [3, 3], [6, 0]]
    assert batches.num_records == 5


def shuffled(path: Path, batch_size: int, seed: int = 0, **options: object) -> BatchDataset:
    known: dict[str, Any] = {"index": None, "batch_size": batch_size, "shuffle_seed": seed, **options}
    return BatchDataset(LmdbReader(path), transformer=Transformer(PARAM()), **known)


def labels_of(batches: BatchDataset, count: int) -> list[int]:
    """The labels of the first ``count`` batches."""
    return [int(label) for k in range(count) for label in batches[k][1]]


def test_shuffled_rounds_hold_every_record_once_in_ever_new_orders(seven: Path) -> None:
    labels = labels_of(shuffled(seven, 3), 14)
    rounds = [labels[first : first + 7] for first in range(0, 42, 7)]
    assert all(sorted(order) == list(range(7)) for order in rounds)
    assert len({tuple(order) for order in rounds}) == 6


def test_shuffled_order_depends_on_the_seed_and_the_place_alone(seven: Path) -> None:
    labels = labels_of(shuffled(seven, 3), 14)
    assert labels_of(shuffled(seven, 21), 2) == labels
    assert labels_of(shuffled(seven, 3, start=9), 4) == labels[9:21]
    assert labels_of(shuffled(seven, 3, seed=1), 14) != labels
    backwards = shuffled(seven, 3)
    assert [backwards[k][1].tolist() for k in (13, 0)] == [labels[39:42], labels[:3]]


def test_an_index_is_shuffled_as_a_whole(seven: Path) -> None:
    labels = labels_of(shuffled(seven, 5, index=np.array([6, 0, 6, 3, 3])), 3)
    assert all(sorted(labels[first : first + 5]) == [0, 3, 3, 6, 6] for first in (0, 5, 10))


def test_a_data_set_travels_to_a_worker(seven: Path) -> None:
    batches = dataset(seven, 3, index=[6, 0, 2])
    assert pickle.loads(pickle.dumps(batches))[0][1].tolist() == batches[0][1].tolist() == [6, 0, 2]


def encoded(path: Path, *sizes: tuple[int, int]) -> Path:
    images = (cv2.imencode(".png", np.full(size, 9, np.uint8))[1].tobytes() for size in sizes)
    write_database(path, ((b"%d.png" % n, encoded_datum(image, n)) for n, image in enumerate(images)))
    return path


def test_records_of_one_batch_must_have_one_size(tmp_path: Path) -> None:
    batches = dataset(encoded(tmp_path / "db", (4, 5), (4, 5), (4, 6), (4, 6)), 2)
    assert batches[0][0].shape == (2, 1, 4, 5) and batches[1][0].shape == (2, 1, 4, 6)
    problem = r"record 2.png: all records .* \(1, 4, 5\) as in the first, got \(1, 4, 6\)"
    with pytest.raises(DataError, match=problem) as raised:
        dataset(tmp_path / "db", 2, start=1)[0]
    assert raised.value.path == str(tmp_path / "db")


def test_a_broken_record_is_named(tmp_path: Path) -> None:
    write_database(tmp_path / "db", [(b"a", encoded_datum(b"x", 0))])
    with pytest.raises(DataError, match="db: record a: not a readable image"):
        dataset(tmp_path / "db", 1)[0]


def test_an_index_is_read_without_loading_it(tmp_path: Path) -> None:
    np.save(tmp_path / "order.npy", np.array([2, 0, 2]))
    index = load_index(tmp_path / "order.npy", 3)
    assert isinstance(index, np.memmap) and index.tolist() == [2, 0, 2]


@pytest.mark.parametrize(
    "array, problem",
    [
        (np.array([0, 3]), r"expected positions in \[0, 3\), got \[0, 3\]"),
        (np.array([-1, 2]), r"got \[-1, 2\]"),
        (np.array([0, 1], np.int32), "expected int64 .* got int32"),
        (np.zeros((2, 1), np.int64), r"got int64 of shape \(2, 1\)"),
        (np.zeros(0, np.int64), r"got int64 of shape \(0,\)"),
    ],
)
def test_an_index_that_does_not_fit(tmp_path: Path, array: np.ndarray, problem: str) -> None:
    np.save(tmp_path / "order.npy", array)
    with pytest.raises(DataError, match=problem) as raised:
        load_index(tmp_path / "order.npy", 3)
    assert raised.value.path == str(tmp_path / "order.npy")


def test_no_index_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no index there; tools/mix_datasets.py makes one"):
        load_index(tmp_path / "order.npy", 3)
    (tmp_path / "order.npy").write_text("0 1 2")
    with pytest.raises(DataError, match="not an .npy file"):
        load_index(tmp_path / "order.npy", 3)
