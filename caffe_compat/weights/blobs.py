"""BlobProto, Caffe's stored array, to and from numpy."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError

from caffe_compat.errors import WeightsError
from caffe_compat.files import atomic_path
from caffe_compat.proto.caffe_pb2 import BlobProto, BlobShape
from caffe_compat.weights.binary import Chunks, CutBlob, cut_blob, length_delimited, read_blob_message

Array = npt.NDArray[np.floating]
_LEGACY_DIMS = ("num", "channels", "height", "width")
_DATA = (BlobProto.DOUBLE_DATA_FIELD_NUMBER, BlobProto.DATA_FIELD_NUMBER)
_MOST_AXES = 32  # Caffe's kMaxBlobAxes
_RAW_KINDS = {BlobProto.DOUBLE: "<f8", BlobProto.FLOAT: "<f4", BlobProto.FLOAT16: "<f2"}


@dataclass(frozen=True)
class StoredBlob:
    """An array as a file holds it.

    Attributes:
        array: float32, or float64 where the file has doubles, in the stored shape. It may be a view of a mapped file,
            not aligned in memory, which numpy takes and torch does not: see ``as_plain``.
        is_legacy: the file gives the shape as num, channels, height, width: always four dims, leading ones filled in.
    """

    array: Array
    is_legacy: bool = False

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether a parameter of ``shape`` takes it. Source: Blob::ShapeEquals, src/caffe/blob.cpp.

        A legacy shape is compared with the parameter's own four-dim form, so (1, 1, M, N) fits (M, N).
        """
        if not self.is_legacy:
            return self.array.shape == shape
        return len(shape) <= 4 and self.array.shape == (1,) * (4 - len(shape)) + shape


def read_stored_blob(blob: BlobProto) -> StoredBlob:
    """The array of ``blob``, owned, and how its shape was written. Raises: WeightsError as ``view_stored_blob``."""
    stored = view_stored_blob(cut_blob(blob.SerializeToString()))
    return StoredBlob(owned(stored.array), stored.is_legacy)


def view_stored_blob(cut: CutBlob) -> StoredBlob:
    """The same of a blob in a file, and no copy of it if that can be.

    Raises: WeightsError if data and shape differ in size, or no array has that shape.
    """
    try:
        head = BlobProto.FromString(cut.rest)
    except DecodeError:
        raise WeightsError("a blob whose shape cannot be read") from None
    shape, array = _shape(head), _numbers(cut, head)
    if len(shape) > _MOST_AXES:
        raise WeightsError(f"a blob of {len(shape)} dims, {_MOST_AXES} are the most")
    if min(shape, default=0) < 0 or array.size != math.prod(shape):
        raise WeightsError(f"a blob of shape {shape} holds {array.size} numbers")
    try:
        return StoredBlob(array.reshape(shape), _is_legacy(head))
    except ValueError:  # no numbers, and dims next to the 0 that no array can have
        raise WeightsError(f"a blob of shape {shape}, which is too large") from None


def _shape(blob: BlobProto) -> tuple[int, ...]:
    return tuple(getattr(blob, dim) for dim in _LEGACY_DIMS) if _is_legacy(blob) else tuple(blob.shape.dim)


def _is_legacy(blob: BlobProto) -> bool:
    return any(blob.HasField(dim) for dim in _LEGACY_DIMS)


def _numbers(cut: CutBlob, head: BlobProto) -> Array:
    """Doubles before floats, as in Caffe; raw bytes, which Caffe does not know, where there are neither."""
    for field in _DATA:
        pieces = [piece for piece in cut.numbers.get(field, []) if piece.size]
        if pieces:
            return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
    if cut.raw is None:
        return np.zeros(0, np.float32)
    kind = np.dtype(_RAW_KINDS[head.raw_data_type])
    if len(cut.raw) % kind.itemsize:
        name = BlobProto.RawDataType.Name(head.raw_data_type)
        raise WeightsError(f"a blob with {len(cut.raw)} bytes of raw_data, which is no whole number of {name}")
    raw = np.frombuffer(cut.raw, kind)
    return raw.astype(np.float32) if kind.itemsize == 2 else raw


def owned(array: Array) -> Array:
    """A copy in memory of its own, aligned, which may be written to."""
    return np.array(array, order="C")


def as_plain(array: Array) -> Array:
    """``array``, or an owned copy if torch could not use it as it lies."""
    return np.require(array, requirements=["C", "ALIGNED", "WRITEABLE"])


def read_blob(blob: BlobProto) -> Array:
    """The array of ``blob`` in its stored shape, float32 (float64 for doubles). Raises: WeightsError."""
    return read_stored_blob(blob).array


def write_blob(array: npt.ArrayLike, legacy: bool = False) -> BlobProto:
    """``array`` as float32 data with its ``shape``, or, legacy, with num, channels, height and width.

    Raises: ValueError for a legacy array of more than four dims.
    """
    return BlobProto.FromString(b"".join(blob_chunks(array, legacy=legacy)))


def blob_chunks(array: npt.ArrayLike, diff: npt.ArrayLike | None = None, legacy: bool = False) -> Chunks:
    """The same as it lies in a file, in pieces; those with the numbers are the arrays' own memory where they can be.

    ``diff`` has as many numbers as ``array``.
    """
    shape = np.shape(array)
    if legacy and len(shape) > 4:
        raise ValueError(f"a legacy blob has at most 4 dims, got shape {shape}")
    chunks = [*_packed(BlobProto.DATA_FIELD_NUMBER, array)]
    if diff is not None:
        chunks += _packed(BlobProto.DIFF_FIELD_NUMBER, diff)
    if not legacy:
        return [*chunks, BlobProto(shape=BlobShape(dim=shape)).SerializeToString()] if shape else chunks
    num, channels, height, width = (1,) * (4 - len(shape)) + shape
    return [BlobProto(num=num, channels=channels, height=height, width=width).SerializeToString(), *chunks]


def _packed(number: int, values: npt.ArrayLike) -> Chunks:
    floats = np.ascontiguousarray(values, "<f4").reshape(-1)
    return length_delimited(number, [floats.data.cast("B")]) if floats.size else []


def read_blobproto_file(path: str | os.PathLike[str]) -> Array:
    """The array of a ``.binaryproto`` file (a mean image, a confusion matrix) in its stored shape.

    Raises: WeightsError naming the file if it is missing, cut short or something else.
    """
    cut = read_blob_message(path)
    if not cut.raw and not any(field in cut.numbers for field in _DATA):
        raise WeightsError("not a BlobProto file: no data in it", path=os.fspath(path))
    try:
        return owned(view_stored_blob(cut).array)
    except WeightsError as exc:
        raise WeightsError(exc.problem, path=os.fspath(path)) from exc


def write_blobproto_file(path: str | os.PathLike[str], array: npt.ArrayLike) -> None:
    """Write ``array`` (at most four dims, as float32) as a legacy BlobProto file, as Caffe's own tools do."""
    chunks = blob_chunks(array, legacy=True)
    with atomic_path(path) as part, open(part, "wb") as file:
        file.writelines(chunks)
