"""Checking lists in convert_imageset's format: one ``path label`` a line, images below a root."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from caffe_compat.data.image_list import parse_entry, read_lines
from caffe_compat.datasets.check.counts import count_classes
from caffe_compat.datasets.check.findings import Findings, Place
from caffe_compat.datasets.check.listed import Listed, check_files, check_labels, check_repeats, check_splits
from caffe_compat.datasets.check.subjects import Subject
from caffe_compat.datasets.samples import NO_LABEL
from caffe_compat.errors import DataError


def check_image_lists(subject: Subject, findings: Findings) -> None:
    """Check lists that are splits of one data set: no image may be in two.

    Raises: FileNotFoundError if a list is not there.
    """
    splits = {path: _read(path, findings) for path in subject.lists}
    for path, entries in splits.items():
        if not entries:
            findings.add("empty_split", Place(path))
        check_repeats(path, entries, findings)
        check_labels(path, entries, NO_LABEL, subject.num_classes, findings)
    check_splits(splits, findings)
    labels = {path: np.array([entry.label for entry in entries], np.int64) for path, entries in splits.items()}
    highest = max((int(column.max()) for column in labels.values() if len(column)), default=-1)
    num_classes = highest + 1 if subject.num_classes is None else subject.num_classes
    count_classes(labels, [""] * num_classes, findings)
    check_files(splits, lambda key: Path(subject.root + key), subject.read_images, subject.processes, findings)


def _read(path: str, findings: Findings) -> list[Listed]:
    entries = []
    for number, line in enumerate(read_lines(path)):
        try:
            entry = parse_entry(line, number, path)
            entries.append(Listed(entry.path, entry.label, entry.line))
        except DataError as exc:
            findings.add("malformed_line", Place(path, number + 1, detail=exc.problem))
    return entries
