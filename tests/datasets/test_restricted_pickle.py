"""Pickles that hold arrays are read; pickles that want to run something are refused and run nothing."""

from __future__ import annotations

import codecs
import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_datasets import Python2Pickler

from caffe_compat.datasets.restricted_pickle import read_pickle, read_torch_file
from caffe_compat.errors import DataError

ARRAYS = {"bytes": np.arange(6, dtype=np.uint8).reshape(2, 3), "whole": np.array([3, -1], np.int64)}


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_arrays_of_python_3(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "p").write_bytes(pickle.dumps({**ARRAYS, "list": [1, (2.5, None)]}, protocol))
    content = read_pickle(tmp_path / "p")
    assert content["list"] == [1, (2.5, None)]
    for name, array in ARRAYS.items():
        assert content[name].dtype == array.dtype
        np.testing.assert_array_equal(content[name], array)


def test_arrays_of_python_2_with_byte_strings(tmp_path: Path) -> None:
    with open(tmp_path / "p", "wb") as file:
        Python2Pickler(file, 2).dump({b"data": ARRAYS["bytes"], b"name": b"\xff\x00"})
    assert b"cnumpy.core.multiarray\n_reconstruct" in (tmp_path / "p").read_bytes()
    content = read_pickle(tmp_path / "p")
    assert content[b"name"] == b"\xff\x00"
    np.testing.assert_array_equal(content[b"data"], ARRAYS["bytes"])


@pytest.mark.parametrize("zipped", [True, False])
def test_arrays_saved_by_torch(tmp_path: Path, zipped: bool) -> None:
    torch.save(ARRAYS, tmp_path / "p.pt", _use_new_zipfile_serialization=zipped)
    assert zipfile.is_zipfile(tmp_path / "p.pt") == zipped
    np.testing.assert_array_equal(read_torch_file(tmp_path / "p.pt")["whole"], ARRAYS["whole"])


class Call:
    """Pickles as a call of ``function``."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.function, self.args = function, args

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.function, self.args


def hostile(folder: Path) -> list[tuple[Any, str]]:
    """What a pickle may ask for, and how its name shows in the message."""
    return [
        (Call(os.system, f"touch {folder}/ran"), r"(posix|nt)\.system"),
        (Call(eval, f"open('{folder}/ran', 'w')"), r"__builtin__\.eval"),
        (Call(open, f"{folder}/ran", "w"), r"_?io\.open"),
        (Call(codecs.encode, "text", "rot13"), r"codec 'rot13'"),
        (Call(np.load, f"{folder}/other.npy"), r"numpy.*load"),
        (np.int64, r"numpy\.int64"),
    ]


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("kind", ["pickle", "zip", "legacy"])
def test_nothing_else_is_run(tmp_path: Path, number: int, kind: str) -> None:
    content, name = hostile(tmp_path)[number]
    path = tmp_path / "p"
    if kind == "pickle":
        path.write_bytes(pickle.dumps({"labels": content}, 2))
    else:
        torch.save({"labels": content}, path, _use_new_zipfile_serialization=kind == "zip")
    with pytest.raises(DataError, match=rf"p: not a pickle .* it asks for .*{name}.*, which is not allowed"):
        (read_pickle if kind == "pickle" else read_torch_file)(path)
    assert os.listdir(tmp_path) == ["p"]


def test_a_pickle_in_front_of_the_legacy_one_is_not_run_either(tmp_path: Path) -> None:
    stream = io.BytesIO()
    pickle.dump(Call(os.system, f"touch {tmp_path}/ran"), stream, 2)
    (tmp_path / "p").write_bytes(stream.getvalue())
    with pytest.raises(DataError, match="system, which is not allowed"):
        read_torch_file(tmp_path / "p")
    assert os.listdir(tmp_path) == ["p"]


def test_tensors_are_refused(tmp_path: Path) -> None:
    torch.save({"labels": torch.arange(3)}, tmp_path / "p.pt")
    with pytest.raises(DataError, match="p.pt: not a pickle of numpy arrays"):
        read_torch_file(tmp_path / "p.pt")


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps(ARRAYS)[:-20]])
@pytest.mark.parametrize("read", [read_pickle, read_torch_file])
def test_damaged_files(tmp_path: Path, content: bytes, read: Any) -> None:
    (tmp_path / "p").write_bytes(content)
    with pytest.raises(DataError, match="p: not a pickle of numpy arrays"):
        read(tmp_path / "p")


def test_an_archive_without_a_pickle(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.pt", "w") as archive:
        archive.writestr("x/version", "3")
    with pytest.raises(DataError, match="expected one data.pkl in the archive, got 0"):
        read_torch_file(tmp_path / "p.pt")


def test_a_memo_larger_than_the_pickle(tmp_path: Path) -> None:
    """Python would make room for 2 ** 31 numbers before it reads on."""
    (tmp_path / "p").write_bytes(b"\x80\x02}r\xff\xff\xff\x7f.")
    with pytest.raises(DataError, match="p: .*memo: expected numbers in their order, got 2147483647"):
        read_pickle(tmp_path / "p")


def test_an_archive_that_is_compressed(tmp_path: Path) -> None:
    """A thousand times what it takes on disk may come out of it."""
    with zipfile.ZipFile(tmp_path / "p.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", pickle.dumps(ARRAYS, 2))
    with pytest.raises(DataError, match="data.pkl is compressed"):
        read_torch_file(tmp_path / "p.pt")
