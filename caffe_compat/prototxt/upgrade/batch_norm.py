"""BatchNorm layers with three ``param`` blocks, as once required: their learning rates and decays become 0."""

from __future__ import annotations

from collections.abc import Iterator

from caffe_compat.proto import caffe_pb2


def is_needed(net: caffe_pb2.NetParameter) -> bool:
    return any(True for _ in _old_layers(net))


def upgrade(net: caffe_pb2.NetParameter, path: str | None) -> None:
    for layer in _old_layers(net):
        for param in layer.param:
            param.lr_mult = param.decay_mult = 0


def _old_layers(net: caffe_pb2.NetParameter) -> Iterator[caffe_pb2.LayerParameter]:
    return (layer for layer in net.layer if layer.type == "BatchNorm" and len(layer.param) == 3)
