"""Decisions that a person wrote into ranked lists, as new pairs of clean and noisy label."""

from __future__ import annotations

import csv
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from caffe_compat.datasets import layout
from caffe_compat.datasets.class_names import read_names
from caffe_compat.datasets.pairs import Pair
from caffe_compat.datasets.text_lines import csv_errors, utf8_lines
from caffe_compat.datasets.whole_numbers import whole_number
from caffe_compat.errors import DataError, expected_got
from caffe_compat.evaluation.label_quality.ranked_lists import DECISION, INDEX

_NEEDED = ("key", "noisy", DECISION)
_SEPARATORS = ",;\t"  # spreadsheets write what their country's settings say


def list_files(paths: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """The lists among ``paths``: files, and all lists of folders. Raises: DataError for a folder without any."""
    files: list[Path] = []
    for path in map(Path, paths):
        found = sorted(file for file in path.glob("*.csv") if file.name != INDEX) if path.is_dir() else [path]
        if not found:
            raise DataError("no lists in it; tools/score_labels.py --lists makes them", path=str(path))
        files += found
    return files


def read_decisions(files: Iterable[Path], names: Path | Sequence[str] | None = None) -> list[Pair]:
    """(key, clean, noisy) of every row that has a decision: a label, by number or by name.

    A decision may confirm the noisy label. Columns may be separated by commas, semicolons or tabs.

    Args:
        names: the class names or their file; None: ``names.txt`` beside each list.
    Raises: DataError with file and line for text that is not UTF-8, for a wrong header, row, key or label, and for an
        image with two decisions.
    """
    given = _class_names(names) if isinstance(names, Path) else names
    decided: dict[str, tuple[str, int, int]] = {}
    for file in files:
        for place, (key, clean, noisy) in _decisions(file, given or _class_names(_names_beside(file))):
            first = decided.setdefault(key, (place, clean, noisy))
            if first[1:] != (clean, noisy):
                problem = (
                    f"image {key!r}: {expected_got(f'the labels given at {first[0]}', f'others ({clean}, {noisy})')}"
                )
                raise DataError(problem, path=place)
    return [(key, clean, noisy) for key, (_, clean, noisy) in decided.items()]


def rows_skipped(file: Path) -> int:
    """Rows without a decision that stand before one with a decision. Raises: DataError as :func:`read_decisions`."""
    decided = [number for number, (_, row) in enumerate(_rows(file), start=1) if (row[DECISION] or "").strip()]
    return decided[-1] - len(decided) if decided else 0


def _decisions(file: Path, names: Sequence[str]) -> Iterator[tuple[str, Pair]]:
    for place, row in _rows(file):
        if text := (row[DECISION] or "").strip():
            key = row["key"] or ""
            if not key.strip():
                raise DataError(expected_got("the key of an image", repr(key)), path=place, field="key")
            noisy = _label(row["noisy"] or "", names, place, "noisy")
            yield place, (key, _label(text, names, place, DECISION), noisy)


def _rows(file: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Every row of a list, with its place."""
    lines = utf8_lines(file)
    header = next(lines, "")
    separator = max(_SEPARATORS, key=header.count)
    reader = csv.DictReader(itertools.chain([header], lines), delimiter=separator, strict=True)
    with csv_errors(file, reader.reader):
        if missing := [name for name in _NEEDED if name not in (reader.fieldnames or ())]:
            wanted = f"a list with the columns {', '.join(_NEEDED)}"
            raise DataError(expected_got(wanted, f"none called {', '.join(missing)}"), path=f"{file}:1")
        for row in reader:
            if None in row or None in row.values():
                fields = f"{len(reader.fieldnames or ())} fields, as the header"
                raise DataError(
                    expected_got(fields, "more" if None in row else "fewer"), path=f"{file}:{reader.line_num}"
                )
            yield f"{file}:{reader.line_num}", row


def _label(text: str, names: Sequence[str], place: str, field: str) -> int:
    number = whole_number(text)
    if number is not None and number < len(names):
        return number
    if names.count(text) == 1:
        return names.index(text)
    wanted = f"a label in [0, {len(names)}) or one of {', '.join(names)}"
    raise DataError(expected_got(wanted, repr(text)), path=place, field=field)


def _class_names(path: Path) -> list[str]:
    if not (names := read_names(path)):
        raise DataError(expected_got("class names, one a line", "an empty file"), path=str(path))
    return names


def _names_beside(file: Path) -> Path:
    names = file.parent / layout.NAMES
    if not names.is_file():
        problem = f"no {layout.NAMES} beside it, as score_labels --lists writes it; --names says where it is"
        raise DataError(problem, path=str(file))
    return names
