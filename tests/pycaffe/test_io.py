"""caffe.io: messages there and back, images against OpenCV's pixels, crops by slices."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from caffe_compat.errors import DataError
from caffe_compat.proto.caffe_pb2 import BlobProto, Datum
from caffe_compat.pycaffe import io


def test_blobprotos() -> None:
    data = np.random.RandomState(0).randn(8, 3, 2).astype(np.float32)
    blob = io.array_to_blobproto(data, diff=-data)
    assert list(blob.shape.dim) == [8, 3, 2]
    np.testing.assert_array_equal(io.blobproto_to_array(blob), data)
    np.testing.assert_array_equal(io.blobproto_to_array(blob, return_diff=True), -data)
    old = BlobProto(num=1, channels=1, height=2, width=3, data=range(6), diff=range(6))
    for return_diff in (False, True):
        found = io.blobproto_to_array(old, return_diff)
        assert found.shape == (1, 1, 2, 3) and found.dtype == np.float64 and found.flags.writeable
    several = io.blobprotovector_str_to_arraylist(io.arraylist_to_blobprotovector_str([data, data[0]]))
    np.testing.assert_array_equal(several[1], data[0])
    with pytest.raises(ValueError, match="expected the shape of the data"):
        io.array_to_blobproto(data, diff=data[0])


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int64])
def test_datums(dtype: type) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    datum = io.array_to_datum(array, label=1)
    assert (
        datum.label == 1 and bool(datum.data) == (dtype is np.uint8) and not io.array_to_datum(array).HasField("label")
    )
    found = io.datum_to_array(Datum.FromString(datum.SerializeToString()))
    np.testing.assert_array_equal(found, array)
    assert found.dtype == (np.uint8 if dtype is np.uint8 else np.float64) and found.flags.writeable
    with pytest.raises(ValueError, match="expected 3 axes"):
        io.array_to_datum(array[0])


def test_load_image(tmp_path: Path) -> None:
    """Blue, green, red and alpha told apart; 8 and 16 bits; grey made of colour as skimage does it."""
    pixels = np.random.RandomState(0).randint(0, 256, (5, 6, 4)).astype(np.uint8)
    for name, written in (("bgra", pixels), ("bgr", pixels[:, :, :3]), ("grey", pixels[:, :, 0])):
        cv2.imwrite(str(tmp_path / f"{name}.png"), written)
    cv2.imwrite(str(tmp_path / "deep.png"), pixels[:, :, :3].astype(np.uint16) * 257)
    expected = (pixels[:, :, 2::-1] / 255).astype(np.float32)
    for name in ("bgra", "bgr", "deep"):
        found = io.load_image(str(tmp_path / f"{name}.png"))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-6)
    luminance = expected @ [0.2125, 0.7154, 0.0721]
    np.testing.assert_allclose(io.load_image(tmp_path / "bgr.png", color=False)[:, :, 0], luminance, atol=1e-6)
    grey = io.load_image(tmp_path / "grey.png")
    assert grey.shape == (5, 6, 3) and (grey == grey[:, :, :1]).all()
    assert io.load_image(tmp_path / "grey.png", color=False).shape == (5, 6, 1)
    (tmp_path / "text.png").write_text("no image")
    for name, message in (("none.png", "no such file"), ("text.png", "not a readable image")):
        with pytest.raises(DataError, match=message):
            io.load_image(tmp_path / name)


def test_resize_image() -> None:
    """A slope stays a slope, for any number of channels; nearest takes pixels that are there."""
    slope = np.broadcast_to(np.arange(8.0)[:, None, None], (8, 4, 5))
    found = io.resize_image(slope, (4, 8))
    assert found.shape == (4, 8, 5) and found.dtype == np.float32
    np.testing.assert_allclose(found[:, 3, 2], [0.5, 2.5, 4.5, 6.5])
    assert set(np.unique(io.resize_image(slope, (5, 4), interp_order=0))) <= set(range(8))
    with pytest.raises(ValueError, match="expected 0, 1 or 3, got 2"):
        io.resize_image(slope, (4, 4), interp_order=2)


def test_oversample() -> None:
    images = [np.random.RandomState(seed).rand(7, 9, 3).astype(np.float32) for seed in range(2)]
    crops = io.oversample(images, (4, 5))
    assert crops.shape == (20, 4, 5, 3)
    for index, (top, left) in enumerate([(0, 0), (0, 4), (3, 0), (3, 4), (1, 2)]):
        window = images[1][top : top + 4, left : left + 5]
        np.testing.assert_array_equal(crops[10 + index], window)
        np.testing.assert_array_equal(crops[15 + index], window[:, ::-1])
    with pytest.raises(ValueError, match="crop_dims"):
        io.oversample(images, (8, 5))


def test_transformer_step_by_step() -> None:
    """((image in channels' order swapped) * raw - mean) * scale, and back; the image is left alone."""
    random = np.random.RandomState(0)
    image, mean = random.rand(4, 5, 3).astype(np.float32), random.rand(3, 4, 5)
    transformer = io.Transformer({"data": (1, 3, 4, 5)})
    transformer.set_transpose("data", (2, 0, 1))
    transformer.set_channel_swap("data", (2, 0, 1))
    transformer.set_raw_scale("data", 255)
    transformer.set_mean("data", mean)
    transformer.set_input_scale("data", 0.5)
    before = image.copy()
    expected = (image.transpose(2, 0, 1)[[2, 0, 1]] * 255 - mean) * 0.5
    found = transformer.preprocess("data", image)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_allclose(transformer.deprocess("data", found[None]), image, rtol=1e-4, atol=1e-6)
    assert transformer.preprocess("data", random.rand(9, 8, 3)).shape == (3, 4, 5)


def test_means_of_any_shape() -> None:
    transformer = io.Transformer({"data": (1, 3, 4, 6)})
    for mean, value in (
        (np.array([1.0, 2, 3]), [1, 2, 3]),
        (np.ones((4, 6)), [1, 1, 1]),
        (np.ones((8, 12)) * 2, [2, 2, 2]),
        (np.ones((3, 9, 9)) * np.array([1, 2, 3])[:, None, None], [1, 2, 3]),
    ):
        transformer.set_mean("data", mean)
        transformer.set_transpose("data", (2, 0, 1))
        found = transformer.preprocess("data", np.zeros((4, 6, 3)))
        np.testing.assert_allclose(found, np.broadcast_to(-np.array(value, float)[:, None, None], (3, 4, 6)), rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda t: t.set_mean("label", np.ones(3)), "label is not one of the net inputs: data"),
        (lambda t: t.preprocess("label", np.ones((2, 2, 3))), "not one of the net inputs"),
        (lambda t: t.set_mean("data", np.ones(4)), "Mean channels: expected 3 numbers, got 4"),
        (lambda t: t.set_mean("data", np.ones((1, 1, 1, 1))), "Mean shape invalid"),
        (lambda t: t.set_transpose("data", (1, 0)), "Transpose order: expected 3 numbers"),
        (lambda t: t.set_channel_swap("data", (1, 0)), "Channel swap: expected 3 numbers"),
    ],
)
def test_transformer_mistakes(call: object, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call(io.Transformer({"data": (1, 3, 4, 5)}))  # type: ignore[operator]
