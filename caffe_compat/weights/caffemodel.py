"""``.caffemodel`` files: read, copied into a net by layer name, written from a net."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from caffe_compat.errors import CaffeCompatError, WeightsError, expected_got
from caffe_compat.files import atomic_path
from caffe_compat.glog import shape_text
from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt.upgrade import needs_upgrade, upgrade_net
from caffe_compat.weights.binary import parse_file
from caffe_compat.weights.blobs import Array, StoredBlob, fill_blob, read_stored_blob

log = logging.getLogger("caffe_compat")

PathLike = str | os.PathLike[str]


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
    """What is needed of a net: its layers by name and the message they were built from."""

    proto: caffe_pb2.NetParameter

    @property
    def layers(self) -> Mapping[str, LayerWithBlobs]: ...


def read_weights_message(path: PathLike) -> caffe_pb2.NetParameter:
    """A ``.caffemodel`` as the message it holds, upgraded to the current format.

    Raises: WeightsError naming the file if it is missing, cut short, or something else.
    """
    name = os.fspath(path)
    stored = parse_file(path, caffe_pb2.NetParameter())
    if not stored.layer and not stored.layers:
        raise WeightsError("not a caffemodel: no layers in it", path=name)
    return upgrade_net(stored, name) if needs_upgrade(stored) else stored  # no copy of what may be large


def read_caffemodel(path: PathLike) -> dict[str, list[Array]]:
    """The blobs of each layer that has any, by layer name, in the file's order and shapes (see ``StoredBlob``).

    Of several layers with one name the last counts, as it does when Caffe copies them into a net.
    Raises: WeightsError.
    """
    message = read_weights_message(path)
    return {
        layer.name: [blob.array for blob in _stored_blobs(layer, os.fspath(path))]
        for layer in message.layer
        if layer.blobs
    }


def copy_weights(net: NetWithLayers, path: PathLike) -> None:
    """Copy the parameters of every layer of the file that the net has too, by name.

    Layers the net lacks are logged and passed over; layers the file lacks keep what they have. Everything is
    checked before the first number is copied.
    Raises: WeightsError, in Caffe's words, where a layer differs in the number or the shapes of its blobs.
    Source: Net::CopyTrainedLayersFrom, src/caffe/net.cpp.
    """
    name = os.fspath(path)
    matched: dict[str, list[StoredBlob]] = {}
    for source in read_weights_message(path).layer:
        if source.name not in net.layers:
            log.info("Ignoring source layer %s", source.name)
            continue
        matched[source.name] = _stored_blobs(source, name)
        _check_fits(source.name, matched[source.name], net.layers[source.name].shaped_blobs(), name)
    if not any(matched.values()):
        log.warning("%s: no layer of this net is in it, nothing was copied", name)
    for layer_name, blobs in matched.items():
        _fill(net.layers[layer_name], blobs, name)


def save_caffemodel(net: NetWithLayers, path: PathLike, diffs: Mapping[Tensor, Tensor] | None = None) -> None:
    """Write the net's layers with their blobs, float32, as Caffe does: Split layers and shared blobs too.

    ``diffs`` gives the ``diff`` to be stored with each parameter (zeros where it has none); None stores no diffs.
    Source: Net::ToProto, src/caffe/net.cpp.
    """
    saved = caffe_pb2.NetParameter(name=net.proto.name)
    for param in net.proto.layer:
        layer = saved.layer.add()
        layer.CopyFrom(param)
        _complete(layer, net.layers[param.name], net.proto.state.phase)
        _store_blobs(layer, net.layers[param.name], diffs)
    with atomic_path(path) as part:
        part.write_bytes(saved.SerializeToString())


def _stored_blobs(layer: caffe_pb2.LayerParameter, path: str) -> list[StoredBlob]:
    try:
        return [read_stored_blob(blob) for blob in layer.blobs]
    except WeightsError as exc:
        raise WeightsError(exc.problem, path=path, layer=layer.name, layer_type=layer.type) from exc


def _check_fits(layer: str, blobs: Sequence[StoredBlob], targets: Sequence[Tensor], path: str) -> None:
    if len(blobs) != len(targets):
        problem = f"Incompatible number of blobs for layer {layer}: {expected_got(len(targets), len(blobs))}"
        raise WeightsError(problem, path=path, layer=layer)
    for index, (blob, target) in enumerate(zip(blobs, targets, strict=True)):
        if not blob.fits(tuple(target.shape)):
            raise WeightsError(
                f"Cannot copy param {index} weights from layer '{layer}'; shape mismatch.  Source param shape is "
                f"{shape_text(blob.array.shape)}; target param shape is {shape_text(target.shape)}. To learn this "
                "layer's parameters from scratch rather than copying from a saved net, rename the layer.",
                path=path,
                layer=layer,
            )


def _fill(layer: LayerWithBlobs, blobs: Sequence[StoredBlob], path: str) -> None:
    with torch.no_grad():
        for blob, target in zip(blobs, layer.blobs, strict=True):
            target.copy_(torch.from_numpy(blob.array).view(target.shape))
    try:
        layer.blobs_loaded()
    except CaffeCompatError as exc:
        raise WeightsError(f"loaded from {path}: {exc}") from exc


def _complete(saved: caffe_pb2.LayerParameter, layer: LayerWithBlobs, phase: caffe_pb2.Phase) -> None:
    """What Caffe's layers set in their own parameters when they are built."""
    if not saved.HasField("phase"):
        saved.phase = phase
    if layer.is_loss and not saved.loss_weight:
        saved.loss_weight.append(1)


def _store_blobs(saved: caffe_pb2.LayerParameter, layer: LayerWithBlobs, diffs: Mapping[Tensor, Tensor] | None) -> None:
    del saved.blobs[:]
    for owner, blob in zip(layer.blobs, layer.shaped_blobs(), strict=True):
        diff = None if diffs is None else _numpy(diffs[owner] if owner in diffs else torch.zeros_like(owner))
        fill_blob(saved.blobs.add(), _numpy(blob), diff)


def _numpy(blob: Tensor) -> Array:
    return blob.detach().cpu().numpy()
