"""Checking lists in convert_imageset's format: one ``path label`` a line, images below a root."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from caffe_compat.arrays import IntArray
from caffe_compat.data.image_list import UTF_8, missing_slash, parse_entry, read_lines
from caffe_compat.datasets.check.counts import count_classes
from caffe_compat.datasets.check.findings import Findings, Place
from caffe_compat.datasets.check.listed import Listed, check_files, check_labels, check_repeats, check_splits
from caffe_compat.datasets.check.subjects import Subject
from caffe_compat.datasets.samples import NO_LABEL
from caffe_compat.errors import DataError

_SEPARATORS = {b"\t": "a tab", b",": "a comma", b";": "a semicolon"}

_Splits = Mapping[str, Sequence[Listed]]


def check_image_lists(subject: Subject, findings: Findings) -> None:
    """Check lists that are splits of one data set: no image may be in two.

    Raises: FileNotFoundError if a list is not there.
    """
    splits = {path: _read(path, findings) for path in subject.lists}
    for path, entries in splits.items():
        check_repeats(path, entries, findings)
        check_labels(path, entries, NO_LABEL, subject.num_classes, findings)
    check_splits(splits, findings)
    _count(splits, subject.num_classes, findings)
    if (place := _place_without_slash(splits, subject.root)) is not None:
        findings.add("root_without_slash", place)
    else:
        check_files(splits, lambda key: Path(subject.root + key), subject.read_images, subject.processes, findings)


def _read(path: str, findings: Findings) -> list[Listed]:
    entries: list[Listed] = []
    broken: dict[int, Place] = {}
    lines, marked = read_lines(path)
    if marked is not None:
        findings.add("byte_order_mark", Place(path, 1, detail=marked))
        if marked != UTF_8:
            return []
    for number, line in enumerate(lines):
        if not line.strip():
            findings.add("blank_line", Place(path, number + 1))
            continue
        try:
            entry = parse_entry(line, number, path)
            entries.append(Listed(entry.path, entry.label, entry.line))
            if entry.label == NO_LABEL:
                findings.add("label_of_none", Place(path, entry.line, key=entry.path))
        except DataError as exc:
            broken[number] = Place(path, number + 1, detail=exc.problem)
    total = len(entries) + len(broken)
    for separator, name in _SEPARATORS.items():
        separated = [number for number in broken if _is_entry(lines[number], separator)]
        if 2 * len(separated) > total:
            findings.add("wrong_separator", Place(path, detail=f"{name} in {len(separated)} of {total} lines"))
            for number in separated:
                del broken[number]
    findings.add("broken_line", *broken.values())
    if not lines:
        findings.add("empty_split", Place(path))
    elif entries and all(entry.label == NO_LABEL for entry in entries):
        findings.add("empty_split", Place(path, detail="no label in it"))
    return entries


def _is_entry(line: bytes, separator: bytes) -> bool:
    try:
        parse_entry(b" ".join(line.rsplit(separator, 1)), 0, "")
    except DataError:
        return False
    return True


def _count(splits: _Splits, num_classes: int | None, findings: Findings) -> None:
    """Samples of every class: of ``num_classes``, or of the labels that occur, of which some may be mistyped."""
    labels = {path: np.array([entry.label for entry in entries], np.int64) for path, entries in splits.items()}
    found = np.unique(np.concatenate(list(labels.values())))
    found = found[found >= 0]
    classes = range(num_classes) if num_classes is not None else found.tolist()
    count_classes(labels, dict.fromkeys(classes, ""), findings)
    if num_classes is None:
        _warn_of_gap(splits, found, findings)


def _warn_of_gap(splits: _Splits, found: IntArray, findings: Findings) -> None:
    """Labels behind a wide gap; ``found``: those that occur, (L,), rising. Lists lack classes, but not nine in ten."""
    gaps = np.flatnonzero(found[1:] > 10 * (found[:-1] + 10))
    if not len(gaps):
        return
    below = int(found[gaps[0]])
    for path, entries in splits.items():
        for entry in entries:
            if entry.label is not None and entry.label > below:
                detail = f"label {entry.label}, the next lower one is {below}"
                findings.add("implausible_label", Place(path, entry.line, key=entry.key, detail=detail))


def _place_without_slash(splits: _Splits, root: str) -> Place | None:
    """The first image that is only found with a slash after the root."""
    for path, entries in splits.items() if not root.endswith("/") else ():
        for entry in entries:
            if (problem := missing_slash(root, entry.key, "--root")) is not None:
                return Place(path, entry.line, detail=problem)
    return None
