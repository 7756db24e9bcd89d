"""Classifying images with a deploy net: resize, crop, centre, average over crops.

Images are (H, W, K) float32 in [0, 1], channels as in the file (RGB), as pycaffe's ``caffe.io.load_image`` has them.
Source: python/caffe/classifier.py and io.py.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from caffe_compat.data.datum import DECODE_COLOR, DECODE_GRAY, decode_image
from caffe_compat.errors import CaffeCompatError, DataError, expected_got
from caffe_compat.net import Net
from caffe_compat.npy_files import map_npy
from caffe_compat.pycaffe import io

CROPS = 10  # the corners and the centre, each also mirrored


@dataclass(frozen=True)
class Preprocessing:
    """From a crop to what the net reads: channels swapped, times ``raw_scale``, minus ``mean``, times ``input_scale``.

    Attributes:
        image_dims: height and width that images are resized to before they are cropped.
        channel_swap: the channels in the net's order (2, 1, 0: the net's are BGR); None keeps them.
        mean: (K,) or (K, H, W) in the net's channel order; an image of another size is resized to the net's input.
        mean_file: where the mean came from, for errors.
    """

    image_dims: tuple[int, int] = (256, 256)
    channel_swap: tuple[int, ...] | None = (2, 1, 0)
    raw_scale: float = 255.0
    mean: np.ndarray | None = None
    input_scale: float = 1.0
    mean_file: str | None = None


class Classifier:
    """A net with one image input, and how images are made ready for it.

    Args:
        path: the net's file, for errors.
    Raises: CaffeCompatError if the net has no image input, or the preprocessing does not fit it.
    """

    def __init__(self, net: Net, preprocessing: Preprocessing, path: str | None = None) -> None:
        self._net, self._how = net, preprocessing
        self._input, shape = _image_input(net, path)
        self._batch_size, self.channels, self._crop = shape[0], shape[1], (shape[2], shape[3])
        height, width = preprocessing.image_dims
        if height < self._crop[0] or width < self._crop[1]:
            wanted = f"at least the net's input, {self._crop[0]} x {self._crop[1]}"
            raise CaffeCompatError(f"images_dim: {expected_got(wanted, f'{height} x {width}')}", path=path)
        if preprocessing.channel_swap and sorted(preprocessing.channel_swap) != list(range(self.channels)):
            wanted = f"each of the net's {self.channels} channels once, counted from 0"
            raise CaffeCompatError(f"channel_swap: {expected_got(wanted, preprocessing.channel_swap)}", path=path)
        self._transformer = self._make_transformer(shape, path)

    def predict(self, images: Sequence[np.ndarray], oversample: bool = True) -> np.ndarray:
        """The net's first output for each image, flattened: (N, classes) float32.

        With ``oversample`` the mean over ten crops, else that of the centre crop.
        """
        crops = [crop for image in images for crop in self._crops(image, oversample)]
        outputs = [
            self._forward(crops[start : start + self._batch_size]) for start in range(0, len(crops), self._batch_size)
        ]
        scores = np.concatenate(outputs)
        return scores.reshape(len(images), CROPS, -1).mean(1) if oversample else scores

    def _make_transformer(self, shape: tuple[int, ...], path: str | None) -> io.Transformer:
        transformer = io.Transformer({self._input: shape})
        transformer.set_transpose(self._input, (2, 0, 1))
        if self._how.channel_swap:
            transformer.set_channel_swap(self._input, self._how.channel_swap)
        transformer.set_raw_scale(self._input, self._how.raw_scale)
        mean = self._how.mean
        if mean is not None:
            if mean.ndim not in (1, 3) or len(mean) != self.channels:
                wanted = f"({self.channels},) or ({self.channels}, height, width)"
                raise CaffeCompatError(
                    f"mean of another shape: {expected_got(wanted, mean.shape)}", path=self._how.mean_file or path
                )
            transformer.set_mean(self._input, mean)
        transformer.set_input_scale(self._input, self._how.input_scale)
        return transformer

    def _crops(self, image: np.ndarray, oversample: bool) -> list[np.ndarray]:
        resized = io.resize_image(image, self._how.image_dims)[None]
        windows = io.oversample(resized, self._crop) if oversample else io.centre_crop(resized, self._crop)
        return [self._transformer.preprocess(self._input, window) for window in windows]

    def _forward(self, batch: Sequence[np.ndarray]) -> np.ndarray:
        with torch.no_grad():
            outputs = self._net(**{self._input: torch.from_numpy(np.stack(batch))})
        scores = next(iter(outputs.values()))
        return scores.reshape(len(batch), -1).cpu().numpy()


def _image_input(net: Net, path: str | None) -> tuple[str, tuple[int, ...]]:
    if len(net.inputs) != 1 or len(net.blob_shapes[net.inputs[0]]) != 4:
        inputs = ", ".join(f"{name} {net.blob_shapes[name]}" for name in net.inputs) or "none"
        problem = f"inputs of the net: {expected_got('one of four axes (tools/deploy.py makes such a net)', inputs)}"
        raise CaffeCompatError(problem, path=path)
    return net.inputs[0], tuple(net.blob_shapes[net.inputs[0]])


def read_images(path: str | os.PathLike[str], extension: str, channels: int) -> tuple[list[str], list[np.ndarray]]:
    """Names and images: those of a ``.npy`` array (N, H, W, K), of a folder (by name), or the one image file.

    Raises: DataError naming the file that cannot be read, or for a folder without such files.
    """
    path = Path(path)
    if path.suffix == ".npy":
        array = _read_npy(path)
        if array.ndim != 4:
            raise DataError(f"shape: {expected_got('(images, height, width, channels)', array.shape)}", path=str(path))
        return [f"{path}[{index}]" for index in range(len(array))], list(array.astype(np.float32))
    files = sorted(path.glob(f"*.{extension}")) if path.is_dir() else [path]
    if not files:
        raise DataError(f"no file in it ends in .{extension} (--ext names another ending)", path=str(path))
    return [str(file) for file in files], [load_image(file, channels) for file in files]


def _read_npy(path: str | os.PathLike[str]) -> np.ndarray:
    try:
        array = map_npy(path)
    except ValueError as exc:
        raise DataError(str(exc), path=os.fspath(path)) from exc
    if array.dtype.kind not in "fiu":
        raise DataError(expected_got("an array of numbers", f"an array of {array.dtype}"), path=os.fspath(path))
    return array


def load_image(path: str | os.PathLike[str], channels: int = 3) -> np.ndarray:
    """(H, W, 3), RGB, or (H, W, 1), float32 in [0, 1]. Raises: DataError, or OSError."""
    try:
        image = decode_image(Path(path).read_bytes(), DECODE_GRAY if channels == 1 else DECODE_COLOR)
    except DataError as exc:
        raise DataError(exc.problem, path=os.fspath(path)) from exc
    image = image[:, :, None] if image.ndim == 2 else image[:, :, ::-1]
    return image.astype(np.float32) / np.float32(255)
