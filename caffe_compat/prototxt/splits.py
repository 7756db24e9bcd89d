"""Split layers, one wherever a blob has several readers."""

from __future__ import annotations

from collections import Counter

from caffe_compat.errors import PrototxtError
from caffe_compat.proto import caffe_pb2

Top = tuple[int, int]  # a blob where it is made: (index of the layer, index among its tops)


def insert_splits(net: caffe_pb2.NetParameter, path: str | None = None) -> caffe_pb2.NetParameter:
    """The net with a Split layer after each top that several bottoms read, each reading a copy of its own.

    A top with a loss weight other than 0 counts as read once more: the first copy carries the weight. In-place
    layers make a new top under the old name, which counts on its own. A net that has its splits stays as it is.
    Raises: PrototxtError for a bottom that no earlier layer makes.
    Source: InsertSplits, src/caffe/util/insert_splits.cpp.
    """
    sources, readers = _trace(net, path)
    split = caffe_pb2.NetParameter()
    split.CopyFrom(net)
    del split.layer[:]
    copies_taken: Counter[Top] = Counter()
    for layer_index, original in enumerate(net.layer):
        layer = split.layer.add()
        layer.CopyFrom(original)
        for bottom_index, blob in enumerate(original.bottom):
            source = sources[layer_index, bottom_index]
            if readers[source] > 1:
                layer.bottom[bottom_index] = _copy_name(net, source, blob, copies_taken[source])
                copies_taken[source] += 1
        for top_index, blob in enumerate(original.top):
            top = (layer_index, top_index)
            if readers[top] > 1:
                weight = _loss_weight(original, top_index)
                split.layer.append(_split_layer(net, top, blob, readers[top], weight))
                if weight:
                    del layer.loss_weight[:]
                    copies_taken[top] += 1
    return split


def _trace(net: caffe_pb2.NetParameter, path: str | None) -> tuple[dict[tuple[int, int], Top], Counter[Top]]:
    """Where each bottom (layer index, bottom index) comes from, and how often each top is read."""
    latest: dict[str, Top] = {}
    sources: dict[tuple[int, int], Top] = {}
    readers: Counter[Top] = Counter()
    for layer_index, layer in enumerate(net.layer):
        for bottom_index, blob in enumerate(layer.bottom):
            if blob not in latest:
                raise PrototxtError(
                    f"Unknown bottom blob '{blob}' (layer '{layer.name}', bottom index {bottom_index})",
                    path=path,
                    layer=layer.name,
                    layer_type=layer.type,
                    field="bottom",
                )
            sources[layer_index, bottom_index] = latest[blob]
            readers[latest[blob]] += 1
        for top_index, blob in enumerate(layer.top):
            latest[blob] = (layer_index, top_index)
            readers[layer_index, top_index] += _loss_weight(layer, top_index) != 0
    return sources, readers


def _loss_weight(layer: caffe_pb2.LayerParameter, top_index: int) -> float:
    return layer.loss_weight[top_index] if top_index < len(layer.loss_weight) else 0.0


def _split_layer(
    net: caffe_pb2.NetParameter, top: Top, blob: str, copies: int, loss_weight: float
) -> caffe_pb2.LayerParameter:
    layer = caffe_pb2.LayerParameter(name=_split_name(net, top, blob), type="Split", bottom=[blob])
    layer.top.extend(_copy_name(net, top, blob, copy) for copy in range(copies))
    if loss_weight:
        layer.loss_weight.extend([loss_weight] + [0.0] * (copies - 1))
    return layer


def _split_name(net: caffe_pb2.NetParameter, top: Top, blob: str) -> str:
    return f"{blob}_{net.layer[top[0]].name}_{top[1]}_split"


def _copy_name(net: caffe_pb2.NetParameter, top: Top, blob: str, copy: int) -> str:
    return f"{_split_name(net, top, blob)}_{copy}"
