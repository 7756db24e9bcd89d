"""The images that have a noisy label, each once, found in databases that are read side by side."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np

from caffe_compat.arrays import IntArray
from caffe_compat.data.database import LMDB, Reader, open_database
from caffe_compat.data.group import SourceInfo, check_databases, read_group, side_file
from caffe_compat.data.key_table import KeyTable
from caffe_compat.data.reading_order import load_index
from caffe_compat.data.record_keys import path_of_key
from caffe_compat.datasets import layout
from caffe_compat.datasets.label_database import read_labels
from caffe_compat.datasets.samples import NO_LABEL
from caffe_compat.errors import DataError, expected_got

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class Sources:
    """Databases of one reading order.

    Attributes:
        images: the image database.
        noisy_labels: a label a record in reading order, -1 where there is none.
        clean_labels: likewise, of the labels taken for true in training; None: no image has one.
        index: the reading order of ``images`` as .npy; None: key order.
    """

    images: str
    noisy_labels: str
    clean_labels: str | None = None
    index: str | None = None
    backend: str = LMDB

    @classmethod
    def of_folder(cls, folder: PathLike) -> Sources:
        """The mixed training set of a data folder (``datasets.layout``)."""

        def if_there(name: str) -> str | None:
            return os.fspath(Path(folder) / name) if (Path(folder) / name).exists() else None

        return cls(
            images=os.fspath(Path(folder) / layout.MIXED_IMAGES),
            noisy_labels=os.fspath(Path(folder) / layout.MIXED_NOISY_LABELS),
            clean_labels=if_there(layout.MIXED_CLEAN_LABELS),
            index=if_there(layout.MIXED_INDEX),
        )


class Paths(Sequence[str]):
    """The paths in some keys of a table, made when they are asked for: strings of millions would take much memory."""

    def __init__(self, table: KeyTable, positions: IntArray) -> None:
        self._table, self._positions = table, positions

    def __len__(self) -> int:
        return len(self._positions)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [path_of_key(self._table[position]) for position in self._positions[index].tolist()]
        return path_of_key(self._table[int(self._positions[index])])


@dataclass(frozen=True)
class NoisyRecords:
    """N images with noisy labels, each once, in key order.

    Attributes:
        images: the database they are in.
        positions: (N,) int64, rising: where they are, in key order.
        keys: their paths, the record keys without the number in front; UTF-8 and different from one another.
        noisy: (N,) int64, from 0.
        clean: (N,) int64, the labels taken for true in training, -1 where there is none.
    """

    images: Reader
    positions: IntArray
    keys: Paths
    noisy: IntArray
    clean: IntArray


def find_noisy_records(sources: Sources) -> NoisyRecords:
    """Read all labels and keys (and no image).

    Raises: DataError if the databases do not belong together, no record has a noisy label, an image has two that
        differ, or a key is not UTF-8.
    """
    images = open_database(sources.images, sources.backend)
    order = np.arange(len(images)) if sources.index is None else load_index(sources.index, len(images))
    infos = [SourceInfo(sources.images, len(order), read_group(side_file(sources.images, sources.index)))]
    noisy = _labels_by_position(sources.noisy_labels, sources, order, len(images), infos)
    clean = np.full(len(images), NO_LABEL)
    if sources.clean_labels is not None:
        clean = _labels_by_position(sources.clean_labels, sources, order, len(images), infos)
    check_databases(infos)
    positions = np.flatnonzero(noisy >= 0)
    if not len(positions):
        raise DataError("no record has a noisy label", path=sources.noisy_labels)
    positions, keys = _each_path_once(images, positions, noisy)
    return NoisyRecords(images, positions, keys, noisy[positions], clean[positions])


def _labels_by_position(
    database: str, sources: Sources, order: IntArray, num_images: int, infos: list[SourceInfo]
) -> IntArray:
    """The labels of a database in reading order, put where the images are, -1 elsewhere: (num_images,) int64."""
    reader = open_database(database, sources.backend)
    infos.append(SourceInfo(database, len(reader), read_group(side_file(database))))
    if len(reader) != len(order):
        wanted = f"a label for each of the {len(order)} records of {sources.index or sources.images}"
        raise DataError(expected_got(wanted, len(reader)), path=database)
    in_order = read_labels(reader)
    has_label = in_order >= 0
    positions, labels = order[has_label], in_order[has_label]
    by_position = np.full(num_images, NO_LABEL)
    by_position[positions] = labels
    different = np.flatnonzero(by_position[positions] != labels)
    if len(different):
        position = int(positions[different[0]])
        both = f"{by_position[position]} and {labels[different[0]]}"
        raise DataError(f"record {position} of {sources.images} has two labels: {both}", path=database)
    return by_position


def _each_path_once(images: Reader, positions: IntArray, noisy: IntArray) -> tuple[IntArray, Paths]:
    """Without later copies of an image, which a materialised reading order has.

    Paths are compared by their digests, 16 bytes each: those of a million images would take 100 MB.
    """
    table = images.keys()
    digests = np.empty(len(positions), "V16")
    for number, position in enumerate(positions.tolist()):
        path = path_of_key(table[position])
        try:
            digests[number] = hashlib.blake2b(path.encode(), digest_size=16).digest()
        except UnicodeEncodeError as exc:
            raise DataError(f"key {table[position]!r}: {expected_got('UTF-8', exc.reason)}", path=images.path) from exc
    _, first, which = np.unique(digests, return_index=True, return_inverse=True)
    of_first, of_each = noisy[positions[first[which]]], noisy[positions]
    if len(different := np.flatnonzero(of_first != of_each)):
        at = different[0]
        both = f"{of_first[at]} and {of_each[at]}"
        path = path_of_key(table[int(positions[at])])
        raise DataError(f"the image {path!r} is there twice, with the noisy labels {both}", path=images.path)
    positions = positions[np.sort(first)]
    return positions, Paths(table, positions)
