"""How long each layer of a net takes, forward and backward."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from caffe_compat.net import Net


@dataclass
class _Run:
    """One layer's forward: its tops, their loss weights, and what the layer that reads each top was given."""

    name: str
    tops: Sequence[Tensor]
    loss_weights: Sequence[float]
    given: list[Tensor | None]


class LayerTimer:
    """Runs a net layer by layer, each one's backward by itself.

    Attributes:
        forward, backward: seconds by layer name, summed over the runs.
    """

    def __init__(self, net: Net, device: torch.device) -> None:
        self._net, self._device = net, device
        self.forward = dict.fromkeys(net.layers, 0.0)
        self.backward = dict.fromkeys(net.layers, 0.0)

    def run(self) -> None:
        """One forward and one backward pass; blobs of Input layers are zeros, gradients are thrown away."""
        for layer_run in reversed(self._run_forward()):
            start = self._clock()
            _run_backward(layer_run)
            self.backward[layer_run.name] += self._clock() - start
        self._net.zero_grad(set_to_none=True)

    def _run_forward(self) -> list[_Run]:
        makers: dict[str, tuple[_Run, int]] = {}  # thanks to the Split layers each blob has one reader
        runs = []
        for param, layer in zip(self._net.proto.layer, self._net.layer.values(), strict=True):
            bottoms = [_hand_over(*makers[name]) for name in param.bottom]
            start = self._clock()
            tops = self._zeros(param.top) if param.type == "Input" else layer(*bottoms)
            self.forward[param.name] += self._clock() - start
            weights = [self._net.blob_loss_weights.get(name, 0.0) for name in param.top] or [1.0] * len(tops)
            runs.append(_Run(param.name, tops, weights, [None] * len(tops)))
            makers.update((name, (runs[-1], index)) for index, name in enumerate(param.top))
        return runs

    def _zeros(self, names: Sequence[str]) -> tuple[Tensor, ...]:
        return tuple(torch.zeros(self._net.blob_shapes[name], device=self._device) for name in names)

    def _clock(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()


def _hand_over(maker: _Run, index: int) -> Tensor:
    """A top of ``maker``, cut off from its graph so that the reader's backward ends here."""
    top = maker.tops[index]
    maker.given[index] = given = top.detach().requires_grad_(top.requires_grad)
    return given


def _run_backward(run: _Run) -> None:
    tops, gradients = [], []
    for top, weight, given in zip(run.tops, run.loss_weights, run.given, strict=True):
        gradient = torch.full_like(top, weight) if weight else None if given is None else given.grad
        if top.requires_grad and gradient is not None:
            tops.append(top)
            gradients.append(gradient)
    if tops:
        torch.autograd.backward(tops, gradients)
