"""Local response normalisation. Source: src/caffe/layers/lrn_layer.cpp."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from caffe_compat.errors import expected_got
from caffe_compat.glog import shape_text
from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.shapes import Shape
from caffe_compat.proto import caffe_pb2


@register("LRN")
class LRN(Layer):
    """x / scale^beta, over neighbouring channels or over a square window of each plane.

    ACROSS_CHANNELS: scale = k + alpha / n * (sum of x^2 over the n channels around).
    WITHIN_CHANNEL: scale = 1 + alpha / n^2 * (sum of x^2 over the n x n window around, zeros outside); k is ignored.
    """

    keeps_no_output = True

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        options = self.param.lrn_param
        if options.local_size % 2 == 0:
            raise self.error(expected_got("an odd number", options.local_size), field="lrn_param.local_size")
        if len(bottom_shapes[0]) != 4:
            problem = expected_got("4 axes (num, channels, height, width)", shape_text(bottom_shapes[0]))
            raise self.error(problem, field="bottom")
        self.size, self.alpha, self.beta, self.k = options.local_size, options.alpha, options.beta, options.k
        self.is_within = options.norm_region == caffe_pb2.LRNParameter.WITHIN_CHANNEL
        if not self.is_within:
            window = _channel_window(bottom_shapes[0][1], self.size)
            self.register_buffer("window", window, persistent=False)

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        if self.is_within:
            return (self._within(bottoms[0]),)
        return (_AcrossChannels.apply(bottoms[0], self.window, self.alpha / self.size, self.beta, self.k),)

    def _within(self, bottom: Tensor) -> Tensor:
        energy = F.avg_pool2d(bottom.square(), self.size, 1, (self.size - 1) // 2)
        return bottom * (1 + self.alpha * energy).pow(-self.beta)


def _channel_window(channels: int, size: int) -> Tensor:
    """(C, C), 1 where two channels lie in one window: a product with it sums over neighbours."""
    channel = torch.arange(channels)
    return ((channel[:, None] - channel).abs() <= size // 2).float()


def _over_channels(window: Tensor, blob: Tensor) -> Tensor:
    """Sum of ``blob`` (N, C, H, W) over neighbouring channels, one matrix product in the blob's memory format."""
    if blob.is_contiguous(memory_format=torch.channels_last):
        return torch.matmul(blob.permute(0, 2, 3, 1), window).permute(0, 3, 1, 2)
    return torch.matmul(window, blob.flatten(2)).view_as(blob)


def _negative_power(scale: Tensor, beta: float) -> Tensor:
    """scale^-beta; the usual 3/4 by two square roots, several times faster than pow."""
    if beta != 0.75:
        return scale.pow(-beta)
    root = scale.rsqrt()
    return root * root.sqrt()


class _AcrossChannels(torch.autograd.Function):
    """y = x s^-beta, s = k + a W x^2 with W the window; dx = dy s^-beta - 2 a beta x W(dy y / s)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, window: Tensor, a: float, beta: float, k: float) -> Tensor:
        scale = _over_channels(window, x.square()).mul_(a).add_(k)
        ctx.save_for_backward(x, window, scale)
        ctx.a, ctx.beta = a, beta
        return _negative_power(scale, beta).mul_(x)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, window, scale = ctx.saved_tensors
        direct = _negative_power(scale, ctx.beta).mul_(grad)
        ratio = (direct * x).div_(scale)
        return direct.addcmul_(_over_channels(window, ratio), x, value=-2 * ctx.a * ctx.beta), None, None, None, None
