"""What lies in a made data folder, read once; what cannot be read is a finding."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from caffe_compat.arrays import IntArray
from caffe_compat.data.group import Group, read_group, side_file
from caffe_compat.datasets import layout
from caffe_compat.datasets.check.findings import Findings, Place
from caffe_compat.datasets.check.made.scanning import ImageScan, LabelScan, scan_images, scan_labels
from caffe_compat.datasets.check.subjects import Subject
from caffe_compat.datasets.class_names import read_names
from caffe_compat.datasets.mixing import ALL_LABELS
from caffe_compat.datasets.pairs import Pair, read_noise_types, read_pairs
from caffe_compat.errors import CaffeCompatError
from caffe_compat.npy_files import map_npy
from caffe_compat.weights import read_blobproto_file

HELD_OUT = (layout.VAL, layout.TEST)
LABELLED = (layout.CLEAN_TRAIN, *HELD_OUT)
TYPED = (layout.NTYPE_TRAIN, layout.NTYPE_VAL, layout.NTYPE_TEST)
IMAGES = (*LABELLED, *TYPED, layout.MIXED_IMAGES)

_ANY_CLASS = 2**31  # what a label may be where the number of classes is not known
_Content = TypeVar("_Content")


@dataclass(frozen=True)
class MadeFolder:
    """The content of a folder of ``layout``; what is absent or cannot be read is missing here, or None.

    Attributes:
        num_classes: the number of names, or else the size of C, or None.
        images, labels: the databases, by their names in ``layout``.
        groups: side files, by the names of the databases and of the index.
        index: the reading order of the mixed images; None: they are stored in reading order.
        confusion: C as the file has it, whatever its shape; confusion_npy: the float64 file.
        mean: the mean as the file has it.
    """

    root: Path
    names: Sequence[str]
    num_classes: int | None
    images: Mapping[str, ImageScan]
    labels: Mapping[str, LabelScan]
    groups: Mapping[str, Group]
    index: IntArray | None
    confusion: npt.NDArray[np.float32] | None
    confusion_npy: npt.NDArray[np.float64] | None
    mean: npt.NDArray[np.float32] | None
    pairs: Sequence[Pair] | None
    noise_types: Mapping[str, int] | None

    def mixed_order(self) -> IntArray | None:
        """Positions of the mixed images in reading order, those in range; None without a readable image database."""
        if layout.MIXED_IMAGES not in self.images:
            return None
        count = len(self.images[layout.MIXED_IMAGES].paths)
        return np.arange(count) if self.index is None else self.index[(self.index >= 0) & (self.index < count)]


def read_made_folder(subject: Subject, findings: Findings) -> MadeFolder:
    """Read everything, the images in worker processes."""
    root = subject.folder

    def read(name: str, reader: Callable[[Path], _Content], kind: str = "unreadable_file") -> _Content | None:
        if not (root / name).exists():
            return None
        try:
            return reader(root / name)
        except (CaffeCompatError, OSError, ValueError) as exc:
            problem = exc.problem if isinstance(exc, CaffeCompatError) else str(exc)
            line = _line(exc.path) if isinstance(exc, CaffeCompatError) else None
            findings.add(kind, Place(name, line, detail=problem))
            return None

    def scan(path: Path) -> ImageScan:
        return scan_images(path, subject.read_images, subject.processes)

    names = read(layout.NAMES, read_names) or []
    confusion = read(layout.CONFUSION, read_blobproto_file)
    num_classes = len(names) or (confusion.shape[-1] if confusion is not None and confusion.ndim else None)
    images = {name: read(name, scan, "unreadable_database") for name in IMAGES}
    labels = {name: read(name, scan_labels, "unreadable_database") for name in ALL_LABELS}
    sides = {name: str(side_file(name)) for name in (layout.MIXED_IMAGES, *ALL_LABELS)}
    sides[layout.MIXED_INDEX] = str(side_file(layout.MIXED_IMAGES, layout.MIXED_INDEX))
    return MadeFolder(
        root=root,
        names=names,
        num_classes=num_classes,
        images=_present(images),
        labels=_present(labels),
        groups=_present({name: read(side, read_group) for name, side in sides.items()}),
        index=read(layout.MIXED_INDEX, _read_index),
        confusion=confusion,
        confusion_npy=read(layout.CONFUSION_NPY, map_npy),
        mean=read(layout.MEAN, read_blobproto_file),
        pairs=read(layout.PAIRS, lambda path: list(read_pairs(path, num_classes or _ANY_CLASS))),
        noise_types=read(layout.NOISE_TYPES, read_noise_types),
    )


def _line(place: str | None) -> int | None:
    """The line of an error's "file:line"."""
    number = (place or "").rpartition(":")[2]
    return int(number) if number.isdecimal() else None


def _present(found: Mapping[str, _Content | None]) -> dict[str, _Content]:
    return {name: content for name, content in found.items() if content is not None}


def _read_index(path: Path) -> IntArray:
    index = map_npy(path)
    if index.ndim != 1 or not np.issubdtype(index.dtype, np.integer):
        raise ValueError(f"expected whole numbers of shape (N,), got {index.dtype} of shape {index.shape}")
    return index.astype(np.int64)
