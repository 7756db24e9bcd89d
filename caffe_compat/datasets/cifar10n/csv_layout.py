"""JPEG files and CSV lists: ``images/``, ``train.csv`` (file,clean,<human labels>), ``test.csv`` (file,clean)."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterator
from pathlib import Path

from caffe_compat.arrays import IntArray
from caffe_compat.data.imageset import ImageFormat
from caffe_compat.datasets.cifar10n.source import Cifar10n, LabelledImages, checked_labels
from caffe_compat.datasets.databases import image_reader
from caffe_compat.datasets.text_lines import csv_errors
from caffe_compat.datasets.whole_numbers import whole_number
from caffe_compat.errors import DataError, expected_got

TRAIN, TEST = "train.csv", "test.csv"


def read_csv_layout(root: Path) -> Cifar10n:
    """Raises: DataError naming file, line and column."""
    return Cifar10n(
        train=LabelledImages(_column(root / TRAIN, "file"), _label_column(root / TRAIN, "clean")),
        test=LabelledImages(_column(root / TEST, "file"), _label_column(root / TEST, "clean")),
        human=lambda labels: _label_column(root / TRAIN, labels),
        read_image=image_reader(root / "images", ImageFormat(size=(32, 32))),
    )


def _label_column(path: Path, name: str) -> IntArray:
    labels = []
    for line, text in enumerate(_column(path, name), start=2):
        label = whole_number(text)
        if label is None:
            raise DataError(expected_got("a label", repr(text)), path=f"{path}:{line}", field=name)
        labels.append(label)
    return checked_labels(labels, path, name)


def _column(path: Path, name: str) -> list[str]:
    with table(path) as rows:
        if name not in (rows.fieldnames or ()):
            raise DataError(expected_got(f"a column {name!r}", rows.fieldnames), path=f"{path}:1")
        return [row[name] for row in rows]


@contextlib.contextmanager
def table(path: Path) -> Iterator[csv.DictReader[str]]:
    """The rows of TRAIN or TEST. Raises: DataError, while they are read, where it is no CSV in UTF-8; OSError."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, restval="")
        try:
            with csv_errors(path, reader.reader):
                yield reader
        except UnicodeDecodeError as exc:
            raise DataError(f"not a text file in UTF-8: {exc}", path=str(path)) from exc
