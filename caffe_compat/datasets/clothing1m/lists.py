"""The text files of Clothing1M.

- ``category_names_eng.txt``: one class name a line;
- ``noisy_label_kv.txt``, ``clean_label_kv.txt``: ``image_file label`` a line; some images are in both;
- ``noisy_train_key_list.txt``, ``clean_{train,val,test}_key_list.txt``: one image file a line.

Image files are named ``images/0/00/1301091984,3478567000.jpg``. A byte order mark in front of a file is skipped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from caffe_compat.datasets.clothing1m.problems import CONFLICTING, MALFORMED, OUT_OF_RANGE, Problem
from caffe_compat.datasets.whole_numbers import signed_number
from caffe_compat.errors import DataError, expected_got

NAMES = "category_names_eng.txt"
NOISY_TRAIN, TRAIN, VAL, TEST = "noisy_train", "clean_train", "clean_val", "clean_test"
NOISY_LABELS, CLEAN_LABELS = "noisy_label_kv.txt", "clean_label_kv.txt"

_FILE_AND_LABEL = re.compile(r"\.\w+\s+-?\d+$")  # "a.jpg 3" before the label: no name, which may have spaces, ends so


def key_list_file(name: str) -> str:
    """The file of one of the four lists."""
    return f"{name}_key_list.txt"


@dataclass(frozen=True)
class Lists:
    """What the text files say.

    Attributes:
        names: class names; a label is an index into them.
        keys: the keys of NOISY_TRAIN, TRAIN, VAL and TEST, in the files' order.
        noisy, clean: key -> label.
    """

    names: list[str]
    keys: dict[str, list[str]]
    noisy: dict[str, int]
    clean: dict[str, int]


def lists_folder(root: Path) -> Path:
    """Where the text files are: ``root`` or ``root/annotations``. Raises: DataError if they are in neither."""
    for folder in (root / "annotations", root):
        if (folder / NOISY_LABELS).exists():
            return folder
    raise DataError(expected_got(f"{NOISY_LABELS} in it, or in annotations/", "neither"), path=str(root))


def image_file(images: Path, key: str) -> Path:
    """Where the image of ``key`` is: ``images`` is the folder that the keys begin with, under any name."""
    return images / key.removeprefix("images/")


def read_lists(root: Path, noisy_list: Path | None = None) -> tuple[Lists, list[Problem]]:
    """Read the text files in ``root`` or ``root/annotations``; lines without a usable label come as problems.

    Args:
        noisy_list: the list of noisy training images, if not the one there.
    Raises: DataError if the files are not there, or there are fewer than two names.
    """
    folder = lists_folder(root)
    names = _lines(folder / NAMES)
    if len(names) < 2:
        raise DataError(expected_got("at least two class names, one a line", len(names)), path=str(folder / NAMES))
    noisy, bad_noisy = _read_labels(folder / NOISY_LABELS, len(names))
    clean, bad_clean = _read_labels(folder / CLEAN_LABELS, len(names))
    files = {name: folder / key_list_file(name) for name in (NOISY_TRAIN, TRAIN, VAL, TEST)}
    keys = {name: _lines(noisy_list if noisy_list and name == NOISY_TRAIN else file) for name, file in files.items()}
    return Lists(names, keys, noisy, clean), [problem for problem in (*bad_noisy, *bad_clean) if problem.items]


def _read_labels(path: Path, num_classes: int) -> tuple[dict[str, int], list[Problem]]:
    """The labels in [0, num_classes), and the numbers of the lines that have none or contradict an earlier line."""
    labels: dict[str, int] = {}
    bad: dict[str, list[str]] = {MALFORMED: [], OUT_OF_RANGE: [], CONFLICTING: []}
    with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
        for number, line in enumerate(file, start=1):
            key, label = split_line(line)
            if label is None:
                if line.strip():
                    bad[MALFORMED].append(str(number))
            elif not 0 <= label < num_classes:
                bad[OUT_OF_RANGE].append(str(number))
            elif labels.setdefault(key, label) != label:
                bad[CONFLICTING].append(str(number))
    texts = {
        MALFORMED: "without a label",
        OUT_OF_RANGE: f"without a label in [0, {num_classes})",
        CONFLICTING: "with another label than the key has before",
    }
    return labels, [
        Problem(kind, path.name, f"line(s) of {path.name} {texts[kind]}", items) for kind, items in bad.items()
    ]


def split_line(line: str) -> tuple[str, int | None]:
    """The key and the label of a line ``key label``; the label is None where there is none, or more than one."""
    key, _, text = line.strip().rpartition(" ")
    is_one = key and not _FILE_AND_LABEL.search(key)
    return key.rstrip(), signed_number(text) if is_one else None


def _lines(path: Path) -> list[str]:
    """The lines that are not blank. Raises: FileNotFoundError."""
    with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
        return [line.strip() for line in file if line.strip()]
