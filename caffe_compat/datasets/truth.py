"""True labels that no training saw, by key: a CSV whose header has ``key`` and ``true``; other columns are ignored."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable

from caffe_compat.datasets.text_lines import csv_errors
from caffe_compat.datasets.whole_numbers import whole_number
from caffe_compat.errors import DataError, expected_got

KEY, TRUE = "key", "true"


def read_truth(path: str | os.PathLike[str], num_classes: int) -> dict[str, int]:
    """{key: true label}.

    Raises: DataError with file and line for a wrong header, row or label, or a key given twice.
    """
    truth: dict[str, int] = {}
    with open(path, newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        reader = csv.DictReader(file, strict=True)
        with csv_errors(path, reader.reader):
            if not {KEY, TRUE} <= set(reader.fieldnames or ()):
                wanted = expected_got(f"a header with {KEY} and {TRUE}", ",".join(reader.fieldnames or ()))
                raise DataError(wanted, path=f"{os.fspath(path)}:1")
            for row in reader:
                place = f"{os.fspath(path)}:{reader.line_num}"
                key, text = row[KEY], row[TRUE]
                label = whole_number(text or "")
                if label is None or label >= num_classes:
                    raise DataError(
                        expected_got(f"a whole number in [0, {num_classes})", repr(text)), path=place, field=TRUE
                    )
                if key in truth:
                    raise DataError(f"key {key!r} appears twice", path=place)
                truth[key] = label
    if not truth:
        raise DataError("no true label in it", path=os.fspath(path))
    return truth


def write_truth(path: str | os.PathLike[str], truth: Iterable[tuple[str, int]]) -> None:
    """Write (key, true label) pairs, in place: pass the temporary name of ``files.atomic_path``."""
    with open(path, "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((KEY, TRUE))
        writer.writerows(truth)
