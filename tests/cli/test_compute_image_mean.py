"""tools/compute_image_mean.py against real Caffe's mean file."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from databases import GOLDEN_RUN, pixels, write_images

from caffe_compat.cli.compute_image_mean import main
from caffe_compat.data.datum import encode_datum, encoded_datum
from caffe_compat.data.lmdb_store import write_database
from caffe_compat.data.mean import mean_image
from caffe_compat.weights import read_blobproto_file


def messages(log: str) -> list[str]:
    return [re.sub(r"^[IWEF]\d{4,8} \S+ +\d+ \S+:\d+\] ", "", line) for line in log.splitlines()]


def test_the_mean_equals_real_caffes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train_lmdb").symlink_to(GOLDEN_RUN / "train_lmdb")
    assert main(["--backend=lmdb", "train_lmdb", "mean.binaryproto"]) == 0
    assert (tmp_path / "mean.binaryproto").read_bytes() == (GOLDEN_RUN / "mean.binaryproto").read_bytes()
    assert messages(capsys.readouterr().err) == messages((GOLDEN_RUN / "mean.log").read_text())


def test_the_sum_is_a_float32(tmp_path: Path) -> None:
    """2^24 + 1 is 2^24 there, three times over; a wider sum would give 4194304.75."""
    values = [np.full((1, 1, 1), value, np.float32) for value in (2**24, 1, 1, 1)]
    write_database(tmp_path / "db", ((b"%d" % n, encode_datum(value)) for n, value in enumerate(values)))
    assert mean_image(tmp_path / "db").tolist() == [[[4194304]]]


def test_without_a_file_only_the_log_tells(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([str(GOLDEN_RUN / "train_encoded_lmdb")]) == 0
    log = messages(capsys.readouterr().err)
    assert "Decoding Datum" in log and "Number of channels: 3" in log and not any("Write to" in line for line in log)
    assert list(tmp_path.iterdir()) == []


def test_floats_and_any_number_of_channels(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(6, 2, 3, 4)).astype(np.float32)
    write_database(tmp_path / "db", ((b"%d" % n, encode_datum(value)) for n, value in enumerate(values)))
    assert main([str(tmp_path / "db"), str(tmp_path / "mean.binaryproto")]) == 0
    mean = read_blobproto_file(tmp_path / "mean.binaryproto")
    assert mean.shape == (1, 2, 3, 4)
    np.testing.assert_allclose(mean[0], values.mean(0), atol=1e-6)
    np.testing.assert_array_equal(mean_image(tmp_path / "db"), mean[0])


def test_images_of_different_sizes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_images(tmp_path / "db", [*pixels(2), np.zeros((3, 7, 5), np.uint8)])
    assert main([str(tmp_path / "db"), str(tmp_path / "mean.binaryproto")]) == 2
    assert "record 00000002_2.png: expected the first record's size (3, 5, 7), got (3, 7, 5)" in capsys.readouterr().err
    assert not (tmp_path / "mean.binaryproto").exists()


def test_a_broken_record_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_database(tmp_path / "db", [(b"a.jpg", encoded_datum(b"x", 0))])
    assert main([str(tmp_path / "db")]) == 2
    assert "record a.jpg: not a readable image" in capsys.readouterr().err


def test_no_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none")]) == 2
    assert "no LMDB database there" in capsys.readouterr().err


@pytest.mark.parametrize("file, kind, other", [("CURRENT", "leveldb", "lmdb"), ("data.mdb", "lmdb", "leveldb")])
def test_a_database_of_the_other_kind(
    file: str, kind: str, other: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / file).touch()
    assert main([str(tmp_path), "--backend", other]) == 2
    problem = f"{tmp_path}: expected a database of kind {other}, got {kind}; give --backend {kind}"
    assert capsys.readouterr().err.splitlines()[-1] == problem
