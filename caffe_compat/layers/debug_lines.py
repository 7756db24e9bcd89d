"""Lines of ``debug_info: true``: mean magnitudes, in Caffe's words."""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from caffe_compat.glog import number

logger = logging.getLogger("caffe_compat")


def log_gradient(blob: Tensor, what: str) -> None:
    """Log the gradient of ``blob`` when the backward pass makes it.

    Once: a parameter outlives the pass, and would keep the hook.
    """
    if not (blob.requires_grad and torch.is_grad_enabled()):
        return

    def log_and_forget(gradient: Tensor) -> None:
        log_mean("Backward", what, gradient)
        handle.remove()

    handle = blob.register_hook(log_and_forget)


def log_mean(direction: str, what: str, values: Tensor) -> None:
    """Log the mean magnitude of ``values``; ``direction`` is Forward or Backward."""
    mean = values.detach().abs().double().mean().item() if values.numel() else 0.0
    logger.info("    [%s] %s: %s", direction, what, number(mean))
