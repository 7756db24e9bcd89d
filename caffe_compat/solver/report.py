"""The numbers of a net's outputs, as Caffe's log prints them, and the loss smoothed over iterations."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from caffe_compat.glog import number
from caffe_compat.net import Net


class SmoothedLoss:
    """The mean of the last ``window`` losses. They stay tensors until the mean is asked for: no wait for a GPU."""

    def __init__(self, window: int) -> None:
        self._losses: deque[Tensor] = deque(maxlen=window)

    def restart(self) -> None:
        self._losses.clear()

    def add(self, loss: Tensor) -> None:
        self._losses.append(loss)

    @property
    def value(self) -> float:
        return float(torch.stack(list(self._losses)).mean()) if self._losses else 0.0


class DisplayTimer:
    """Seconds and iterations since the display before."""

    def __init__(self, iteration: int) -> None:
        self._iteration, self._time = iteration, time.perf_counter()

    def lap(self, iteration: int) -> tuple[float, float]:
        """Seconds since the last lap and iterations per second in it."""
        now = time.perf_counter()
        seconds, iterations = now - self._time, iteration - self._iteration
        self._iteration, self._time = iteration, now
        return seconds, iterations / seconds


def images_per_batch(net: Net) -> int:
    """The batch size of the net's first data layer; 1 if it has none."""
    shapes = (layer.top_shapes([]) for layer in net.layers.values() if layer.is_data)
    return next((tops[0][0] for tops in shapes if tops and tops[0]), 1)


def output_values(net: Net) -> Tensor:
    """All elements of the net's output blobs after a forward, in the order of the names, float32."""
    parts = [net.blobs[name].detach().reshape(-1).float() for name in net.outputs]
    return torch.cat(parts) if parts else torch.zeros(0)


def output_names(net: Net) -> list[str]:
    """The blob name of each of the ``output_values``."""
    return [name for name in net.outputs for _ in range(net.blobs[name].numel())]


def output_lines(net: Net, values: Tensor) -> Iterator[str]:
    """``name = value`` for each element of each output, with ``(* weight = product loss)`` behind where it is a loss.

    ``values`` are those of ``output_values``, or a mean of several.
    """
    for name, value in zip(output_names(net), values.tolist(), strict=True):
        yield f"{name} = {number(value)}{_loss_part(net.blob_loss_weights.get(name, 0), value)}"


def _loss_part(weight: float, value: float) -> str:
    if not weight:
        return ""
    return f" (* {number(weight)} = {number(float(np.float32(weight) * np.float32(value)))} loss)"


@torch.no_grad()
def norms_line(parameters: Sequence[Tensor]) -> str:
    """The norms of all parameters and of their gradients, as ``debug_info`` shows them after a backward pass."""
    data = [parameter.double().reshape(-1) for parameter in parameters]
    diff = [parameter.grad.double().reshape(-1) for parameter in parameters if parameter.grad is not None]
    norms = [torch.cat([*part, torch.zeros(1).to(data[0])]).norm(p) for p in (1, 2) for part in (data, diff)]
    l1_data, l1_diff, l2_data, l2_diff = (number(float(norm)) for norm in norms)
    texts = f"L1 norm = ({l1_data}, {l1_diff}); L2 norm = ({l2_data}, {l2_diff})"
    return f"    [Backward] All net params (data, diff): {texts}"
