"""Datums: one record of a database <-> one numpy array.

Images are uint8 (or float32) arrays of shape (C, H, W), channels in OpenCV's order (BGR).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import cv2
import numpy as np
from google.protobuf.message import DecodeError

from caffe_compat.data.jpeg_size import is_cut_short
from caffe_compat.errors import DataError, expected_got
from caffe_compat.proto import caffe_pb2

DECODE_AS_STORED, DECODE_COLOR, DECODE_GRAY = cv2.IMREAD_UNCHANGED, cv2.IMREAD_COLOR, cv2.IMREAD_GRAYSCALE


def encode_datum(array: np.ndarray, label: int | None = None) -> caffe_pb2.Datum:
    """A datum of raw pixels (uint8: bytes) or values (any float type: float_data).

    Shapes: array (C, H, W).
    Source: CVMatToDatum in Caffe's util/io.cpp, which also writes ``encoded: false`` for pixels.
    """
    channels, height, width = array.shape
    datum = caffe_pb2.Datum(channels=channels, height=height, width=width)
    if array.dtype == np.uint8:
        datum.data = array.tobytes()
        datum.encoded = False
    elif np.issubdtype(array.dtype, np.floating):
        datum.float_data.extend(array.ravel().tolist())
    else:
        raise ValueError(f"array: expected uint8 or a float type, got {array.dtype}")
    if label is not None:
        datum.label = label
    return datum


def encoded_datum(file_content: bytes, label: int) -> caffe_pb2.Datum:
    """A datum that holds an image file (JPEG, PNG, ...) as it is."""
    return caffe_pb2.Datum(data=file_content, label=label, encoded=True)


def label_datum(label: float) -> caffe_pb2.Datum:
    """The record of a label database: 1 x 1 x 1 ``float_data``, so that labels arrive as data and -1 is legal."""
    return caffe_pb2.Datum(channels=1, height=1, width=1, float_data=[label])


def parse_datum(record: bytes) -> caffe_pb2.Datum:
    """Raises: DataError if the bytes are no Datum."""
    try:
        return caffe_pb2.Datum.FromString(record)
    except DecodeError as exc:
        raise DataError("not a Datum; was the database written by Caffe's or our tools?") from exc


def decode_datum(datum: caffe_pb2.Datum, decode: int = DECODE_AS_STORED) -> np.ndarray:
    """The datum's array, (C, H, W), uint8 or float32. It may be read-only and is not always contiguous.

    Args:
        decode: how to read an encoded image: DECODE_AS_STORED, DECODE_COLOR (BGR) or DECODE_GRAY.
    Raises: DataError if the datum's size and its data disagree, or an encoded image cannot be read.
    """
    if datum.encoded:
        return channels_first(decode_image(datum.data, decode))
    shape = (datum.channels, datum.height, datum.width)
    pixels = datum.data  # each access copies the bytes
    values = np.frombuffer(pixels, np.uint8) if pixels else np.array(datum.float_data, np.float32)
    size = shape[0] * shape[1] * shape[2]
    if values.size != size or min(shape) < 1:
        shape_text = " x ".join(map(str, shape))
        raise DataError(f"a datum of {shape_text} {expected_got(f'with {size} values', values.size)}")
    return values.reshape(shape)


def stack_raw(datums: Sequence[caffe_pb2.Datum]) -> np.ndarray | None:
    """The arrays of raw datums of one size in one go, (B, C, H, W); None where one is encoded or differs.

    Ten times as fast for small records as one ``decode_datum`` each.
    """
    first = datums[0]
    shape = (first.channels, first.height, first.width)
    size = shape[0] * shape[1] * shape[2]
    if min(shape) < 1 or any(datum.encoded or (datum.channels, datum.height, datum.width) != shape for datum in datums):
        return None
    pixels = [datum.data for datum in datums]
    if all(len(one) == size for one in pixels):
        return np.frombuffer(b"".join(pixels), np.uint8).reshape(len(datums), *shape)
    values = [datum.float_data for datum in datums]
    if any(pixels) or any(len(one) != size for one in values):
        return None
    return np.fromiter(chain.from_iterable(values), np.float32).reshape(len(datums), *shape)


def decode_image(content: bytes | np.ndarray, decode: int = DECODE_AS_STORED) -> np.ndarray:
    """The pixels, (H, W) or (H, W, C) uint8, of an image file held in memory.

    Raises: DataError if OpenCV cannot read it or its pixels are not 8 bits deep.
    """
    image = decode_any_depth(content, decode)
    if image.dtype != np.uint8:
        raise DataError(expected_got("an image of 8 bits per channel", str(image.dtype)))
    return image


def decode_any_depth(content: bytes | np.ndarray, decode: int = DECODE_AS_STORED) -> np.ndarray:
    """The same, of the type that the file has. Raises: DataError if OpenCV cannot read it."""
    buffer = np.frombuffer(content, np.uint8)
    if is_cut_short(buffer.data):
        raise DataError(f"a JPEG cut short: its {buffer.size} bytes cannot hold the pixels that it declares")
    try:
        image = cv2.imdecode(buffer, decode) if buffer.size else None
    except cv2.error as exc:  # of more pixels than OpenCV takes, or than there is memory for
        raise DataError(f"not a readable image ({buffer.size} bytes): {exc.err}") from exc
    if image is None:
        raise DataError(f"not a readable image ({buffer.size} bytes)")
    return image


def channels_first(image: np.ndarray) -> np.ndarray:
    """A (C, H, W) view of an OpenCV image, (H, W) or (H, W, C)."""
    return image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
