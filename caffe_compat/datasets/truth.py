"""True labels that no training saw, by key: a CSV whose header has ``key`` and ``true`` (other columns are ignored), or
a list of ``path label`` lines.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator

from caffe_compat.data.image_list import parse_entry, read_list
from caffe_compat.datasets.text_lines import csv_errors
from caffe_compat.datasets.whole_numbers import whole_number
from caffe_compat.errors import DataError, expected_got

KEY, TRUE = "key", "true"


def read_truth(path: str | os.PathLike[str], num_classes: int) -> dict[str, int]:
    """{key: true label}, of a CSV or of a list of ``path label`` lines.

    Raises: DataError with file and line for a wrong header, row or label, or a key given twice.
    """
    truth: dict[str, int] = {}
    for place, key, text in _list_rows(path) if _is_list(path) else _csv_rows(path):
        label = whole_number(text)
        if label is None or label >= num_classes:
            raise DataError(expected_got(f"a whole number in [0, {num_classes})", repr(text)), path=place, field=TRUE)
        if key in truth:
            raise DataError(f"key {key!r} appears twice", path=place)
        truth[key] = label
    if not truth:
        raise DataError("no true label in it", path=os.fspath(path))
    return truth


def _is_list(path: str | os.PathLike[str]) -> bool:
    """Whether its first line is an entry of a list, which the header of a CSV is not."""
    with open(path, "rb") as file:
        first = file.readline()
    try:
        parse_entry(first, 0, path)
    except DataError:
        return False
    return True


def _list_rows(path: str | os.PathLike[str]) -> Iterator[tuple[str, str, str]]:
    for entry in read_list(path, skip_blank=True):
        yield f"{os.fspath(path)}:{entry.line}", entry.path, str(entry.label)


def _csv_rows(path: str | os.PathLike[str]) -> Iterator[tuple[str, str, str]]:
    """Place, key and label of every row."""
    with open(path, newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        reader = csv.DictReader(file, strict=True)
        with csv_errors(path, reader.reader):
            if not {KEY, TRUE} <= set(reader.fieldnames or ()):
                wanted = f'a header with {KEY} and {TRUE}, or a list of "path label" lines'
                problem = expected_got(wanted, ",".join(reader.fieldnames or ()))
                raise DataError(problem, path=f"{os.fspath(path)}:1")
            for row in reader:
                yield f"{os.fspath(path)}:{reader.line_num}", row[KEY] or "", row[TRUE] or ""


def write_truth(path: str | os.PathLike[str], truth: Iterable[tuple[str, int]]) -> None:
    """Write (key, true label) pairs, in place: pass the temporary name of ``files.atomic_path``."""
    with open(path, "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((KEY, TRUE))
        writer.writerows(truth)
