"""BlobProto, Caffe's stored array, to and from numpy."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from caffe_compat.errors import WeightsError
from caffe_compat.files import atomic_path
from caffe_compat.proto import caffe_pb2
from caffe_compat.weights.binary import packed_field, parse_file

Array = npt.NDArray[np.floating]
_LEGACY_DIMS = ("num", "channels", "height", "width")


@dataclass(frozen=True)
class StoredBlob:
    """An array as a file holds it.

    Attributes:
        array: float32, or float64 where the file has ``double_data``, in the stored shape.
        is_legacy: the file gives the shape as num, channels, height, width: always four dims, leading ones filled in.
    """

    array: Array
    is_legacy: bool

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether a parameter of ``shape`` takes it. Source: Blob::ShapeEquals, src/caffe/blob.cpp.

        A legacy shape is compared with the parameter's own four-dim form, so (1, 1, M, N) fits (M, N).
        """
        if not self.is_legacy:
            return self.array.shape == shape
        return len(shape) <= 4 and self.array.shape == (1,) * (4 - len(shape)) + shape


def read_stored_blob(blob: caffe_pb2.BlobProto) -> StoredBlob:
    """The array of ``blob`` and how its shape was written. Raises: WeightsError if data and shape differ in size."""
    shape = stored_shape(blob)
    array = _values(blob.double_data, np.float64) if blob.double_data else _values(blob.data, np.float32)
    if min(shape, default=0) < 0 or array.size != np.prod(shape, dtype=np.int64):
        raise WeightsError(f"a blob of shape {shape} holds {array.size} numbers")
    return StoredBlob(array.reshape(shape), _is_legacy(blob))


def stored_shape(blob: caffe_pb2.BlobProto) -> tuple[int, ...]:
    """The shape that ``blob`` states; legacy ones have four dims."""
    return tuple(getattr(blob, dim) for dim in _LEGACY_DIMS) if _is_legacy(blob) else tuple(blob.shape.dim)


def _is_legacy(blob: caffe_pb2.BlobProto) -> bool:
    return any(blob.HasField(dim) for dim in _LEGACY_DIMS)


def _values(numbers: Any, kind: type[np.floating]) -> Array:
    """A repeated field as an array: at once where protobuf (6.32 on) offers that, else number by number."""
    return np.array(numbers, kind) if hasattr(numbers, "__array__") else np.fromiter(numbers, kind, len(numbers))


def read_blob(blob: caffe_pb2.BlobProto) -> Array:
    """The array of ``blob`` in its stored shape, float32 (float64 for ``double_data``). Raises: WeightsError."""
    return read_stored_blob(blob).array


def write_blob(array: npt.ArrayLike, legacy: bool = False) -> caffe_pb2.BlobProto:
    """``array`` as float32 data with its ``shape``, or, legacy, with num, channels, height and width.

    Raises: ValueError for a legacy array of more than four dims.
    """
    blob = caffe_pb2.BlobProto()
    fill_blob(blob, array)
    if legacy:
        shape = list(blob.shape.dim)
        if len(shape) > 4:
            raise ValueError(f"a legacy blob has at most 4 dims, got shape {tuple(shape)}")
        blob.ClearField("shape")
        for dim, size in zip(_LEGACY_DIMS, [1] * (4 - len(shape)) + shape, strict=True):
            setattr(blob, dim, size)
    return blob


def fill_blob(blob: caffe_pb2.BlobProto, array: npt.ArrayLike, diff: npt.ArrayLike | None = None) -> None:
    """Put ``array``, and with it ``diff`` (as many numbers), into an empty blob, float32, current shape."""
    blob.shape.dim.extend(np.shape(array))
    for number, values in ((blob.DATA_FIELD_NUMBER, array), (blob.DIFF_FIELD_NUMBER, diff)):
        if values is not None:
            blob.MergeFromString(packed_field(number, np.asarray(values, "<f4").tobytes()))


def read_blobproto_file(path: str | os.PathLike[str]) -> Array:
    """The array of a ``.binaryproto`` file (a mean image, a confusion matrix) in its stored shape.

    Raises: WeightsError naming the file if it is missing, cut short or something else.
    """
    blob = parse_file(path, caffe_pb2.BlobProto())
    if not blob.data and not blob.double_data:
        raise WeightsError("not a BlobProto file: no data in it", path=os.fspath(path))
    try:
        return read_blob(blob)
    except WeightsError as exc:
        raise WeightsError(exc.problem, path=os.fspath(path)) from exc


def write_blobproto_file(path: str | os.PathLike[str], array: npt.ArrayLike) -> None:
    """Write ``array`` (at most four dims, as float32) as a legacy BlobProto file, as Caffe's own tools do."""
    serialised = write_blob(array, legacy=True).SerializeToString()
    with atomic_path(path) as part:
        part.write_bytes(serialised)
