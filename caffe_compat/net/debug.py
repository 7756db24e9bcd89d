"""``debug_info: true``: the mean magnitude of every blob and gradient, in Caffe's words.

Source: Net::ForwardDebugInfo and Net::BackwardDebugInfo, src/caffe/net.cpp.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from caffe_compat.glog import number
from caffe_compat.layers import Layer

if TYPE_CHECKING:
    from caffe_compat.net.graph import Node

logger = logging.getLogger("caffe_compat")


def log_layer(node: Node, tops: Sequence[Tensor], bottoms: Sequence[Tensor]) -> None:
    """Log what ``node`` has just computed, and have its gradients logged when the backward pass makes them."""
    for name, top in zip(node.tops, tops, strict=True):
        _log_mean("Forward", f"Layer {node.name}, top blob {name} data", top)
    for name, blob in _named_params(node.layer):
        _log_mean("Forward", f"Layer {node.name}, param blob {name} data", blob)
        _log_gradient(blob, f"Layer {node.name}, param blob {name} diff")
    for name, bottom in zip(node.bottoms, bottoms, strict=True):
        _log_gradient(bottom, f"Layer {node.name}, bottom blob {name} diff")


def _named_params(layer: Layer) -> Iterator[tuple[str, Tensor]]:
    """Blobs with the names ``param { name }`` gives them, else their positions."""
    specs = layer.param.param
    for index, blob in enumerate(layer.shaped_blobs()):
        yield (specs[index].name if index < len(specs) else "") or str(index), blob


def _log_gradient(blob: Tensor, what: str) -> None:
    """Once: a parameter outlives the pass, and would keep the hook."""
    if not (blob.requires_grad and torch.is_grad_enabled()):
        return

    def log_and_forget(gradient: Tensor) -> None:
        _log_mean("Backward", what, gradient)
        handle.remove()

    handle = blob.register_hook(log_and_forget)


def _log_mean(direction: str, what: str, values: Tensor) -> None:
    mean = values.detach().abs().double().mean().item() if values.numel() else 0.0
    logger.info("    [%s] %s: %s", direction, what, number(mean))
