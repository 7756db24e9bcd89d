"""The kinds of data set that can be checked, and what is asked about one. Worker processes import this."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CLOTHING1M, MADE, LIST, CIFAR10N = "clothing1m", "made", "list", "cifar10n"
TITLES = {
    CLOTHING1M: "a folder laid out as Clothing1M is",
    MADE: "a made data folder",
    LIST: "an image list",
    CIFAR10N: "CIFAR-10N as files and tables",
}


@dataclass(frozen=True)
class Subject:
    """What is checked, and how.

    Attributes:
        folder: the data set's folder; for lists the folder the names of files are told from.
        images: where a Clothing1M folder's images 0 ... 9 are; None: ``folder/images``.
        lists, root: lists of images, splits of one data set, and what is put before their paths.
        num_classes: of lists; None: the labels that occur are the classes.
        read_images: decode every image, and compare pixels across splits.
        processes: that read images.
    """

    folder: Path
    images: Path | None = None
    lists: Sequence[str] = ()
    root: str = ""
    num_classes: int | None = None
    read_images: bool = True
    processes: int = 1
