"""One pass over a database: keys, labels, sizes and, of images, a digest of the pixels."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from caffe_compat.arrays import IntArray
from caffe_compat.data.datum import DECODE_COLOR, decode_datum, parse_datum
from caffe_compat.data.lmdb_store import LmdbReader
from caffe_compat.data.record_keys import split_key
from caffe_compat.datasets.workers import Rate, in_processes
from caffe_compat.errors import DataError
from caffe_compat.proto import caffe_pb2

DIGEST_BYTES = 16
_RECORDS_AT_ONCE = 256

Shape = tuple[int, ...]


class BadRecord(NamedTuple):
    """A record that cannot be read: its place from 0, its key, and why."""

    record: int
    key: str
    problem: str


@dataclass(frozen=True)
class ImageScan:
    """An image database of N records, in key order.

    Attributes:
        numbers: (N,) int64, the numbers that the keys start with; -1 where a key has none.
        paths: the rest of the keys.
        labels: (N,) int64, the datums' labels.
        digests: (N, 16) uint8, of shape and pixels; without decoding, and for bad records, zeros.
        shapes: every shape (C, H, W) and the first record that has it, in order of appearance.
        other_sizes: records of another shape than the first.
        bad: records that cannot be read.
    """

    numbers: IntArray
    paths: Sequence[str]
    labels: IntArray
    digests: npt.NDArray[np.uint8]
    shapes: dict[Shape, int]
    other_sizes: Sequence[tuple[int, Shape]]
    bad: Sequence[BadRecord]

    @property
    def shape(self) -> Shape | None:
        return next(iter(self.shapes), None)


@dataclass(frozen=True)
class LabelScan:
    """A label database of N records, in key order.

    Attributes:
        keys: as they are.
        labels: (N,) float64: whole numbers, unless something is wrong; NaN for bad records.
        bad: records that cannot be read, or are not 1 x 1 x 1.
    """

    keys: Sequence[str]
    labels: npt.NDArray[np.float64]
    bad: Sequence[BadRecord]


class _Slice(NamedTuple):
    """Some records of an image database, as a worker process sends them back."""

    numbers: list[int]
    paths: list[str]
    labels: list[int]
    digests: bytes
    shapes: list[Shape | None]
    bad: list[BadRecord]


def scan_images(path: Path, decode: bool, processes: int) -> ImageScan:
    """Read every record. Raises: DataError if there is no database, or it is damaged."""
    count = len(LmdbReader(path))
    rate = Rate(f"{path.name}: read", count, "records")
    starts = range(0, count, _RECORDS_AT_ONCE)
    scan_slice = functools.partial(_scan_slice, str(path), decode, count)
    slices = []
    for one in in_processes(scan_slice, starts, processes, chunk=4):
        slices.append(one)
        rate.add(len(one.paths))
    shapes: dict[Shape, int] = {}
    other = []
    for record, shape in enumerate(shape for one in slices for shape in one.shapes):
        if shape is not None:
            shapes.setdefault(shape, record)
            if len(shapes) > 1 and shape != next(iter(shapes)):
                other.append((record, shape))
    return ImageScan(
        np.array([number for one in slices for number in one.numbers], np.int64),
        [name for one in slices for name in one.paths],
        np.array([label for one in slices for label in one.labels], np.int64),
        np.frombuffer(b"".join(one.digests for one in slices), np.uint8).reshape(count, DIGEST_BYTES),
        shapes,
        other,
        [bad for one in slices for bad in one.bad],
    )


def _scan_slice(path: str, decode: bool, count: int, start: int) -> _Slice:
    reader = _reader(path)
    found = _Slice([], [], [], b"", [], [])
    digests = bytearray()
    for record in range(start, min(start + _RECORDS_AT_ONCE, count)):
        content, key = reader.read(record), reader.key(record)
        number, name = split_key(key)
        found.numbers.append(number)
        found.paths.append(name)
        label, digest, shape = 0, bytes(DIGEST_BYTES), None
        try:
            datum = parse_datum(content)
            label = datum.label
            shape, digest = _contents(datum, decode)
        except DataError as exc:
            found.bad.append(BadRecord(record, os.fsdecode(key), exc.problem))
        found.labels.append(label)
        found.shapes.append(shape)
        digests += digest
    return found._replace(digests=bytes(digests))


def _contents(datum: caffe_pb2.Datum, decode: bool) -> tuple[Shape | None, bytes]:
    """Shape and digest; of an encoded image that is not to be decoded neither is known."""
    if not decode:
        return (None if datum.encoded else (datum.channels, datum.height, datum.width)), bytes(DIGEST_BYTES)
    image = decode_datum(datum, DECODE_COLOR)
    digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=DIGEST_BYTES)
    digest.update(np.ascontiguousarray(image).data)
    return image.shape, digest.digest()


@functools.lru_cache(maxsize=1)
def _reader(path: str) -> LmdbReader:
    return LmdbReader(path)


def scan_labels(path: Path) -> LabelScan:
    """Read every record. Raises: DataError if there is no database, or it is damaged."""
    reader = LmdbReader(path)
    keys, labels, bad = [], np.full(len(reader), np.nan), []
    for record, (key, content) in enumerate(_records(reader)):
        keys.append(key)
        try:
            labels[record] = _label(content)
        except DataError as exc:
            bad.append(BadRecord(record, key, exc.problem))
    return LabelScan(keys, labels, bad)


def _records(reader: LmdbReader) -> Iterator[tuple[str, bytes]]:
    for record in range(len(reader)):
        content = reader.read(record)
        yield os.fsdecode(reader.key(record)), content


def _label(content: bytes) -> float:
    values = parse_datum(content).float_data
    if len(values) != 1:
        raise DataError(f"expected one float, got {len(values)}")
    return values[0]
