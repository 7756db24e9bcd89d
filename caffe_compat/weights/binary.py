"""Protobuf's wire format where its Python face is too slow, too hungry or too trusting.

The numbers of a file do not pass through protobuf. ``read_message`` cuts every BlobProto out of the mapped file and
leaves one in its place that only says which it was (``cut_index``); the message that is left is small, and may be
upgraded and moved about like any other. ``write_message`` does the reverse.
"""

from __future__ import annotations

import functools
import mmap
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError, Message

from caffe_compat.errors import WeightsError
from caffe_compat.files import atomic_path
from caffe_compat.proto.caffe_pb2 import BlobProto

M = TypeVar("M", bound=Message)
Numbers = npt.NDArray[np.floating]
Chunks = list[bytes | memoryview]
PathLike = str | os.PathLike[str]

_VARINT, _I64, _LEN, _I32 = 0, 1, 2, 5
_KINDS = {  # the fields that hold a blob's numbers: their type, and the wire type of one that is not packed
    BlobProto.DATA_FIELD_NUMBER: ("<f4", _I32),
    BlobProto.DIFF_FIELD_NUMBER: ("<f4", _I32),
    BlobProto.DOUBLE_DATA_FIELD_NUMBER: ("<f8", _I64),
    BlobProto.DOUBLE_DIFF_FIELD_NUMBER: ("<f8", _I64),
}
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"

# Bounds for what is no file of Caffe's, in work and in memory. ResNet-1001 needs some 65,000 fields, 10,000 layers and
# blobs, and 1 MB besides its numbers.
_MOST_WORK = 200_000  # fields; a layer or a blob is as much work as 10, numbers that are not packed as 4
_MOST_KEPT = 8 << 20
MOST_WRITTEN = 2**31 - 1  # protobuf's own limit, in every language


@dataclass(frozen=True)
class CutBlob:
    """One BlobProto as it lies in a file.

    Attributes:
        whole: all its bytes.
        rest: those of its fields that hold no numbers.
        numbers: field number -> the pieces in which the file has its numbers, if any: views, in general not aligned.
        raw: its ``raw_data``, None if it has none.
    """

    whole: memoryview
    rest: bytes
    numbers: dict[int, list[Numbers]]
    raw: memoryview | None


def read_message(path: PathLike, message: M) -> list[CutBlob]:
    """Fill ``message`` from a binary file, but for its blobs: each has nothing but the ``cut_index`` of one returned.

    Raises: WeightsError naming the file if it is missing, a directory, empty, cut short or something else.
    """
    content, kind = map_file(path), message.DESCRIPTOR.name
    walk = _Walk(content)
    try:
        message.ParseFromString(walk.cut(_plan(message.DESCRIPTOR), 0, len(content)))
    except (_Malformed, DecodeError) as exc:
        raise WeightsError(_problem(kind, len(content), exc), path=os.fspath(path)) from exc
    return walk.blobs


def read_blob_message(path: PathLike) -> CutBlob:
    """The one BlobProto that a ``.binaryproto`` file is. Raises: WeightsError as ``read_message``."""
    content = map_file(path)
    try:
        return cut_blob(content)
    except _Malformed as exc:
        raise WeightsError(_problem("BlobProto", len(content), exc), path=os.fspath(path)) from exc


def cut_blob(content: bytes | memoryview) -> CutBlob:
    """The parts of a serialised BlobProto. Raises: a ValueError if it is none."""
    return _Walk(memoryview(content)).blob(0, len(content))


def write_message(path: PathLike, message: Message, blobs: Sequence[Chunks]) -> None:
    """Write ``message`` with the pieces of ``blobs[n]`` for each of its blobs that has a ``cut_index`` n, atomically.

    Raises: WeightsError for more bytes than a binary proto file may have.
    """
    chunks = _spliced(message, blobs)
    size = _size(chunks)
    if size > MOST_WRITTEN:
        raise WeightsError(
            f"{size} bytes, and a binary proto file may have {MOST_WRITTEN} at most; write HDF5: a name that ends in "
            ".h5, snapshot_format: HDF5 in a solver",
            path=os.fspath(path),
        )
    with atomic_path(path) as part, open(part, "wb") as file:
        file.writelines(chunks)


def length_delimited(number: int, chunks: Chunks) -> Chunks:
    """One length-delimited field as it lies in a file: tag, length, contents."""
    return [_varint(number << 3 | _LEN) + _varint(_size(chunks)), *chunks]


# --- files --------------------------------------------------------------------------------------------------------


def map_file(path: PathLike) -> memoryview:
    """The bytes of a file, mapped: nothing is read before it is used, and writing to them changes no file.

    Raises: WeightsError naming the file if there are none to be had, or an HDF5 file's.
    """
    name = os.fspath(path)
    try:
        check_regular(path)
        with open(path, "rb") as file:
            if not os.fstat(file.fileno()).st_size:
                raise WeightsError("the file is empty", path=name)
            content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    except OSError as exc:
        raise unreadable(name, exc) from exc
    if content[: len(_HDF5_SIGNATURE)] == _HDF5_SIGNATURE:
        raise WeightsError("an HDF5 file; expected Caffe's binary proto format", path=name)
    return content


def is_hdf5(path: PathLike) -> bool:
    """Whether a file is HDF5, by its first bytes; False for one that cannot be read."""
    try:
        check_regular(path)
        with open(path, "rb") as file:
            return file.read(len(_HDF5_SIGNATURE)) == _HDF5_SIGNATURE
    except (OSError, WeightsError):
        return False


def check_regular(path: PathLike) -> None:
    """Raises: WeightsError for a pipe or a device, which might never end; OSError for no file at all."""
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise WeightsError("not a regular file", path=os.fspath(path))


def unreadable(path: str, exc: OSError) -> WeightsError:
    """The error for a file that the system does not give out."""
    if isinstance(exc, FileNotFoundError):
        return WeightsError("no such file", path=path)
    if isinstance(exc, IsADirectoryError):
        return WeightsError("is a directory, not a file", path=path)
    if isinstance(exc, PermissionError):
        return WeightsError("no permission to read it", path=path)
    return WeightsError(f"cannot be read: {exc.strerror or exc}", path=path)


# --- cutting ------------------------------------------------------------------------------------------------------

_Plan = dict[int, Any]  # field number -> the plan of the message there, None for a blob


@functools.cache
def _plan(descriptor: Any) -> _Plan:
    """Where a message of this kind holds blobs, however deep."""
    plan: _Plan = {}
    for field in descriptor.fields:
        if field.message_type is None:
            continue
        if field.message_type.full_name == BlobProto.DESCRIPTOR.full_name:
            plan[field.number] = None
        elif inner := _plan(field.message_type):
            plan[field.number] = inner
    return plan


class _Malformed(ValueError):
    """Bytes that are not what they should be."""


class _TooMuch(_Malformed):
    """Bytes that protobuf might take, but that Caffe never wrote."""


class _Field(NamedTuple):
    number: int
    wire_type: int
    start: int
    value: int  # where the contents start, behind tag and length
    end: int


class _Walk:
    """Once through the fields of a file."""

    def __init__(self, content: memoryview) -> None:
        self.content = content
        self.blobs: list[CutBlob] = []
        self._work_left, self._bytes_left = _MOST_WORK, _MOST_KEPT

    def cut(self, plan: _Plan, start: int, end: int) -> bytes:
        """The message between ``start`` and ``end`` without what its blobs, which go into ``blobs``, hold."""
        kept, seen = [], start
        for field in self.fields(start, end):
            if field.wire_type == _LEN and field.number in plan:
                self._spend(10)
                inner = plan[field.number]
                left = self._cut_blob(field) if inner is None else self.cut(inner, field.value, field.end)
                kept += [self._keep(seen, field.start), *length_delimited(field.number, [left])]
                seen = field.end
        return b"".join([*kept, self._keep(seen, end)])

    def _cut_blob(self, field: _Field) -> bytes:
        self.blobs.append(self.blob(field.value, field.end))
        return BlobProto(cut_index=len(self.blobs) - 1).SerializeToString()

    def blob(self, start: int, end: int) -> CutBlob:
        """The BlobProto between ``start`` and ``end``."""
        numbers: dict[int, list[Numbers]] = {}
        rest, raw, position = [], None, start
        while position < end:
            field = self._field(position, end)
            position = field.end
            kind, lone = _KINDS.get(field.number, ("", None))
            if kind and field.wire_type == _LEN:
                numbers.setdefault(field.number, []).append(self._packed(field, kind))
            elif field.wire_type == lone:
                run = self._run(field, end)
                position = field.start + run.size
                numbers.setdefault(field.number, []).append(run[:, field.value - field.start :].view(kind)[:, 0])
            elif field.number == BlobProto.RAW_DATA_FIELD_NUMBER and field.wire_type == _LEN:
                raw = self.content[field.value : field.end]
            else:
                rest.append(self._keep(field.start, field.end))
        return CutBlob(self.content[start:end], b"".join(rest), numbers, raw)

    def _packed(self, field: _Field, kind: str) -> Numbers:
        if (field.end - field.value) % np.dtype(kind).itemsize:
            raise _Malformed("a packed field ends within a number")
        return np.frombuffer(self.content[field.value : field.end], kind)

    def _run(self, first: _Field, end: int) -> npt.NDArray[np.uint8]:
        """The fields from ``first`` on that have its tag, one a row: numbers that are not packed come in millions."""
        self._spend(4)
        step, width = first.end - first.start, first.value - first.start
        rows = np.frombuffer(self.content[first.start : end], np.uint8, (end - first.start) // step * step)
        rows = rows.reshape(-1, step)
        length, window = 1, 64
        while length < len(rows):  # in windows that grow, so that many short runs are not gone through to the end
            same = (rows[length : length + window, :width] == rows[0, :width]).all(axis=1)
            if not same.all():
                length += int(same.argmin())
                break
            length, window = length + len(same), min(2 * window, 1 << 20)
        return rows[:length]

    def fields(self, position: int, end: int) -> Iterator[_Field]:
        """The fields of the message between ``position`` and ``end``."""
        while position < end:
            field = self._field(position, end)
            yield field
            position = field.end

    def _field(self, start: int, end: int) -> _Field:
        self._spend(1)
        tag, value = self._read_varint(start, end)
        number, wire_type, stop = tag >> 3, tag & 7, 0
        if wire_type == _VARINT:
            stop = self._read_varint(value, end)[1]
        elif wire_type == _LEN:
            size, value = self._read_varint(value, end)
            stop = value + size
        elif wire_type in (_I32, _I64):
            stop = value + (4 if wire_type == _I32 else 8)
        if not 0 < number < 1 << 29 or not value <= stop <= end:
            raise _Malformed(f"no field of protobuf's at byte {start}")
        return _Field(number, wire_type, start, value, stop)

    def _read_varint(self, position: int, end: int) -> tuple[int, int]:
        """The number at ``position`` and the position behind it."""
        value, shift = 0, 0
        for index in range(position, min(position + 10, end)):
            byte = self.content[index]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, index + 1
            shift += 7
        raise _Malformed(f"no end to the number at byte {position}")

    def _spend(self, work: int) -> None:
        self._work_left -= work
        if self._work_left < 0:
            raise _TooMuch("more layers, blobs and fields than any net has")

    def _keep(self, start: int, end: int) -> bytes:
        self._bytes_left -= end - start
        if self._bytes_left < 0:
            raise _TooMuch(f"more than {_MOST_KEPT} bytes besides the numbers of blobs")
        return bytes(self.content[start:end])


def _problem(kind: str, size: int, exc: Exception) -> str:
    if isinstance(exc, _TooMuch):
        return f"not a {kind} of Caffe's: {exc}"
    return f"not a binary {kind}, or cut short ({size} bytes)"


# --- splicing -----------------------------------------------------------------------------------------------------


def _spliced(message: Message, blobs: Sequence[Chunks]) -> Chunks:
    content = memoryview(message.SerializePartialToString())
    walk = _Walk(content)

    def splice(plan: _Plan, start: int, end: int) -> Chunks:
        chunks: Chunks = []
        seen = start
        for field in walk.fields(start, end):
            if field.wire_type == _LEN and field.number in plan:
                inner = plan[field.number]
                parts = cut_out(field) if inner is None else splice(inner, field.value, field.end)
                chunks += [content[seen : field.start], *length_delimited(field.number, parts)]
                seen = field.end
        return [*chunks, content[seen:end]]

    def cut_out(field: _Field) -> Chunks:
        blob = BlobProto.FromString(bytes(content[field.value : field.end]))
        return list(blobs[blob.cut_index]) if blob.HasField("cut_index") else [content[field.value : field.end]]

    return splice(_plan(message.DESCRIPTOR), 0, len(content))


def _size(chunks: Chunks) -> int:
    return sum(len(chunk) for chunk in chunks)


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)
