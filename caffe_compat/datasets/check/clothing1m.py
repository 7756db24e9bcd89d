"""Checking a folder laid out as Clothing1M is: the importer's checks, with line numbers, and the images themselves."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from caffe_compat.arrays import IntArray
from caffe_compat.datasets.check.counts import count_classes, measure_label_accuracy
from caffe_compat.datasets.check.findings import Findings, Place
from caffe_compat.datasets.check.listed import decode_listed
from caffe_compat.datasets.check.subjects import Subject
from caffe_compat.datasets.clothing1m.checking import usable
from caffe_compat.datasets.clothing1m.lists import (
    NOISY_TRAIN,
    TEST,
    TRAIN,
    VAL,
    Lists,
    image_file,
    key_list_file,
    lists_folder,
    read_lists,
)
from caffe_compat.datasets.clothing1m.problems import LINE_KINDS, Problem


def check_clothing1m(subject: Subject, findings: Findings) -> None:
    """Check the lists and every listed image.

    Raises: DataError or FileNotFoundError if a text file is not there.
    """
    folder = lists_folder(subject.folder)
    images = subject.images or subject.folder / "images"
    read, bad_lines = read_lists(subject.folder)
    lists, bad_keys = usable(read, partial(image_file, images))
    for problem in (*bad_lines, *bad_keys):
        findings.add(problem.kind, *_places(folder, problem))
    for name, keys in lists.keys.items():
        if not keys:
            findings.add("empty_split", Place(key_list_file(name), detail="no usable key in it"))
    _count(lists, findings)
    if subject.read_images:
        places = _listed(folder, lists)
        decode_listed(places, partial(image_file, images), subject.processes, findings)


def _places(folder: Path, problem: Problem) -> Iterator[Place]:
    """A problem's items as places: numbers of lines with what they say, keys with the lines that list them."""
    is_repeat, seen = problem.kind == "repeated_key", set()
    wanted = frozenset(problem.items)
    for number, text in _numbered(folder / problem.file):
        if problem.kind in LINE_KINDS:
            if str(number) in wanted:
                yield Place(problem.file, number, detail=repr(text))
        elif text in wanted:
            if text in seen or not is_repeat:
                yield Place(problem.file, number, key=text)
            seen.add(text)


def _listed(folder: Path, lists: Lists) -> dict[str, Place]:
    """Every usable key with the line that lists it."""
    places: dict[str, Place] = {}
    for name, keys in lists.keys.items():
        kept = set(keys)
        for number, key in _numbered(folder / key_list_file(name)):
            if key in kept:
                places.setdefault(key, Place(key_list_file(name), number, key=key))
    return places


def _numbered(path: Path) -> Iterator[tuple[int, str]]:
    with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
        for number, line in enumerate(file, start=1):
            yield number, line.strip()


def _count(lists: Lists, findings: Findings) -> None:
    labels = {
        name: _labels(lists.noisy if name == NOISY_TRAIN else lists.clean, keys) for name, keys in lists.keys.items()
    }
    count_classes(labels, dict(enumerate(lists.names)), findings)
    for name in (TRAIN, VAL, TEST):
        both = [key for key in lists.keys[name] if key in lists.noisy]
        clean, noisy = _labels(lists.clean, both), _labels(lists.noisy, both)
        measure_label_accuracy(name, clean, noisy, len(lists.names), findings)
        if name == TRAIN and lists.keys[name] and not both:
            findings.add("no_pairs", Place(key_list_file(name)))


def _labels(labels: dict[str, int], keys: list[str]) -> IntArray:
    return np.array([labels[key] for key in keys], np.int64)
