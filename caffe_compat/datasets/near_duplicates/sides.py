"""The two sides that are compared: images that stay, and a list that loses its near duplicates of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from caffe_compat.data.image_list import read_list
from caffe_compat.datasets.clothing1m.lists import (
    NOISY_TRAIN,
    TEST,
    TRAIN,
    VAL,
    image_file,
    key_list_file,
    lists_folder,
)
from caffe_compat.errors import DataError


@dataclass(frozen=True)
class Side:
    """N images.

    Attributes:
        name: "clean" or "noisy", for messages.
        keys: (N,) as the lists name them.
        lists: (N,) the file that lists each.
        lines: (N,) the line of each as it is, without its end.
        path_of: key -> image file.
    """

    name: str
    keys: Sequence[str]
    lists: Sequence[str]
    lines: Sequence[str]
    path_of: Callable[[str], str]

    def __len__(self) -> int:
        return len(self.keys)

    def paths(self) -> list[str]:
        return [self.path_of(key) for key in self.keys]


def clothing1m_sides(root: Path, images: Path | None = None) -> tuple[Side, Side]:
    """The clean lists (train, val, test) and the noisy list of a folder laid out as Clothing1M is.

    Raises: DataError or FileNotFoundError if a list is not there or empty.
    """
    folder, pictures = lists_folder(root), images or root / "images"

    def path_of(key: str) -> str:
        return str(image_file(pictures, key))

    clean = [(key_list_file(name), key) for name in (TRAIN, VAL, TEST) for key in _keys(folder / key_list_file(name))]
    noisy = [(key_list_file(NOISY_TRAIN), key) for key in _keys(folder / key_list_file(NOISY_TRAIN))]
    return tuple(  # type: ignore[return-value]
        _checked(Side(name, [key for _, key in rows], [file for file, _ in rows], [key for _, key in rows], path_of))
        for name, rows in (("clean", clean), ("noisy", noisy))
    )


def list_side(name: str, lists: Sequence[str], root: str) -> Side:
    """The images of lists in convert_imageset's format; ``root`` is put before every path as it is. Blank
    lines are skipped, and so not written again.

    Raises: DataError naming file and line as ``read_list`` does.
    """
    entries = [(path, entry) for path in lists for entry in read_list(path, skip_blank=True)]
    return Side(
        name,
        [entry.path for _, entry in entries],
        [path for path, _ in entries],
        [f"{entry.path} {entry.label}" for _, entry in entries],
        lambda key: root + key,
    )


def _keys(path: Path) -> list[str]:
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return [line.strip() for line in file if line.strip()]


def _checked(side: Side) -> Side:
    if not side.keys:
        raise DataError(f"no key in the {side.name} lists")
    return side


def write_lines(path: Path, lines: Sequence[str]) -> None:
    """Write a list, in place; bytes that are not UTF-8 survive unchanged."""
    path.write_bytes(b"".join(os.fsencode(line) + b"\n" for line in lines))
