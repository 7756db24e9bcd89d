"""A data folder as PyTorch datasets, for a model that is no prototxt: any backbone, any DataLoader, any transforms.

    mixed = MixedDataset("data/clothing1m", transform)
    loader = DataLoader(mixed, batch_size=64, shuffle=True, num_workers=4)
    for images, clean, noisy, noise_type, keys in loader: ...

Images come as torchvision's transforms (v2) take them: uint8 tensors (C, H, W), channels RGB, without mean or scale.
Databases are opened in each worker process on its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from caffe_compat.arrays import IntArray
from caffe_compat.data.datum import DECODE_COLOR, decode_datum, parse_datum
from caffe_compat.data.group import SourceInfo, check_databases, read_group, side_file
from caffe_compat.data.lmdb_store import LmdbReader
from caffe_compat.data.reading_order import load_index
from caffe_compat.data.record_keys import path_of_key
from caffe_compat.datasets import layout
from caffe_compat.datasets.label_database import read_labels
from caffe_compat.errors import DataError, expected_got

Transform = Callable[[Tensor], Any]


class LabelledRecord(NamedTuple):
    """A record of an image database. A DataLoader makes a batch of it: (B, ...), (B,) int64 and B keys.

    Attributes:
        image: (C, H, W) uint8, RGB, or what the transform makes of it.
        label: as stored.
        key: the image's path, as in ``pairs.csv``.
    """

    image: Any
    label: int
    key: str


class MixedRecord(NamedTuple):
    """A record of the mixed training set; labels are -1 where there is none. As :class:`LabelledRecord`.

    Attributes:
        clean, noisy: in [-1, L).
        noise_type: 0 noise free, 1 pure random, 2 confusing, or -1.
    """

    image: Any
    clean: int
    noisy: int
    noise_type: int
    key: str


class LabelledDataset(Dataset[LabelledRecord]):
    """An image database in key order: ``clean_train_lmdb``, ``test_lmdb``, ``ntype_train_lmdb`` (label: noise type).

    Args:
        database: the LMDB database's folder.
        transform: applied to each image.
    Raises: DataError if the database or a record cannot be read.
    """

    def __init__(self, database: str | os.PathLike[str], transform: Transform | None = None) -> None:
        self._images = _Images(database)
        self.transform = transform

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, place: int) -> LabelledRecord:
        image, label, key = self._images.read(place)
        return LabelledRecord(image if self.transform is None else self.transform(image), label, key)


class MixedDataset(Dataset[MixedRecord]):
    """The mixed training set of a data folder (``datasets.layout``) in reading order, copies included.

    Args:
        folder: the data folder.
        transform: applied to each image.

    Attributes:
        clean, noisy, noise_type: (N,) int64, the labels of all records; -1 where there is none.
        positions: (N,) int64, the place in key order of each record's image: equal for copies of one image.

    Raises: DataError if a database or a record cannot be read, or the databases do not belong together.
    """

    def __init__(self, folder: str | os.PathLike[str], transform: Transform | None = None) -> None:
        folder = Path(folder)
        self._images = _Images(folder / layout.MIXED_IMAGES)
        self.transform = transform
        index = folder / layout.MIXED_INDEX if (folder / layout.MIXED_INDEX).exists() else None
        self.positions = np.arange(len(self._images)) if index is None else load_index(index, len(self._images))
        label_databases = [
            folder / name for name in (layout.MIXED_CLEAN_LABELS, layout.MIXED_NOISY_LABELS, layout.MIXED_NTYPE_LABELS)
        ]
        self.clean, self.noisy, self.noise_type = map(_labels_of, label_databases)
        images = SourceInfo(
            str(index or self._images.path),
            len(self.positions),
            read_group(side_file(self._images.path, index)),
        )
        _check_lock_step(images, label_databases, (self.clean, self.noisy, self.noise_type))

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, place: int) -> MixedRecord:
        image, _, key = self._images.read(int(self.positions[place]))
        return MixedRecord(
            image if self.transform is None else self.transform(image),
            int(self.clean[place]),
            int(self.noisy[place]),
            int(self.noise_type[place]),
            key,
        )


class _Images:
    """The images of a database by position in key order."""

    def __init__(self, database: str | os.PathLike[str]) -> None:
        self.path = os.fspath(database)
        self._reader = LmdbReader(database)
        self._keys = self._reader.keys()  # once, here, instead of in every worker
        self._reader.close()  # LMDB must not be open where worker processes start from

    def __len__(self) -> int:
        return len(self._reader)

    def read(self, position: int) -> tuple[Tensor, int, str]:
        """The image, its label and its path."""
        record = self._reader.read(position)
        key = self._keys[position]
        try:
            datum = parse_datum(record)
            image = decode_datum(datum, DECODE_COLOR)
        except DataError as exc:
            raise DataError(f"record {os.fsdecode(key)}: {exc.problem}", path=self.path) from exc
        rgb = image[::-1] if len(image) == 3 else image
        return torch.from_numpy(rgb.copy()), datum.label, path_of_key(key)


def _labels_of(database: Path) -> IntArray:
    """All labels of a label database, (N,)."""
    with closing(LmdbReader(database)) as reader:
        return read_labels(reader)


def _check_lock_step(images: SourceInfo, databases: Sequence[Path], labels: Sequence[IntArray]) -> None:
    sources = [
        SourceInfo(str(database), len(column), read_group(side_file(database)))
        for database, column in zip(databases, labels, strict=True)
    ]
    for source in sources:
        if source.records != images.records:
            wanted = f"{images.records} records as in {images.name}"
            raise DataError(expected_got(wanted, source.records), path=source.name)
    check_databases([images, *sources])
