"""``caffe.io``: images, what a net wants done to them, and arrays in messages. Source: python/caffe/io.py.

Images are float32 arrays (H, W, K), RGB in [0, 1], as pycaffe has them; nets want (K, H, W), mostly BGR in [0, 255].
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from caffe_compat.data.datum import decode_any_depth, decode_datum, encode_datum
from caffe_compat.data.imageset import file_content
from caffe_compat.errors import DataError, expected_got
from caffe_compat.layers.python_blobs import Array
from caffe_compat.proto import caffe_pb2
from caffe_compat.weights import read_blob, write_blob

# How much red, green and blue count in grey: what pycaffe's skimage takes.
_LUMINANCE = np.array([0.2125, 0.7154, 0.0721], np.float32)
_INTERPOLATIONS = {0: cv2.INTER_NEAREST, 1: cv2.INTER_LINEAR, 3: cv2.INTER_CUBIC}

# --- arrays in messages ---------------------------------------------------------------------------------------------


def blobproto_to_array(blob: caffe_pb2.BlobProto, return_diff: bool = False) -> Array:
    """The data of ``blob``, or its diff, float64, in the stored shape. Raises: WeightsError if the sizes disagree."""
    if not return_diff:
        return read_blob(blob).astype(np.float64)
    diffs = caffe_pb2.BlobProto()
    diffs.CopyFrom(blob)
    diffs.ClearField("data")
    diffs.ClearField("double_data")
    diffs.data.extend(blob.diff)
    diffs.double_data.extend(blob.double_diff)
    return read_blob(diffs).astype(np.float64)


def array_to_blobproto(arr: Array, diff: Array | None = None) -> caffe_pb2.BlobProto:
    """Raises: ValueError if the shapes differ."""
    if diff is not None and np.shape(diff) != np.shape(arr):
        raise ValueError(f"diff: {expected_got(f'the shape of the data, {np.shape(arr)}', np.shape(diff))}")
    blob = write_blob(arr)
    if diff is not None:
        blob.diff.extend(np.asarray(diff, np.float32).ravel().tolist())
    return blob


def arraylist_to_blobprotovector_str(arraylist: Sequence[Array]) -> bytes:
    return caffe_pb2.BlobProtoVector(blobs=[write_blob(arr) for arr in arraylist]).SerializeToString()


def blobprotovector_str_to_arraylist(str: bytes) -> list[Array]:
    return [blobproto_to_array(blob) for blob in caffe_pb2.BlobProtoVector.FromString(str).blobs]


def array_to_datum(arr: Array, label: int | None = None) -> caffe_pb2.Datum:
    """A (C, H, W) array as a datum: uint8 as bytes, everything else as floats. Raises: ValueError for other shapes."""
    if arr.ndim != 3:
        raise ValueError(f"Incorrect array shape: {expected_got('3 axes', arr.shape)}")
    return encode_datum(arr if arr.dtype == np.uint8 else arr.astype(float), label)


def datum_to_array(datum: caffe_pb2.Datum) -> Array:
    """The (C, H, W) array of a datum, uint8 or float64; an encoded image is decoded. Raises: DataError."""
    array = decode_datum(datum)
    return array.copy() if array.dtype == np.uint8 else array.astype(float)


# --- what a net wants -----------------------------------------------------------------------------------------------


class Transformer:
    """Makes input blobs of images, each step only if it has been set: resize, transpose, swap channels, scale,
    subtract the mean, scale again.

    Args:
        inputs: the shape of each input blob, ``{"data": net.blobs["data"].data.shape}``.
    Attributes:
        transpose, channel_swap, raw_scale, mean, input_scale: what has been set, by input.
    """

    def __init__(self, inputs: Mapping[str, tuple[int, ...]]) -> None:
        self.inputs = inputs
        self.transpose: dict[str, Sequence[int]] = {}
        self.channel_swap: dict[str, Sequence[int]] = {}
        self.raw_scale: dict[str, float] = {}
        self.mean: dict[str, Array] = {}
        self.input_scale: dict[str, float] = {}

    def preprocess(self, in_: str, data: Array) -> Array:
        """The array (K, H, W) for input ``in_`` from an image (H', W', K)."""
        self._check_input(in_)
        image = np.array(data, np.float32)  # a copy: the caller's image stays as it is
        size = tuple(self.inputs[in_][2:])
        if image.shape[:2] != size:
            image = resize_image(image, size)
        if in_ in self.transpose:
            image = image.transpose(self.transpose[in_])
        if in_ in self.channel_swap:
            image = image[list(self.channel_swap[in_])]
        if in_ in self.raw_scale:
            image = image * np.float32(self.raw_scale[in_])
        if in_ in self.mean:
            image = image - self.mean[in_].astype(np.float32)
        if in_ in self.input_scale:
            image = image * np.float32(self.input_scale[in_])
        return image

    def deprocess(self, in_: str, data: Array) -> Array:
        """The image (H, W, K) that ``preprocess`` makes ``data`` of, in the net's size."""
        self._check_input(in_)
        image = np.array(data).squeeze()
        if in_ in self.input_scale:
            image = image / self.input_scale[in_]
        if in_ in self.mean:
            image = image + self.mean[in_]
        if in_ in self.raw_scale:
            image = image / self.raw_scale[in_]
        if in_ in self.channel_swap:
            image = image[np.argsort(self.channel_swap[in_])]
        if in_ in self.transpose:
            image = image.transpose(np.argsort(self.transpose[in_]))
        return image

    def set_transpose(self, in_: str, order: Sequence[int]) -> None:
        """The order of the image's axes; (2, 0, 1) makes (K, H, W) of (H, W, K)."""
        self._check_input(in_)
        self._check_length("Transpose order", order, len(self.inputs[in_]) - 1)
        self.transpose[in_] = order

    def set_channel_swap(self, in_: str, order: Sequence[int]) -> None:
        """The order of the channels, after the transposition; (2, 1, 0) makes BGR of RGB."""
        self._check_input(in_)
        self._check_length("Channel swap", order, self.inputs[in_][1])
        self.channel_swap[in_] = order

    def set_raw_scale(self, in_: str, scale: float) -> None:
        """The factor before the mean is subtracted; 255 for nets that were trained on pixels."""
        self._check_input(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_: str, mean: Array) -> None:
        """What to subtract: one number a channel, or an image (K, H, W) or (H, W), resized to the input.

        Raises: ValueError for other shapes.
        """
        self._check_input(in_)
        channels, *size = self.inputs[in_][1:]
        if mean.ndim == 1:
            self._check_length("Mean channels", mean, channels)
            mean = mean[:, None, None]
        elif mean.ndim not in (2, 3):
            raise ValueError(f"Mean shape invalid: {expected_got('1 to 3 axes', mean.shape)}")
        elif mean.shape[-2:] != tuple(size):
            image = mean if mean.ndim == 3 else mean[None]
            mean = resize_image(image.transpose(1, 2, 0), tuple(size)).transpose(2, 0, 1)
        self.mean[in_] = mean

    def set_input_scale(self, in_: str, scale: float) -> None:
        """The factor after the mean has been subtracted."""
        self._check_input(in_)
        self.input_scale[in_] = scale

    def _check_input(self, in_: str) -> None:
        if in_ not in self.inputs:
            raise ValueError(f"{in_} is not one of the net inputs: {', '.join(self.inputs)}")

    def _check_length(self, what: str, values: Sequence[Any] | Array, wanted: int) -> None:
        if len(values) != wanted:
            raise ValueError(f"{what}: {expected_got(f'{wanted} numbers', len(values))}")


# --- images ---------------------------------------------------------------------------------------------------------


def load_image(filename: str | os.PathLike[str], color: bool = True) -> Array:
    """An image file as float32 in [0, 1]: (H, W, 3), RGB, or, with ``color`` False, (H, W, 1).

    Raises: DataError if there is no such file, or no image in it.
    """
    path = os.fspath(filename)
    if not os.path.exists(path):
        raise DataError("no such file", path=path)
    try:
        pixels = decode_any_depth(file_content(path))
    except DataError as exc:
        raise DataError(exc.problem, path=path) from exc
    largest = {"uint8": 255, "uint16": 65535}.get(str(pixels.dtype), 1)
    image = pixels.astype(np.float32) / np.float32(largest)
    if image.ndim == 2:
        return np.tile(image[:, :, None], (1, 1, 3 if color else 1))
    rgb = np.ascontiguousarray(image[:, :, 2::-1])  # without a fourth channel, the alpha
    return rgb if color else (rgb @ _LUMINANCE)[:, :, None]


def resize_image(im: Array, new_dims: Sequence[int] | Array, interp_order: int = 1) -> Array:
    """An image (H, W, K) in another size (height, width), float32.

    Args:
        interp_order: 0: nearest pixel, 1: bilinear, 3: bicubic.
    Raises: ValueError for another order.
    """
    if interp_order not in _INTERPOLATIONS:
        raise ValueError(f"interp_order: {expected_got('0, 1 or 3', interp_order)}")
    height, width = (int(size) for size in new_dims)
    channels = np.moveaxis(np.asarray(im, np.float32), -1, 0)
    method = _INTERPOLATIONS[interp_order]
    return np.stack([cv2.resize(channel, (width, height), interpolation=method) for channel in channels], axis=-1)


def oversample(images: Sequence[Array] | Array, crop_dims: Sequence[int] | Array) -> Array:
    """Ten crops of each image: the four corners, the centre, and the same mirrored: (10 N, h, w, K) float32."""
    height, width = (int(size) for size in crop_dims)
    full_height, full_width = images[0].shape[:2]
    bottom, right = full_height - height, full_width - width
    if bottom < 0 or right < 0:
        raise ValueError(f"crop_dims: {expected_got(f'at most {images[0].shape[:2]}', (height, width))}")
    corners = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
    crops = []
    for image in images:
        five = [image[top : top + height, left : left + width] for top, left in corners]
        crops += five + [crop[:, ::-1] for crop in five]
    return np.asarray(crops, np.float32)


def centre_crop(images: Array, crop_dims: Sequence[int] | Array) -> Array:
    """The middle (h, w) of images (N, H, W, K)."""
    height, width = (int(size) for size in crop_dims)
    top, left = (images.shape[1] - height) // 2, (images.shape[2] - width) // 2
    return images[:, top : top + height, left : left + width]
