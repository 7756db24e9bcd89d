"""The CSV files of pairs and noise types."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffe_compat.datasets import pairs
from caffe_compat.datasets.pairs import (
    count_pairs_in,
    read_all_pairs,
    read_noise_types,
    read_noisy_labels,
    read_pairs,
    write_noise_types,
    write_pairs,
)
from caffe_compat.errors import DataError

PAIRS = [
    ("images/0/00/1,2.jpg", 0, 1),
    ('say "a"', 2, 2),
    ("two\nlines", 1, 0),
    ("byte \udcff", 0, 0),
    (" blank ", 0, 1),
]


def test_any_key_survives(tmp_path: Path) -> None:
    write_pairs(tmp_path / "p.csv", PAIRS)
    assert list(read_pairs(tmp_path / "p.csv", 3)) == PAIRS
    types = {key: clean for key, clean, _ in PAIRS}
    write_noise_types(tmp_path / "t.csv", types.items())
    assert read_noise_types(tmp_path / "t.csv") == types
    assert read_noisy_labels(tmp_path / "p.csv") == {key: noisy for key, _, noisy in PAIRS}


def test_counts_are_noisy_by_true(tmp_path: Path) -> None:
    write_pairs(tmp_path / "p.csv", PAIRS)
    assert count_pairs_in(tmp_path / "p.csv", 3).tolist() == [[1, 1, 0], [2, 0, 0], [0, 0, 1]]


def test_a_file_saved_by_a_spreadsheet(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_bytes(b"\xef\xbb\xbfkey,clean,noisy\r\na.jpg,1,2\r\n")
    assert list(read_pairs(tmp_path / "p.csv", 3)) == [("a.jpg", 1, 2)]


def test_line_numbers_count_lines_not_rows(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text('key,clean,noisy\n"two\nlines",0,0\nx,0,9\n')
    with pytest.raises(DataError, match=r"p\.csv:4: noisy: expected a whole number in \[0, 3\), got '9'"):
        list(read_pairs(tmp_path / "p.csv", 3))


def test_a_key_twice_is_refused(tmp_path: Path) -> None:
    write_noise_types(tmp_path / "t.csv", [("a", 0), ("b", 1), ("a", 2)])
    with pytest.raises(DataError, match=r"t\.csv:4: key 'a' appears twice"):
        read_noise_types(tmp_path / "t.csv")


def test_a_pair_counts_once(tmp_path: Path) -> None:
    write_pairs(tmp_path / "p.csv", [("a", 0, 0), ("b", 1, 1), ("b", 1, 0), ("c", 1, 1)])
    for read in (count_pairs_in, read_all_pairs):
        with pytest.raises(DataError, match=r"p\.csv:4: key 'b' appears twice"):
            read(tmp_path / "p.csv", 2)


def test_two_keys_of_one_hash_are_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "hash", len, raising=False)
    write_pairs(tmp_path / "p.csv", [("a", 0, 0), ("b", 1, 1)])
    assert count_pairs_in(tmp_path / "p.csv", 2).tolist() == [[1, 0], [0, 1]]


def test_there_are_three_noise_types(tmp_path: Path) -> None:
    write_noise_types(tmp_path / "t.csv", [("a", 3)])
    with pytest.raises(DataError, match=r"t\.csv:2: noise_type: expected a whole number in \[0, 3\), got '3'"):
        read_noise_types(tmp_path / "t.csv")
