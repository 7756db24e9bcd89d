"""Damaged HDF5 files, as data and as weights, and datasets of all sorts that a net cannot take."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from damage import damaged, survey

from caffe_compat.data.hdf5 import Hdf5Batches, inspect, read_file_list
from caffe_compat.errors import DataError, WeightsError
from caffe_compat.weights.hdf5 import read_hdf5_layers, read_hdf5_state, write_hdf5_state


def some_file(**options: Any) -> bytes:
    content, numbers = io.BytesIO(), np.random.default_rng(0)
    with h5py.File(content, "w", **options) as file:
        file["data"] = numbers.random((20, 3, 5)).astype(np.float32)
        file.create_dataset("label", data=numbers.integers(0, 9, (20, 1)), chunks=(5, 1), compression="gzip")
    return content.getvalue()


def read_rows(path: Path) -> None:
    names = ["data", "label"]
    Hdf5Batches([inspect(str(path), "list:1", names)], names, 7)[0]


def survey_of(path: Path, contents: list[bytes], read: Callable[[Path], object], count: int) -> None:
    """The first 3000 bytes hold what describes the datasets."""

    def damage_and_read(rng: random.Random) -> None:
        content = rng.choice(contents)
        path.write_bytes(damaged(content, rng, list(range(min(len(content), 3000)))))
        read(path)

    found = survey(count, damage_and_read)
    assert not found.failures and found.slowest < 1, found
    assert found.refused > count // 10, found


def test_damaged_files_of_rows(tmp_path: Path) -> None:
    survey_of(tmp_path / "x.h5", [some_file(), some_file(libver="latest")], read_rows, 1000)


def test_damaged_states_and_weights(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    write_hdf5_state(path, 7, "w.caffemodel.h5", 1, [np.ones((2, 3), np.float32), np.zeros(4, np.float32)])
    survey_of(path, [path.read_bytes()], read_hdf5_state, 500)
    with h5py.File(path, "w") as file:
        file["data/conv/0"] = np.ones((2, 3), np.float32)
        file["data/conv/1"] = np.ones(2, np.float32)
    survey_of(path, [path.read_bytes()], read_hdf5_layers, 500)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda file: file.create_dataset("label", data=["a", "b"]), "expected integers or floating point numbers"),
        (lambda file: file.create_dataset("label", (2,), [("x", "f4")]), "expected integers or floating point numbers"),
        (lambda file: file.create_dataset("label", (2,), h5py.ref_dtype), "floating point numbers, got object"),
        (lambda file: file.create_dataset("label", data=h5py.Empty("f4")), "Input must have at least 1 axis"),
        (lambda file: file.create_dataset("label", (2**60, 4), "u1", chunks=(1, 4)), "the numbers are not in the file"),
        (lambda file: file.create_dataset("label", (2**60, 0), "f4"), "the numbers are not in the file"),
        (lambda file: file.create_group("label"), 'Failed to find HDF5 dataset "label"'),
        (lambda file: file.__setitem__("label", h5py.SoftLink("/label")), "too many links"),
        (lambda file: file.__setitem__("label", h5py.SoftLink("/gone")), 'Failed to find HDF5 dataset "label"'),
        (lambda file: file.__setitem__("label", h5py.ExternalLink("gone.h5", "/x")), "label"),
    ],
)  # fmt: skip
def test_datasets_that_are_none_of_numbers(tmp_path: Path, make: Callable[[Any], Any], problem: str) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        make(file)
    with pytest.raises(DataError, match=problem) as raised:
        inspect(str(tmp_path / "x.h5"), "list:1", ["label"])
    assert raised.value.path == "list:1" and "x.h5" in raised.value.problem


def test_links_to_numbers_are_followed_as_caffe_does(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.arange(3)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["label"], file["soft"] = h5py.ExternalLink("other.h5", "/x"), h5py.SoftLink("/label")
    assert inspect(str(tmp_path / "x.h5"), "list:1", ["label", "soft"]).rows == 3


def test_a_file_that_changes(tmp_path: Path) -> None:
    (tmp_path / "x.h5").write_bytes(some_file())
    batches = Hdf5Batches([inspect(str(tmp_path / "x.h5"), "list:1", ["data"])], ["data"], 4)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["data"] = np.zeros((20, 3, 6))
    with pytest.raises(DataError, match="it was changed since the net was made"):
        batches[0]


def test_a_file_in_place_of_a_list(tmp_path: Path) -> None:
    (tmp_path / "x.h5").write_bytes(some_file())
    with pytest.raises(DataError, match="it is an HDF5 file; expected a list"):
        read_file_list(str(tmp_path / "x.h5"))


def test_numbers_of_a_state_that_are_not_one(tmp_path: Path) -> None:
    """A terabyte of zeros for an iteration, or for a name, that takes no place in the file."""
    for name in ("iter", "learned_net"):
        write_hdf5_state(tmp_path / "x.h5", 7, "", 1, [])
        with h5py.File(tmp_path / "x.h5", "a") as file:
            del file[name]
            file.create_dataset(name, (2**40,), "u1", chunks=(1024,))
        with pytest.raises(
            WeightsError, match=f"{name}: expected (one integer|a string of up to 65536 bytes), got 1099"
        ):
            read_hdf5_state(tmp_path / "x.h5")
