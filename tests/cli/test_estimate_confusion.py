"""tools/estimate_confusion.py through its command line."""

from __future__ import annotations

import csv
import math
import os
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from caffe_compat.cli.estimate_confusion import main
from caffe_compat.label_noise.confusion import estimate_confusion, estimate_from_counts
from caffe_compat.weights import read_blobproto_file

PAIRS = """key,clean,noisy
"images/0/00/130,347.jpg",0,0
b.jpg,0,2
"with ""quotes"".jpg",0,2
d.jpg,0,1
e.jpg,1,2
f.jpg,2,2
"""


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.csv"
    path.write_text(PAIRS)
    return path


def run(pairs: Path, *more: str) -> int:
    out = pairs.parent
    return main([str(pairs), "--num_classes", "3", "--out", str(out / "C.binaryproto"), *more])


def test_writes_the_matrix_and_the_noise_types(pairs: Path, tmp_path: Path) -> None:
    assert run(pairs, "--noise-types", str(tmp_path / "types.csv")) == 0
    expected = estimate_confusion([0, 2, 2, 1, 2, 2], [0, 0, 0, 0, 1, 2], 3)
    blob = read_blobproto_file(tmp_path / "C.binaryproto")
    assert blob.shape == (1, 1, 3, 3)
    np.testing.assert_array_equal(blob[0, 0], expected.confusion.astype(np.float32))
    np.testing.assert_array_equal(np.load(tmp_path / "C.npy"), expected.confusion)
    with open(tmp_path / "types.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["key", "noise_type"], ["images/0/00/130,347.jpg", "0"], ["b.jpg", "2"], ['with "quotes".jpg', "2"],
        ["d.jpg", "1"], ["e.jpg", "2"], ["f.jpg", "0"],
    ]  # fmt: skip


def test_prints_the_table(pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "names.txt").write_text("coat\nvest\nunderwear\n")
    assert run(pairs, "--names", str(tmp_path / "names.txt")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["0", "coat", "4", "3", "1", "0.6667", "1", "1", "2"]
    assert lines[2].split() == ["1", "vest", "1", "1", "1", "1.0000", "0", "0", "1"]
    assert lines[3].split() == ["2", "underwear", "1", "0", "0", "-", "1", "0", "0"]
    assert lines[4].split() == ["all", "6", "4", "2", "1", "3"]
    constant = -(2 * math.log(2 / 6) + math.log(1 / 6) + 3 * math.log(3 / 6)) / 6
    of_class = -(2 * math.log(1 / 4) + 2 * math.log(2 / 4)) / 6
    assert lines[5] == (
        f"log loss of p(z|x): {constant:.3f} nats for these frequencies, {of_class:.3f} for those of the true class"
    )
    assert lines[6:] == [f"wrote {tmp_path / name}" for name in ("C.binaryproto", "C.npy")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("x.jpg,0", r":8: expected 3 fields .* got 2"),
        ("a,b.jpg,0,1", r":8: expected 3 fields .* quote a key that holds a comma\), got 4"),
        ("", r":8: expected 3 fields .* got 0"),
        ("x.jpg,0,3", r":8: noisy: expected a whole number in \[0, 3\), got '3'"),
        ("x.jpg,-1,0", r":8: clean: .* got '-1'"),
        ("x.jpg,0,1.0", r":8: noisy: .* got '1.0'"),
        ('"x".jpg,0,1', r":8: not a CSV row"),
    ],
)
def test_a_malformed_line_is_named(pairs: Path, line: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    pairs.write_text(PAIRS + line + "\n")
    assert run(pairs, "--noise_types", str(pairs.parent / "types.csv")) == 2
    error = capsys.readouterr().err
    assert error.startswith(str(pairs)) and error.count("\n") == 1
    assert re.search(message, error)
    assert [path.name for path in pairs.parent.iterdir()] == ["pairs.csv"]


@pytest.mark.parametrize("text", ["", "key,noisy,clean\na,0,1\n", "a.jpg,0,1\n"])
def test_a_wrong_header_is_refused(pairs: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    pairs.write_text(text)
    assert run(pairs) == 2
    assert "expected the header key,clean,noisy" in capsys.readouterr().err


def test_existing_files_stay_unless_forced(pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (pairs.parent / "C.npy").write_text("precious")
    assert run(pairs) == 2
    assert "C.npy: exists; --force overwrites it" in capsys.readouterr().err
    assert (pairs.parent / "C.npy").read_text() == "precious"
    assert run(pairs, "--force") == 0
    assert run(pairs, "--force", "--noise_types", str(pairs)) == 2
    assert "is an input" in capsys.readouterr().err
    assert np.load(pairs.parent / "C.npy").shape == (3, 3)


def test_names_must_fit_the_classes(pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (pairs.parent / "names.txt").write_text("a\nb\n")
    assert run(pairs, "--names", str(pairs.parent / "names.txt")) == 2
    assert "names.txt: expected 3 names, one a line, got 2" in capsys.readouterr().err


def test_a_pipe_cannot_be_read_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pairs.csv")
    assert run(tmp_path / "pairs.csv") == 2
    assert "expected a regular file" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [[], ["p.csv", "--num_classes", "1", "--out", "C.binaryproto"],
                                  ["p.csv", "--num_classes", "3", "--out", "C.npy"],
                                  ["missing.csv", "--num_classes", "3", "--out", "C.binaryproto"]])  # fmt: skip
def test_wrong_usage_exits_2(argv: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 2
    assert not list(tmp_path.iterdir())


def peak_memory(folder: Path, rows: int) -> int:
    """Bytes at the peak of one run over ``rows`` generated rows."""
    rng = np.random.default_rng(rows)
    labels = rng.integers(0, 3, (rows, 2))
    with open(folder / "many.csv", "w") as file:
        file.write("key,clean,noisy\n")
        file.writelines(f"images/{i:08d}.jpg,{clean},{noisy}\n" for i, (clean, noisy) in enumerate(labels))
    tracemalloc.start()
    try:
        assert run(folder / "many.csv", "--noise_types", str(folder / "types.csv"), "--force") == 0
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_grows_by_a_few_bytes_a_sample(tmp_path: Path) -> None:
    peak_memory(tmp_path, 10)  # imports and caches
    few, many = peak_memory(tmp_path, 1_000), peak_memory(tmp_path, 20_000)
    assert many < few + 500_000  # 19,000 more rows, 8 bytes each and a sorted copy; their keys take over 1,000,000


@pytest.mark.parametrize("rows", [PAIRS + "more.jpg,0,0\n", PAIRS.rsplit("\n", 2)[0] + "\n"], ids=["longer", "shorter"])
def test_a_file_that_changes_between_the_passes_is_refused(
    pairs: Path, rows: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def change_then_estimate(counts: np.ndarray) -> object:
        pairs.write_text(rows)
        return estimate_from_counts(counts)

    monkeypatch.setattr("caffe_compat.cli.estimate_confusion.estimate_from_counts", change_then_estimate)
    assert run(pairs, "--noise_types", str(pairs.parent / "types.csv")) == 2
    assert "changed while it was read: expected 6 rows, got" in capsys.readouterr().err
    assert [path.name for path in pairs.parent.iterdir()] == ["pairs.csv"]
