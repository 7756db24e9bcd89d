"""What a loss is divided by: ``loss_param``. Source: LossParameter, LossLayer::GetNormalizer of Caffe 1.0."""

from __future__ import annotations

from torch import Tensor

from caffe_compat.proto import caffe_pb2

_Loss = caffe_pb2.LossParameter


def read_normalization(options: caffe_pb2.LossParameter, default: int) -> int:
    """``normalization`` if set; else the legacy ``normalize`` (true: VALID, false: BATCH_SIZE); else ``default``."""
    if options.HasField("normalization"):
        return options.normalization
    if options.HasField("normalize"):
        return _Loss.VALID if options.normalize else _Loss.BATCH_SIZE
    return default


def normalizer(mode: int, targets: Tensor, ignore_label: int | None, outer: int) -> Tensor | int:
    """At least 1: all labels (FULL), those not ignored (VALID), the ``outer`` size (BATCH_SIZE), or 1 (NONE)."""
    if mode == _Loss.VALID and ignore_label is not None:
        return (targets != ignore_label).sum().clamp(min=1)
    if mode == _Loss.NONE:
        return 1
    return max(1, outer if mode == _Loss.BATCH_SIZE else targets.numel())
