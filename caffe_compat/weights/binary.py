"""Protobuf's wire format where its Python face is too slow or too trusting: files in, arrays out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from caffe_compat.errors import WeightsError

M = TypeVar("M", bound=Message)

_LENGTH_DELIMITED = 2
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def parse_file(path: str | os.PathLike[str], message: M) -> M:
    """Fill ``message`` from a binary file.

    Raises: WeightsError naming the file if it is missing, a directory, empty, cut short or something else.
    """
    name = os.fspath(path)
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise WeightsError("no such file", path=name) from None
    except IsADirectoryError:
        raise WeightsError("is a directory, not a file", path=name) from None
    except PermissionError:
        raise WeightsError("no permission to read it", path=name) from None
    if not content:
        raise WeightsError("the file is empty", path=name)
    if content.startswith(_HDF5_SIGNATURE):
        raise WeightsError("an HDF5 file; expected Caffe's binary proto format", path=name)
    try:
        message.ParseFromString(content)
    except DecodeError as exc:
        kind = message.DESCRIPTOR.name
        raise WeightsError(f"not a binary {kind}, or cut short ({len(content)} bytes)", path=name) from exc
    return message


def packed_field(number: int, payload: bytes) -> bytes:
    """One packed field as it lies in a file: tag, length, ``payload``.

    Setting a million floats one by one takes protobuf a second; parsing them from here, a millisecond.
    """
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)
