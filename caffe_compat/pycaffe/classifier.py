"""Classifying images with a net that is built for it. Source: python/caffe/classifier.py."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from caffe_compat.layers.python_blobs import Array
from caffe_compat.proto import caffe_pb2
from caffe_compat.pycaffe import io
from caffe_compat.pycaffe.net import Net

PathLike = str | os.PathLike[str]


class Classifier(Net):
    """A net with one image input, and the preprocessing for it.

    Args:
        image_dims: (height, width) to which images are resized before they are cropped; by default the input's.
        mean, input_scale, raw_scale, channel_swap: for the Transformer.
    """

    def __init__(
        self,
        model_file: PathLike,
        pretrained_file: PathLike,
        image_dims: Sequence[int] | None = None,
        mean: Array | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
    ) -> None:
        super().__init__(model_file, phase=caffe_pb2.TEST, weights=pretrained_file)
        self.transformer = image_transformer(self, mean, input_scale, raw_scale, channel_swap)
        self.crop_dims = np.array(self.blobs[self.inputs[0]].shape[2:])
        self.image_dims = self.crop_dims if image_dims is None else np.array(image_dims)

    def predict(self, inputs: Sequence[Array], oversample: bool = True) -> Array:
        """The first output for each image (H, W, K), as ``io.load_image`` gives them: (N, classes).

        Args:
            oversample: take the mean over ten crops, not the centre crop alone.
        """
        images = np.stack([io.resize_image(image, self.image_dims) for image in inputs])
        crops = io.oversample(images, self.crop_dims) if oversample else io.centre_crop(images, self.crop_dims)
        name = self.inputs[0]
        batch = np.stack([self.transformer.preprocess(name, crop) for crop in crops])
        predictions = self.forward_all(None, **{name: batch})[self.outputs[0]]
        return predictions.reshape(len(inputs), 10, -1).mean(1) if oversample else predictions


def image_transformer(
    net: Net,
    mean: Array | None,
    input_scale: float | None,
    raw_scale: float | None,
    channel_swap: Sequence[int] | None,
) -> io.Transformer:
    """The Transformer of the net's first input for images (H, W, K)."""
    name = net.inputs[0]
    transformer = io.Transformer({name: net.blobs[name].shape})
    transformer.set_transpose(name, (2, 0, 1))
    if mean is not None:
        transformer.set_mean(name, mean)
    if input_scale is not None:
        transformer.set_input_scale(name, input_scale)
    if raw_scale is not None:
        transformer.set_raw_scale(name, raw_scale)
    if channel_swap is not None:
        transformer.set_channel_swap(name, channel_swap)
    return transformer
