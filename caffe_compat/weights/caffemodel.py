"""``.caffemodel`` files in Caffe's binary format, of every generation, to and from layers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from torch import Tensor

from caffe_compat.errors import PrototxtError, WeightsError
from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt.upgrade import needs_upgrade, upgrade_net
from caffe_compat.weights.binary import Chunks, CutBlob, read_message, write_message
from caffe_compat.weights.blobs import blob_chunks, view_stored_blob
from caffe_compat.weights.parameters import LayerWithBlobs, NetWithLayers, diff_of, to_numpy
from caffe_compat.weights.stored import StoredLayer

PathLike = str | os.PathLike[str]


def read_binary_layers(path: PathLike) -> list[StoredLayer]:
    """The layers of a ``.caffemodel``, those without blobs too. Raises: WeightsError naming file and layer."""
    message, blobs = read_net_message(path)
    return [_stored_layer(layer, blobs, os.fspath(path)) for layer in upgrade_net_message(message, path).layer]


def read_net_message(path: PathLike) -> tuple[caffe_pb2.NetParameter, list[CutBlob]]:
    """A ``.caffemodel`` as it is: the message without its blobs (see ``read_message``), and the blobs."""
    message = caffe_pb2.NetParameter()
    blobs = read_message(path, message)
    if not message.layer and not message.layers:
        raise WeightsError("not a caffemodel: no layers in it", path=os.fspath(path))
    return message, blobs


def upgrade_net_message(message: caffe_pb2.NetParameter, path: PathLike) -> caffe_pb2.NetParameter:
    """The message that a weights file holds in the current format. Raises: WeightsError if it makes no sense."""
    name = os.fspath(path)
    try:
        return upgrade_net(message, name) if needs_upgrade(message) else message
    except UnicodeError as exc:
        raise WeightsError("a name in it is not UTF-8", path=name) from exc
    except PrototxtError as exc:
        raise WeightsError(exc.problem, path=name, layer=exc.layer, layer_type=exc.layer_type, field=exc.field) from exc


def write_caffemodel(path: PathLike, name: str, layers: Iterable[StoredLayer]) -> None:
    """Write layers as the ``.caffemodel`` of a net called ``name``: float32; legacy shapes stay legacy."""
    message, blobs = caffe_pb2.NetParameter(name=name), _Blobs()
    for layer in layers:
        written = message.layer.add(name=layer.name, type=layer.type)
        for _, blob in sorted(layer.blobs.items()):
            blobs.add(written, blob_chunks(blob.array, legacy=blob.is_legacy))
    write_message(path, message, blobs.chunks)


def save_caffemodel(net: NetWithLayers, path: PathLike, diffs: Mapping[Tensor, Tensor] | None = None) -> None:
    """Write the net's layers with their blobs, float32, as Caffe does: Split layers and shared blobs too.

    ``diffs`` gives the ``diff`` to be stored with each parameter (zeros where it has none); None stores no diffs.
    Raises: WeightsError for a net of more than 2 GiB, which only HDF5 holds.
    Source: Net::ToProto, src/caffe/net.cpp.
    """
    saved, blobs = caffe_pb2.NetParameter(name=net.proto.name), _Blobs()
    for param, module in zip(net.proto.layer, net.layers_in_order, strict=True):
        layer = saved.layer.add()
        layer.CopyFrom(param)
        _complete(layer, module, net.proto.state.phase)
        del layer.blobs[:]
        for owner, blob in zip(module.blobs, module.shaped_blobs(), strict=True):
            diff = None if diffs is None else diff_of(owner, blob, diffs)
            blobs.add(layer, blob_chunks(to_numpy(blob), diff))
    write_message(path, saved, blobs.chunks)


class _Blobs:
    """What a message's blobs hold, beside the message."""

    def __init__(self) -> None:
        self.chunks: list[Chunks] = []

    def add(self, layer: caffe_pb2.LayerParameter, chunks: Chunks) -> None:
        layer.blobs.add(cut_index=len(self.chunks))
        self.chunks.append(chunks)


def _stored_layer(layer: caffe_pb2.LayerParameter, blobs: list[CutBlob], path: str) -> StoredLayer:
    if not isinstance(layer.name, str) or not isinstance(layer.type, str):  # what protobuf makes of a broken string
        raise WeightsError(f"a name in it is not UTF-8: {layer.name!r}, type {layer.type!r}", path=path)
    try:
        stored = [view_stored_blob(blobs[blob.cut_index]) for blob in layer.blobs]
    except WeightsError as exc:
        raise WeightsError(exc.problem, path=path, layer=layer.name, layer_type=layer.type) from exc
    return StoredLayer(layer.name, layer.type, dict(enumerate(stored)))


def _complete(saved: caffe_pb2.LayerParameter, layer: LayerWithBlobs, phase: caffe_pb2.Phase) -> None:
    """What Caffe's layers set in their own parameters when they are built."""
    if not saved.HasField("phase"):
        saved.phase = phase
    if layer.is_loss and not saved.loss_weight:
        saved.loss_weight.append(1)
