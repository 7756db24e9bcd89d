"""Weights files copied into a net, by layer name."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from caffe_compat.errors import CaffeCompatError, WeightsError, expected_got
from caffe_compat.glog import shape_text
from caffe_compat.weights.blobs import Array, StoredBlob, as_plain
from caffe_compat.weights.files import read_layers
from caffe_compat.weights.parameters import LayerWithBlobs, NetWithLayers, borrowed_blobs
from caffe_compat.weights.stored import StoredLayer

PathLike = str | os.PathLike[str]

log = logging.getLogger("caffe_compat")


def copy_weights(
    net: NetWithLayers, path: PathLike, read: Callable[[PathLike], list[StoredLayer]] = read_layers
) -> None:
    """Copy the parameters of every layer of the file that the net has too, by name.

    Layers the net lacks are logged and passed over; layers the file lacks keep what they have. Of several layers of
    the net with one name the first is filled, and of several in the file each must fit it and the last counts.
    Everything is checked before the first number is copied.

    Args:
        read: reads the file's layers; by default in the format that the file has.
    Raises: WeightsError, in Caffe's words, where a layer differs in the number or the shapes of its blobs.
    Source: Net::CopyTrainedLayersFrom, src/caffe/net.cpp.
    """
    name = os.fspath(path)
    borrowed = borrowed_blobs(net)
    matched: dict[str, StoredLayer] = {}
    for source in read(path):
        if source.name not in net.layers:
            log.info("Ignoring source layer %s", source.name)
            continue
        matched[source.name] = source
        layer = net.layers[source.name]
        _check_fits(source, layer.shaped_blobs(), borrowed[layer], name)
    if not any(source.blobs for source in matched.values()):
        log.warning("%s: no layer of this net is in it, nothing was copied", name)
    for layer_name, source in matched.items():
        _fill(net.layers[layer_name], source, name)


def _check_fits(source: StoredLayer, targets: list[Tensor], borrowed: set[int], path: str) -> None:
    """Source (of what HDF5 files may leave out): Net::CopyTrainedLayersFromHDF5, src/caffe/net.cpp."""
    missing = {index for index in range(len(targets)) if index not in source.blobs}
    if source.leaves_out_shared:
        missing -= borrowed
    if missing or len(source.blobs) > len(targets):
        counts = expected_got(len(targets), len(source.blobs))
        problem = f"Incompatible number of blobs for layer {source.name}: {counts}"
        raise WeightsError(problem, path=path, layer=source.name)
    for index, blob in source.blobs.items():
        if not blob.fits(tuple(targets[index].shape)):
            problem = _mismatch(source, index, blob, targets[index])
            raise WeightsError(problem, path=path, layer=source.name)


def _mismatch(source: StoredLayer, index: int, blob: StoredBlob, target: Tensor) -> str:
    there, here = shape_text(blob.array.shape), shape_text(target.shape)
    if source.leaves_out_shared:
        return f"Cannot load blob from hdf5; shape mismatch. Source shape is {there} target shape is {here}"
    return (
        f"Cannot copy param {index} weights from layer '{source.name}'; shape mismatch.  Source param shape is "
        f"{there}; target param shape is {here}. To learn this layer's parameters from scratch rather than copying "
        "from a saved net, rename the layer."
    )


def _fill(layer: LayerWithBlobs, source: StoredLayer, path: str) -> None:
    targets = list(layer.blobs)
    for index, blob in source.blobs.items():
        _copy(blob.array, targets[index])
    try:
        layer.blobs_loaded()
    except CaffeCompatError as exc:
        raise WeightsError(f"loaded from {path}: {exc}") from exc


@torch.no_grad()
def _copy(array: Array, target: Tensor) -> None:
    """Into the parameter at once where numpy can, which, unlike torch, takes a view of the file as it lies there."""
    if target.device.type == "cpu" and target.dtype in (torch.float32, torch.float64):
        np.copyto(target.numpy(), array.reshape(target.shape))
        torch.autograd.graph.increment_version(target)  # as torch's own copy does
    else:
        target.copy_(torch.from_numpy(as_plain(array)).view(target.shape))
