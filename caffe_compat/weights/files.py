"""Weights files of every format: which one it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from caffe_compat.errors import expected_got
from caffe_compat.weights.binary import is_hdf5
from caffe_compat.weights.blobs import Array, owned
from caffe_compat.weights.caffemodel import read_binary_layers, save_caffemodel, write_caffemodel
from caffe_compat.weights.hdf5 import read_hdf5_layers, save_hdf5, write_hdf5_layers
from caffe_compat.weights.parameters import NetWithLayers
from caffe_compat.weights.state_dict import (
    read_pt_layers,
    read_safetensors_layers,
    write_pt_layers,
    write_safetensors_layers,
)
from caffe_compat.weights.stored import StoredLayer

PathLike = str | os.PathLike[str]

_WRITERS: dict[str, Callable[[PathLike, Sequence[StoredLayer]], None]] = {
    ".h5": write_hdf5_layers,
    ".pt": write_pt_layers,
    ".safetensors": write_safetensors_layers,
}
SUFFIXES = (".caffemodel", ".caffemodel.h5", ".pt", ".safetensors")


def read_layers(path: PathLike) -> list[StoredLayer]:
    """The layers of a weights file: ``.pt`` and ``.safetensors`` by their suffix, else HDF5 or binary by what it holds.

    Raises: WeightsError naming the file if it is missing, cut short or something else.
    """
    suffix = os.path.splitext(path)[1]
    if suffix == ".pt":
        return read_pt_layers(path)
    if suffix == ".safetensors":
        return read_safetensors_layers(path)
    return read_hdf5_layers(path) if is_hdf5(path) else read_binary_layers(path)


def read_caffemodel(path: PathLike) -> dict[str, list[Array]]:
    """The blobs of each layer that has any, by layer name, in the file's order and shapes (see ``StoredBlob``).

    Of several layers with one name the last counts, as it does when Caffe copies them into a net.
    Raises: WeightsError.
    """
    return {
        layer.name: [owned(blob.array) for blob in layer.blobs.values()] for layer in read_layers(path) if layer.blobs
    }


def write_layers(path: PathLike, name: str, layers: Sequence[StoredLayer]) -> None:
    """Write layers, those of a net called ``name``, in the format of the suffix.

    Raises: ValueError for a suffix not in ``SUFFIXES``; WeightsError for what the format cannot hold.
    """
    suffix = os.path.splitext(path)[1]
    if suffix == ".caffemodel":
        write_caffemodel(path, name, layers)
    elif suffix in _WRITERS:
        _WRITERS[suffix](path, layers)
    else:
        raise ValueError(expected_got(f"a name that ends in one of {', '.join(SUFFIXES)}", repr(os.fspath(path))))


def save_weights(net: NetWithLayers, path: PathLike, diffs: Mapping[Tensor, Tensor] | None = None) -> None:
    """Write a net's weights as Caffe does: HDF5 if the name ends in ``.h5``, else binary. Raises: WeightsError."""
    save = save_hdf5 if os.fspath(path).endswith(".h5") else save_caffemodel
    save(net, path, diffs)
