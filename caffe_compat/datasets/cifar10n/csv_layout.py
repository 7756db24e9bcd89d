"""JPEG files and CSV lists: ``images/``, ``train.csv`` (file,clean,<human labels>), ``test.csv`` (file,clean)."""

from __future__ import annotations

import csv
from pathlib import Path

from caffe_compat.data.imageset import ImageFormat
from caffe_compat.datasets.cifar10n.source import Cifar10n, LabelledImages, checked_labels
from caffe_compat.datasets.databases import image_reader
from caffe_compat.errors import DataError, expected_got
from caffe_compat.label_noise.confusion import IntArray

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
    texts = _column(path, name)
    for line, text in enumerate(texts, start=2):
        if not text.isdecimal():
            raise DataError(expected_got("a label", repr(text)), path=f"{path}:{line}", field=name)
    return checked_labels([int(text) for text in texts], path, name)


def _column(path: Path, name: str) -> list[str]:
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file, restval="")
        if name not in (reader.fieldnames or ()):
            raise DataError(expected_got(f"a column {name!r}", reader.fieldnames), path=f"{path}:1")
        return [row[name] for row in reader]
