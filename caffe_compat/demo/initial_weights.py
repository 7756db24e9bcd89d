"""Where the full-size joint net starts when no ILSVRC-trained weights are at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from caffe_compat.files import atomic_path
from caffe_compat.proto import caffe_pb2
from caffe_compat.weights import write_blob

# CaffeNet's convolutions: weight shape (groups are why the second number halves), bias.
_CONVOLUTIONS: dict[str, tuple[tuple[int, int, int, int], float]] = {
    "conv1": ((96, 3, 11, 11), 0.0),
    "conv2": ((256, 48, 5, 5), 1.0),
    "conv3": ((384, 256, 3, 3), 0.0),
    "conv4": ((384, 192, 3, 3), 1.0),
    "conv5": ((256, 192, 3, 3), 1.0),
}
_STANDARD_DEVIATION = 0.01
_STREAM = (0, 1)  # apart from the pictures' streams, which are (seed, number)


def write_initial_weights(path: Path, seed: int) -> None:
    """Write a .caffemodel with the convolutions of both branches, drawn by CaffeNet's own fillers.

    Both branches start alike, as they would from one trained net. The fully connected layers are not in it: nets
    fill them themselves.
    """
    rng = np.random.default_rng([seed, *_STREAM])
    net = caffe_pb2.NetParameter(name="initial_weights")
    drawn = {name: rng.normal(0, _STANDARD_DEVIATION, shape) for name, (shape, _) in _CONVOLUTIONS.items()}
    for branch in ("clean", "ntype"):
        for name, (shape, bias) in _CONVOLUTIONS.items():
            layer = net.layer.add(name=f"{name}_{branch}", type="Convolution")
            for array in (drawn[name], np.full(shape[0], bias)):
                layer.blobs.add().CopyFrom(write_blob(array.astype(np.float32)))
    with atomic_path(path) as part:
        part.write_bytes(net.SerializeToString())
