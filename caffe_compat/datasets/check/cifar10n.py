"""Checking CIFAR-10N as files: ``images/``, ``train.csv`` (file,clean,<human labels>), ``test.csv`` (file,clean)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from caffe_compat.datasets.check.counts import count_classes, measure_label_accuracy
from caffe_compat.datasets.check.findings import Findings, Place
from caffe_compat.datasets.check.listed import Listed, check_files, check_labels, check_repeats, check_splits
from caffe_compat.datasets.check.subjects import Subject
from caffe_compat.datasets.cifar10n.csv_layout import TEST, TRAIN, table
from caffe_compat.datasets.cifar10n.source import CLASS_NAMES, DEFAULT_LABELS, HUMAN_LABELS
from caffe_compat.datasets.whole_numbers import signed_number
from caffe_compat.errors import DataError, expected_got

_FILE, _CLEAN = "file", "clean"
_NUM_CLASSES = len(CLASS_NAMES)

_Columns = dict[str, list[Listed]]  # column -> the file of every row with that column's label


def check_cifar10n(subject: Subject, findings: Findings) -> None:
    """Check both tables and every image. Raises: DataError or FileNotFoundError for a table that is not one."""
    tables = {name: _read(subject.folder / name, findings) for name in (TRAIN, TEST)}
    if DEFAULT_LABELS not in tables[TRAIN]:
        findings.add("no_column_of_labels", Place(TRAIN, 1, detail=f"no column {DEFAULT_LABELS!r}"))
    splits = {name: columns[_CLEAN] for name, columns in tables.items()}
    for name, columns in tables.items():
        check_repeats(name, columns[_CLEAN], findings)
        for entries in columns.values():
            check_labels(name, entries, 0, _NUM_CLASSES, findings)
    check_splits(splits, findings)
    labels = {name: _labels(entries) for name, entries in splits.items()}
    count_classes(labels, dict(enumerate(CLASS_NAMES)), findings)
    clean = _labels(tables[TRAIN][_CLEAN])
    for column in (name for name in HUMAN_LABELS if name in tables[TRAIN]):
        noisy = _labels(tables[TRAIN][column])
        both = np.minimum(clean, noisy) >= 0
        measure_label_accuracy(column, clean[both], noisy[both], _NUM_CLASSES, findings)
    images = subject.folder / "images"
    check_files(splits, lambda key: images / key, subject.read_images, subject.processes, findings)


def _read(path: Path, findings: Findings) -> _Columns:
    with table(path) as rows:
        header = list(rows.fieldnames or ())
        if _FILE not in header or _CLEAN not in header:
            raise DataError(expected_got(f"columns {_FILE!r} and {_CLEAN!r}", header), path=f"{path}:1")
        columns: _Columns = {name: [] for name in header if name in (_CLEAN, *HUMAN_LABELS)}
        for row in rows:
            for name, entries in columns.items():
                label = signed_number(row[name])
                entries.append(Listed(row[_FILE], label, rows.line_num))
                if label is None:
                    detail = f"{name}: {row[name]!r} is not a label"
                    findings.add("cell_without_label", Place(path.name, rows.line_num, key=row[_FILE], detail=detail))
    return columns


def _labels(entries: list[Listed]) -> np.ndarray:
    """The labels, (N,) int64; -1 where there is none in range."""
    known = (-1 if entry.label is None or entry.label >= _NUM_CLASSES else max(entry.label, -1) for entry in entries)
    return np.fromiter(known, np.int64, len(entries))
