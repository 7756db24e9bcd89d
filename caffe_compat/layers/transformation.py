"""From a layer's ``transform_param`` to its transformer: the mean file, and random numbers of its own.

Source: src/caffe/data_transformer.cpp.
"""

from __future__ import annotations

import logging
import os
import zlib

import numpy as np
import torch

from caffe_compat.data.transformer import Transformer
from caffe_compat.errors import CaffeCompatError, DataError, expected_got
from caffe_compat.proto import caffe_pb2
from caffe_compat.weights import read_blobproto_file

logger = logging.getLogger("caffe_compat")


def make_transformer(
    transform: caffe_pb2.TransformationParameter, layer_name: str, phase: int, seed: int | None
) -> Transformer:
    """The transformer of one layer of a net, its mean file read and its random numbers apart from other layers'.

    Raises: CaffeCompatError, without the layer, about the options or the mean file.
    """
    mean = read_mean(transform.mean_file) if transform.HasField("mean_file") else None
    return Transformer(transform, phase, mean, layer_seed(seed, layer_name))


def known_seed(seed: int | None) -> int:
    """The net's seed, in [0, 2**64); a layer that was built without a net draws one."""
    return int(torch.randint(2**62, ())) if seed is None else seed % 2**64


def layer_seed(seed: int | None, layer_name: str) -> tuple[int, int]:
    """Two numbers below 2**64 for random numbers of one layer's own."""
    return known_seed(seed), zlib.crc32(layer_name.encode())


def read_mean(path: str) -> np.ndarray:
    """The mean image in a BlobProto file: (C, H, W) or (1, C, H, W). Raises: DataError."""
    logger.info("Loading mean file from: %s", path)
    if not os.path.exists(path):
        raise DataError(
            "no mean file there; tools/compute_image_mean.py makes one", path=path, field="transform_param.mean_file"
        )
    try:
        mean = read_blobproto_file(path)
    except CaffeCompatError as exc:
        raise DataError(exc.problem, path=path, field="transform_param.mean_file") from exc
    if mean.ndim not in (3, 4) or mean.size != np.prod(mean.shape[-3:]):
        raise DataError(
            expected_got("one image, (1, C, H, W)", mean.shape), path=path, field="transform_param.mean_file"
        )
    return mean
