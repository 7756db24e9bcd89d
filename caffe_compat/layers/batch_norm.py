"""BatchNorm. Source: src/caffe/layers/batch_norm_layer.cpp."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from caffe_compat.errors import expected_got
from caffe_compat.glog import shape_text
from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.shapes import Shape
from caffe_compat.proto import caffe_pb2


@register("BatchNorm")
class BatchNorm(Layer):
    """(x - mean) / sqrt(variance + eps) for each channel (axis 1), over all other axes; a Scale layer may follow.

    In training mode mean and variance are the batch's, and every forward pass moves the running sums on:
    sum = moving_average_fraction * sum + new value. Otherwise they are the running sums over their weight (all zero
    while that is 0). ``use_global_stats`` chooses in place of the mode.

    Blobs: sum of the means (C,); sum of the variances (C,), each times m / (m - 1) for m values a channel; the sums'
        weight (1,), to which each batch adds 1. All have lr_mult 0: no update changes them.
    """

    keeps_no_output = True

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        if len(bottom_shapes[0]) < 2:
            problem = expected_got("at least 2 axes (num, channels)", shape_text(bottom_shapes[0]))
            raise self.error(problem, field="bottom")
        self.channels = bottom_shapes[0][1]
        zero = caffe_pb2.FillerParameter()
        for size in (self.channels, self.channels, 1):
            self.add_blob((size,), zero)
        self._withhold_from_updates()

    def _withhold_from_updates(self) -> None:
        """lr_mult 0 for all blobs, in the layer's own message, as Caffe does: so it stands in snapshots."""
        for index in range(len(self.blobs)):
            if index == len(self.param.param):
                self.param.param.add(lr_mult=0)
            elif (lr_mult := self.param.param[index].lr_mult) != 0:
                problem = "Cannot configure batch normalization statistics as layer parameters"
                raise self.error(f"{problem}: {expected_got(0, f'{lr_mult:g}')}", field=f"param[{index}].lr_mult")

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        if bottom_shapes[0][1] != self.channels:
            raise self.error(expected_got(f"{self.channels} channels", bottom_shapes[0][1]), field="bottom")
        return [bottom_shapes[0]]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        options = self.param.batch_norm_param
        is_global = options.use_global_stats if options.HasField("use_global_stats") else not self.training
        return (self._with_running_sums(bottoms[0]) if is_global else self._with_batch(bottoms[0]),)

    def _with_running_sums(self, bottom: Tensor) -> Tensor:
        mean_sum, variance_sum, weight = (blob.detach() for blob in self.shaped_blobs())
        share = torch.where(weight == 0, 0, 1 / weight)
        return self._normalise(bottom, mean_sum * share, variance_sum * share, of_batch=False)

    def _with_batch(self, bottom: Tensor) -> Tensor:
        mean, variance = bottom.new_zeros(self.channels), bottom.new_zeros(self.channels)
        top = self._normalise(bottom, mean, variance, of_batch=True)
        if bottom.numel() == self.channels:  # one value a channel: m / (m - 1) is no number, Caffe takes 1 for it
            variance = torch.zeros_like(variance)
        self._add_to_running_sums(mean, variance)
        return top

    @torch.no_grad()
    def _add_to_running_sums(self, mean: Tensor, variance: Tensor) -> None:
        """In place: test nets and layers that share the blobs see it."""
        mean_sum, variance_sum, weight = self.shaped_blobs()
        fraction = self.param.batch_norm_param.moving_average_fraction
        mean_sum.mul_(fraction).add_(mean)
        variance_sum.mul_(fraction).add_(variance)
        weight.mul_(fraction).add_(1)

    def _normalise(self, bottom: Tensor, mean: Tensor, variance: Tensor, of_batch: bool) -> Tensor:
        """With the given mean and variance, or with the batch's, which are then written there (the latter unbiased)."""
        eps, use_cudnn = self.param.batch_norm_param.eps, torch.backends.cudnn.enabled
        momentum = 1.0  # torch's running values are then the batch's alone
        return torch.batch_norm(bottom, None, None, mean, variance, of_batch, momentum, eps, use_cudnn)
