"""The CSV files around the confusion matrix, read and written a row at a time.

- pairs: header ``key,clean,noisy``; one sample a row, labels whole numbers from 0.
- noise types: header ``key,noise_type``; 0 noise free, 1 pure random, 2 confusing.

Keys that hold commas, quotes or line ends are quoted as CSV does; bytes that are not UTF-8 survive unchanged.
"""

from __future__ import annotations

import csv
import os
import stat
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from caffe_compat.arrays import IntArray
from caffe_compat.datasets.text_lines import csv_errors
from caffe_compat.datasets.whole_numbers import whole_number
from caffe_compat.errors import DataError, expected_got

PAIRS_HEADER = ("key", "clean", "noisy")
NOISE_TYPES_HEADER = ("key", "noise_type")
NUM_NOISE_TYPES = 3
ANY_NUMBER = 2**31  # of classes: what an int32 label can tell apart

Pair = tuple[str, int, int]
_Value = TypeVar("_Value")


def read_pairs(path: str | os.PathLike[str], num_classes: int) -> Iterator[Pair]:
    """Yield (key, clean, noisy) of each row; labels in [0, num_classes).

    Raises: DataError with file and line number for a wrong header, row or label.
    """
    for place, (key, clean, noisy) in _rows(path, PAIRS_HEADER):
        yield key, _label(place, "clean", clean, num_classes), _label(place, "noisy", noisy, num_classes)


def count_pairs_in(path: str | os.PathLike[str], num_classes: int) -> IntArray:
    """Count the rows of a pairs file: (num_classes, num_classes) int64 indexed [noisy, true].

    Holds eight bytes of each row; where a key is there twice, the file is read again for its line.
    Raises: DataError with file and line number for a wrong header, row or label, or a key given twice.
    """
    counts = [[0] * num_classes for _ in range(num_classes)]
    hashes = array("q")
    for key, clean, noisy in read_pairs(path, num_classes):
        counts[noisy][clean] += 1
        hashes.append(hash(key))
    if repeated := _repeated(hashes):
        _by_key((place, key, None) for place, (key, _, _) in _rows(path, PAIRS_HEADER) if hash(key) in repeated)
    return np.array(counts, dtype=np.int64)


def read_all_pairs(path: str | os.PathLike[str], num_classes: int = ANY_NUMBER) -> dict[str, tuple[int, int]]:
    """Read a pairs file into {key: (clean, noisy label)}; labels in [0, num_classes), if that is given.

    Raises: DataError with file and line number for a wrong header, row or label, or a key given twice.
    """
    rows = _rows(path, PAIRS_HEADER)
    return _by_key(
        (place, key, (_label(place, "clean", clean, num_classes), _label(place, "noisy", noisy, num_classes)))
        for place, (key, clean, noisy) in rows
    )


def read_noisy_labels(path: str | os.PathLike[str]) -> dict[str, int]:
    """Read a pairs file into {key: noisy label}; as :func:`read_all_pairs`."""
    return {key: noisy for key, (_, noisy) in read_all_pairs(path).items()}


def write_pairs(path: str | os.PathLike[str], pairs: Iterable[Pair]) -> None:
    """Write a pairs file. ``path`` is written in place: pass the temporary name of ``files.atomic_path``."""
    _write(path, PAIRS_HEADER, pairs)


def read_noise_types(path: str | os.PathLike[str]) -> dict[str, int]:
    """Read a noise types file into {key: noise type}.

    Raises: DataError with file and line number for a wrong header, row or type, or a key given twice.
    """
    rows = _rows(path, NOISE_TYPES_HEADER)
    return _by_key((place, key, _label(place, "noise_type", kind, NUM_NOISE_TYPES)) for place, (key, kind) in rows)


def write_noise_types(path: str | os.PathLike[str], types: Iterable[tuple[str, int]]) -> None:
    """Write a noise types file, in place as :func:`write_pairs` does."""
    _write(path, NOISE_TYPES_HEADER, types)


def require_regular_file(path: str | os.PathLike[str]) -> None:
    """Refuse a pipe where a file is read twice. Raises: DataError; FileNotFoundError."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise DataError("it is read twice: expected a regular file, got a pipe, device or folder", path=str(path))


def _rows(path: str | os.PathLike[str], header: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield (``file:line`` for messages, fields) of each row after the header."""
    with open(path, newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        reader = csv.reader(file, strict=True)
        with csv_errors(path, reader):
            for number, row in enumerate(reader):
                place = f"{path}:{reader.line_num}"
                if number == 0 and row != list(header):
                    raise DataError(expected_got(f"the header {','.join(header)}", repr(",".join(row))), path=place)
                if len(row) != len(header):
                    fields = f"{len(header)} fields ({','.join(header)}; quote a key that holds a comma)"
                    raise DataError(expected_got(fields, len(row)), path=place)
                if number:
                    yield place, row
        if reader.line_num == 0:
            raise DataError(expected_got(f"the header {','.join(header)}", "an empty file"), path=str(path))


def _label(place: str, field: str, text: str, num_labels: int = ANY_NUMBER) -> int:
    label = whole_number(text)
    if label is None or label >= num_labels:
        raise DataError(expected_got(f"a whole number in [0, {num_labels})", repr(text)), path=place, field=field)
    return label


def _repeated(hashes: array[int]) -> set[int]:
    ordered = np.sort(np.frombuffer(hashes, np.int64))
    return set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())


def _by_key(rows: Iterable[tuple[str, str, _Value]]) -> dict[str, _Value]:
    labels: dict[str, _Value] = {}
    for place, key, label in rows:
        if key in labels:
            raise DataError(f"key {key!r} appears twice", path=place)
        labels[key] = label
    return labels


def _write(path: str | os.PathLike[str], header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with open(Path(path), "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
