"""What reading into and writing from a net needs to know of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np
from torch import Tensor

from caffe_compat.proto import caffe_pb2
from caffe_compat.weights.blobs import Array


class LayerWithBlobs(Protocol):
    """What is needed of a layer: its parameter blobs in Caffe's order.

    ``blobs`` is their memory; ``shaped_blobs()`` the same in the layer's own shapes, which differ where a blob is
    shared permissively.
    """

    is_loss: bool

    @property
    def blobs(self) -> Iterable[Tensor]: ...

    def shaped_blobs(self) -> list[Tensor]: ...

    def blobs_loaded(self) -> None: ...


class NetWithLayers(Protocol):
    """What is needed of a net: the message it was built from and its layers.

    ``layers`` has the first layer of each name, ``layers_in_order`` one layer for each of ``proto.layer``.
    """

    proto: caffe_pb2.NetParameter

    @property
    def layers(self) -> Mapping[str, LayerWithBlobs]: ...

    @property
    def layers_in_order(self) -> Sequence[LayerWithBlobs]: ...


def borrowed_blobs(net: NetWithLayers) -> dict[LayerWithBlobs, set[int]]:
    """By layer, the indices of the blobs that belong to a layer before."""
    borrowed: dict[LayerWithBlobs, set[int]] = {}
    seen: set[int] = set()
    for layer in net.layers_in_order:
        borrowed[layer] = {index for index, blob in enumerate(layer.blobs) if id(blob) in seen}
        seen.update(id(blob) for blob in layer.blobs)
    return borrowed


def to_numpy(blob: Tensor) -> Array:
    """The numbers of ``blob``: its own memory, if that can be."""
    return blob.detach().cpu().numpy()


def diff_of(owner: Tensor, blob: Tensor, diffs: Mapping[Tensor, Tensor]) -> Array:
    """What to store as the ``diff`` of ``blob``, whose memory is ``owner``'s: zeros where ``diffs`` has none."""
    diff = to_numpy(diffs[owner]) if owner in diffs else np.zeros(owner.numel(), np.float32)
    return diff.reshape(tuple(blob.shape))
