"""Classifying windows of images, as R-CNN does. Source: python/caffe/detector.py."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from caffe_compat.errors import expected_got
from caffe_compat.layers.python_blobs import Array
from caffe_compat.proto import caffe_pb2
from caffe_compat.pycaffe import io
from caffe_compat.pycaffe.classifier import image_transformer
from caffe_compat.pycaffe.net import Net

PathLike = str | os.PathLike[str]


class Detector(Net):
    """A net with one image input that is run on windows, each warped to the input's size.

    Args:
        mean, input_scale, raw_scale, channel_swap: for the Transformer.
        context_pad: pixels of surrounding context, in the input's size, on each side of a window.
    """

    def __init__(
        self,
        model_file: PathLike,
        pretrained_file: PathLike,
        mean: Array | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
        context_pad: int | None = None,
    ) -> None:
        super().__init__(model_file, phase=caffe_pb2.TEST, weights=pretrained_file)
        self.transformer = image_transformer(self, mean, input_scale, raw_scale, channel_swap)
        self.configure_crop(context_pad)

    def configure_crop(self, context_pad: int | None) -> None:
        """Set the context, and what stands for it outside the image: the mean, as an image of ``io.load_image``'s."""
        name = self.inputs[0]
        channels, *size = self.blobs[name].shape[1:]
        self.crop_dims = (*size, channels)
        self.context_pad = context_pad or 0
        if 2 * self.context_pad >= min(size):
            raise ValueError(f"context_pad: {expected_got(f'less than half of {min(size)}', context_pad)}")
        mean = np.zeros(self.blobs[name].shape[1:], np.float32)
        if name in self.transformer.mean:
            mean += self.transformer.mean[name]
        if name in self.transformer.channel_swap:
            mean = mean[np.argsort(self.transformer.channel_swap[name])]
        self.crop_mean = mean.transpose(1, 2, 0) / self.transformer.raw_scale.get(name, 1.0)

    def detect_windows(self, images_windows: Iterable[tuple[PathLike, Sequence[Any]]]) -> list[dict[str, Any]]:
        """The net's first output for each window.

        Args:
            images_windows: image files, each with its windows (ymin, xmin, ymax, xmax).
        Returns: a dict of ``window``, ``prediction`` and ``filename`` for each window, in order.
        """
        name = self.inputs[0]
        found: list[dict[str, Any]] = []
        batch = []
        for file, windows in images_windows:
            image = io.load_image(file)
            for window in windows:
                batch.append(self.transformer.preprocess(name, self.crop(image, np.asarray(window))))
                found.append({"window": window, "filename": file})
        if found:
            predictions = self.forward_all(None, **{name: np.stack(batch)})[self.outputs[0]]
            for each, prediction in zip(found, predictions, strict=True):
                each["prediction"] = prediction
        return found

    def crop(self, im: Array, window: Array) -> Array:
        """The window of an image, with ``context_pad`` in the input's size and the mean where the image ends.

        Raises: ValueError for a window that has nothing of the image.
        """
        if not self.context_pad:
            inside = im[window[0] : window[2], window[1] : window[3]]
            if not inside.size:
                raise ValueError(f"window {tuple(window)}: nothing of an image of {im.shape[:2]} in it")
            return inside
        size = self.crop_dims[0]
        box = self._with_context(window, size)
        scale = size / (box[2:] - box[:2] + 1)
        clipped = np.clip(box, 0, [*im.shape[:2], *im.shape[:2]])
        if (clipped[2:] <= clipped[:2]).any():
            raise ValueError(f"window {tuple(window)}: nothing of an image of {im.shape[:2]} in it")
        start = np.round(np.maximum(0, -box[:2]) * scale).astype(int)
        extent = np.round((clipped[2:] - clipped[:2] + 1) * scale).astype(int)
        extent = np.minimum(extent, size - start)
        top, left, bottom, right = clipped.astype(int)
        crop = self.crop_mean.astype(np.float32)
        inside = io.resize_image(im[top:bottom, left:right], extent)
        crop[start[0] : start[0] + extent[0], start[1] : start[1] + extent[1]] = inside
        return crop

    def _with_context(self, window: Array, size: int) -> Array:
        """The window grown about its centre, so that in the input's size it ends ``context_pad`` from the border."""
        half = (window[2:] - window[:2] + 1) / 2
        centre = window[:2] + half
        grown = half * size / (size - 2 * self.context_pad)
        return np.round(np.concatenate([centre - grown, centre + grown]))

    def detect_selective_search(self, image_fnames: Sequence[PathLike]) -> list[dict[str, Any]]:
        """``detect_windows`` over what selective search proposes.

        Raises: ModuleNotFoundError without the module selective_search_ijcv_with_python, which runs a MATLAB program.
        """
        name = "selective_search_ijcv_with_python"
        try:
            selective_search = importlib.import_module(name)
        except ModuleNotFoundError as exc:
            problem = f"detect_selective_search needs the module {name} on sys.path, and MATLAB"
            raise ModuleNotFoundError(f"{problem}; with windows of your own call detect_windows") from exc
        files = [os.path.abspath(file) for file in image_fnames]
        windows = selective_search.get_windows(files, cmd="selective_search_rcnn")
        return self.detect_windows(zip(files, windows, strict=True))
