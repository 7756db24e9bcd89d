"""``debug_info: true``: the mean magnitude of every blob and gradient, in Caffe's words.

Source: Net::ForwardDebugInfo and Net::BackwardDebugInfo, src/caffe/net.cpp.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from caffe_compat.layers import Layer
from caffe_compat.layers.debug_lines import log_gradient, log_mean

if TYPE_CHECKING:
    from caffe_compat.net.graph import Node


def log_layer(node: Node, tops: Sequence[Tensor], bottoms: Sequence[Tensor]) -> None:
    """Log what ``node`` has just computed, and have its gradients logged when the backward pass makes them."""
    for name, top in zip(node.tops, tops, strict=True):
        log_mean("Forward", f"Layer {node.name}, top blob {name} data", top)
    for name, blob in _named_params(node.layer):
        log_mean("Forward", f"Layer {node.name}, param blob {name} data", blob)
        log_gradient(blob, f"Layer {node.name}, param blob {name} diff")
    for name, bottom in zip(node.bottoms, bottoms, strict=True):
        log_gradient(bottom, f"Layer {node.name}, bottom blob {name} diff")


def _named_params(layer: Layer) -> Iterator[tuple[str, Tensor]]:
    """Blobs with the names ``param { name }`` gives them, else their positions."""
    specs = layer.param.param
    for index, blob in enumerate(layer.shaped_blobs()):
        yield (specs[index].name if index < len(specs) else "") or str(index), blob
