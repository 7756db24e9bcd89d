"""Image files to datums, as convert_imageset makes them.

Source: tools/convert_imageset.cpp and ReadImageToDatum in src/caffe/util/io.cpp.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from caffe_compat.data.datum import (
    DECODE_COLOR,
    DECODE_GRAY,
    channels_first,
    decode_image,
    encode_datum,
    encoded_datum,
)
from caffe_compat.data.image_list import Entry, missing_slash
from caffe_compat.errors import DataError, expected_got
from caffe_compat.machine import cores
from caffe_compat.proto import caffe_pb2

logger = logging.getLogger("caffe_compat")

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class ImageFormat:
    """How images are stored.

    Attributes:
        gray: one channel instead of three.
        size: (height, width) to resize to, ignoring the aspect ratio; None keeps each image's own.
        encoding: file type to store ("jpg", "png"); "" stores pixels. A file that has this type already and is
            not resized is stored as it is (even in colour when ``gray`` is set, as Caffe does).
    """

    gray: bool = False
    size: tuple[int, int] | None = None
    encoding: str = ""


def read_image(path: str | os.PathLike[str], form: ImageFormat = ImageFormat()) -> np.ndarray:
    """The pixels of an image file, (H, W, 3) BGR or (H, W), uint8, resized (bilinear).

    Raises: DataError naming the file if it cannot be read.
    """
    return _pixels(file_content(path), path, form)


def image_datum(path: str | os.PathLike[str], label: int, form: ImageFormat) -> tuple[caffe_pb2.Datum, tuple[int, ...]]:
    """The datum of an image file, and the image's shape (C, H, W).

    Raises: DataError naming the file if it cannot be read or written in the encoding.
    """
    content = file_content(path)
    pixels = _pixels(content, path, form)
    shape = channels_first(pixels).shape
    if not form.encoding:
        return encode_datum(channels_first(pixels), label), shape
    if form.size is None and _has_type(path, form.encoding):
        return encoded_datum(content, label), shape
    return encoded_datum(_encode(pixels, form.encoding, path), label), shape


def file_content(path: str | os.PathLike[str]) -> bytes:
    """Raises: DataError naming the file if it cannot be read."""
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as exc:  # ValueError: a name with a NUL in it
        problem = f"cannot be read: {exc.strerror if isinstance(exc, OSError) else exc}"
        raise DataError(problem, path=os.fspath(path)) from exc


def _pixels(content: bytes, path: str | os.PathLike[str], form: ImageFormat) -> np.ndarray:
    try:
        pixels = decode_image(content, DECODE_GRAY if form.gray else DECODE_COLOR)
    except DataError as exc:
        raise DataError(exc.problem, path=os.fspath(path)) from exc
    if form.size is None:
        return pixels
    try:
        return cv2.resize(pixels, (form.size[1], form.size[0]))
    except cv2.error as exc:
        problem = f"cannot be resized to {form.size[0]} x {form.size[1]}: {exc.err}"
        raise DataError(problem, path=os.fspath(path)) from exc


def _encode(pixels: np.ndarray, encoding: str, path: str | os.PathLike[str]) -> bytes:
    try:
        done, buffer = cv2.imencode("." + encoding, pixels)
    except cv2.error as exc:
        raise DataError(f"cannot be stored as {encoding!r}: {exc.err}", path=os.fspath(path)) from exc
    if not done:
        raise DataError(f"cannot be stored as {encoding!r}", path=os.fspath(path))
    return buffer.tobytes()


def file_type(path: str | os.PathLike[str]) -> str:
    """The file name's extension in lower case, without the dot."""
    return os.path.splitext(path)[1][1:].lower()


def _has_type(path: str | os.PathLike[str], encoding: str) -> bool:
    return file_type(path) == encoding.lower() or (encoding.lower(), file_type(path)) == ("jpg", "jpeg")


@dataclass
class ImageRecords:
    """The records of a list's images in the list's order; iterate once.

    Attributes:
        root: put before every path as it is, as Caffe does: end a folder with "/".
        guess_encoding: store each image in the type that its name tells.
        check_size: all images must have one shape.
        skip_unreadable: leave images that cannot be read out; the others keep their keys.
        kept, dropped: filled while iterating.
    """

    root: str
    entries: list[Entry]
    list_path: str
    form: ImageFormat
    guess_encoding: bool = False
    check_size: bool = False
    skip_unreadable: bool = False
    kept: list[Entry] = field(default_factory=list)
    dropped: list[Entry] = field(default_factory=list)

    def __iter__(self) -> Iterator[tuple[bytes, caffe_pb2.Datum]]:
        """Raises: DataError naming the line of the list and the image."""
        first_shape: tuple[int, ...] | None = None
        for entry, made in zip(self.entries, in_threads(self._make, self.entries), strict=True):
            if isinstance(made, DataError):
                self._drop(entry, made)
                continue
            datum, shape = made
            first_shape = first_shape or shape
            if self.check_size and shape != first_shape:
                raise self._at(entry, f"{entry.path}: {expected_got(f'the first image size {first_shape}', shape)}")
            self.kept.append(entry)
            yield entry.key, datum

    def _make(self, entry: Entry) -> tuple[caffe_pb2.Datum, tuple[int, ...]] | DataError:
        try:
            return image_datum(self.root + entry.path, entry.label, self._form_of(entry))
        except DataError as exc:
            return exc

    def _form_of(self, entry: Entry) -> ImageFormat:
        if not self.guess_encoding:
            return self.form
        if not file_type(entry.path):
            raise DataError("its name does not tell its type; give --encode_type", path=entry.path)
        return ImageFormat(self.form.gray, self.form.size, file_type(entry.path))

    def _drop(self, entry: Entry, problem: DataError) -> None:
        if not self.skip_unreadable:
            slash = missing_slash(self.root, entry.path, "ROOTFOLDER")
            raise self._at(entry, f"{problem}; {slash or '--skip_unreadable leaves such images out'}") from problem
        logger.error("Could not open or find file %s", problem.path)
        self.dropped.append(entry)

    def _at(self, entry: Entry, problem: str) -> DataError:
        return DataError(problem, path=f"{self.list_path}:{entry.line}")


def in_threads(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """``map`` in a thread a core, in order, a few items ahead (OpenCV releases the GIL)."""
    threads = cores()
    pending: deque[Future[_Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > 4 * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
