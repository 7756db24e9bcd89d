"""BlobProto to and from arrays: shapes old and new, floats and doubles, files that are something else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffe_compat.errors import WeightsError
from caffe_compat.proto.caffe_pb2 import BlobProto, BlobShape, Datum
from caffe_compat.weights import (
    read_blob,
    read_blobproto_file,
    read_stored_blob,
    write_blob,
    write_blobproto_file,
)

GOLDEN = Path(__file__).parents[1] / "golden"
ARRAY = np.arange(24, dtype=np.float32).reshape(2, 3, 4) / 7


@pytest.mark.parametrize("shape", [(2, 3, 4), (24,), (1, 1, 4, 6), (2, 3, 2, 1, 2)])
def test_current_shapes(shape: tuple[int, ...]) -> None:
    blob = write_blob(ARRAY.reshape(shape))
    assert list(blob.shape.dim) == list(shape) and not blob.HasField("num")
    np.testing.assert_array_equal(read_blob(blob), ARRAY.reshape(shape))
    assert list(blob.data) == list(ARRAY.flat)


def test_scalars_and_empty_arrays() -> None:
    assert read_blob(write_blob(np.float32(2.5))).shape == ()
    assert read_blob(write_blob(np.zeros((0, 3), np.float32))).shape == (0, 3)


def test_legacy_shapes_have_four_dims() -> None:
    blob = write_blob(ARRAY, legacy=True)
    assert (blob.num, blob.channels, blob.height, blob.width, blob.HasField("shape")) == (1, 2, 3, 4, False)
    stored = read_stored_blob(blob)
    assert (stored.is_legacy, stored.array.shape) == (True, (1, 2, 3, 4))
    with pytest.raises(ValueError, match="at most 4 dims, got shape"):
        write_blob(np.zeros((1, 1, 1, 1, 1)), legacy=True)


def test_any_of_the_four_dims_makes_a_blob_legacy() -> None:
    blob = BlobProto(data=[1, 2], width=2)
    with pytest.raises(WeightsError, match=r"shape \(0, 0, 0, 2\) holds 2 numbers"):
        read_blob(blob)


@pytest.mark.parametrize(
    ("stored", "legacy", "parameter", "fits"),
    [
        ((2, 3), False, (2, 3), True),
        ((2, 3), False, (3, 2), False),
        ((1, 1, 2, 3), False, (2, 3), False),
        ((1, 1, 2, 3), True, (2, 3), True),
        ((1, 1, 2, 3), True, (3, 2), False),
        ((1, 1, 2, 3), True, (1, 2, 3), True),
        ((1, 1, 2, 3), True, (6,), False),
        ((1, 1, 1, 6), True, (6,), True),
        ((6, 1, 1, 1), True, (6,), False),
        ((1, 1, 1, 1), True, (), True),
        ((2, 3, 4, 5), True, (2, 3, 4, 5), True),
        ((1, 2, 3, 4), True, (1, 1, 2, 3, 4), False),
    ],
)
def test_what_fits_a_parameter(stored: tuple[int, ...], legacy: bool, parameter: tuple[int, ...], fits: bool) -> None:
    assert read_stored_blob(write_blob(np.zeros(stored), legacy)).fits(parameter) is fits


def test_doubles_are_read_as_doubles_and_win_over_floats() -> None:
    blob = BlobProto(double_data=[0.1, 0.2], data=[5, 6], shape=BlobShape(dim=[2]))
    np.testing.assert_array_equal(read_blob(blob), np.array([0.1, 0.2], np.float64))


def test_what_else_a_blob_holds_does_not_matter() -> None:
    blob = write_blob(ARRAY)
    blob.diff.extend([9.0] * 24)
    blob.double_diff.extend([8.0] * 3)
    np.testing.assert_array_equal(read_blob(blob), ARRAY)


def test_size_and_shape_must_agree() -> None:
    with pytest.raises(WeightsError, match=r"a blob of shape \(2, 2\) holds 3 numbers"):
        read_blob(BlobProto(data=[1, 2, 3], shape=BlobShape(dim=[2, 2])))
    with pytest.raises(WeightsError, match=r"shape \(-1, -3\)"):
        read_blob(BlobProto(data=[1, 2, 3], shape=BlobShape(dim=[-1, -3])))


def test_the_array_may_be_written_to_and_is_not_tied_to_the_message() -> None:
    blob = write_blob(ARRAY)
    read_blob(blob)[...] = 0
    assert list(blob.data) == list(ARRAY.flat)


def test_anything_numpy_takes_can_be_written() -> None:
    transposed = ARRAY.astype(np.float64).transpose(2, 0, 1)
    np.testing.assert_array_equal(read_blob(write_blob(transposed)), transposed.astype(np.float32))


def test_a_mean_file_of_caffes(tmp_path: Path) -> None:
    """Read, and written again byte by byte as Caffe wrote it."""
    path = GOLDEN / "run" / "mean.binaryproto"
    mean = read_blobproto_file(path)
    assert (mean.shape, mean.dtype) == ((1, 3, 16, 16), np.float32)
    write_blobproto_file(tmp_path / "mean.binaryproto", mean)
    assert (tmp_path / "mean.binaryproto").read_bytes() == path.read_bytes()


FOREIGN = {
    "empty": (b"", "the file is empty"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(99), "an HDF5 file"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(99), "not a binary BlobProto"),
    "text": (b"num: 1 channels: 3", "not a binary BlobProto"),
    "zip": (b"PK\x03\x04" + bytes(range(200)), "not a binary BlobProto"),
    "datum": (Datum(channels=3, data=b"abc", label=2).SerializeToString(), "not a BlobProto file: no data in it"),
    "caffemodel": ((GOLDEN / "upgrade" / "v1.caffemodel").read_bytes(), "not a BlobProto file: no data in it"),
    "cut short": ((GOLDEN / "run" / "mean.binaryproto").read_bytes()[:-100], r"or cut short \(2983 bytes\)"),
    "shape": (BlobProto(data=[1, 2], num=1, channels=1, height=1, width=3).SerializeToString(), "holds 2 numbers"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_files_that_are_something_else(kind: str, tmp_path: Path) -> None:
    content, pattern = FOREIGN[kind]
    path = tmp_path / "mean.binaryproto"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=pattern) as caught:
        read_blobproto_file(path)
    assert caught.value.path == str(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="nowhere: no such file$"):
        read_blobproto_file(tmp_path / "nowhere")
    with pytest.raises(WeightsError, match="is a directory, not a file$"):
        read_blobproto_file(tmp_path)
