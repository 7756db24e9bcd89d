"""The mean of a net's outputs over test batches."""

from __future__ import annotations

import torch
from torch import Tensor

from caffe_compat.net import Net
from caffe_compat.solver.report import output_values


class MeanScores:
    """Sums up the outputs and the loss of one batch after another, on the net's device and without waiting for it."""

    def __init__(self, net: Net) -> None:
        self._net = net
        self._batches = 0
        self._sum = self._loss = torch.zeros(())

    @torch.no_grad()
    def add_batch(self) -> Tensor:
        """Run the net forward once; returns the elements of its outputs."""
        self._net.forward_unfed()
        values = output_values(self._net)
        self._sum, self._loss = self._sum.to(values) + values, self._loss.to(values) + self._net.loss.detach()
        self._batches += 1
        return values

    @property
    def mean(self) -> Tensor:
        """The mean of each element of the outputs."""
        return self._sum / self._batches

    @property
    def mean_loss(self) -> float:
        return float(self._loss / self._batches)

    def by_name(self) -> dict[str, Tensor]:
        """The mean of each output blob, in its shape."""
        blobs = [self._net.blobs[name] for name in self._net.outputs]
        parts = self.mean.split([blob.numel() for blob in blobs])
        return {name: part.view(blob.shape) for name, part, blob in zip(self._net.outputs, parts, blobs, strict=True)}
