"""MVN, mean and variance normalisation of single images. Source: src/caffe/layers/mvn_layer.cpp."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from caffe_compat.errors import expected_got
from caffe_compat.glog import shape_text
from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.shapes import Shape

_AXES = 4  # Caffe looks at blobs as (num, channels, height, width) here


@register("MVN")
class MVN(Layer):
    """(x - mean) / (deviation + eps) over each channel's plane, or over each image with ``across_channels``.

    Without ``normalize_variance`` only the mean is subtracted. The top always has 4 axes, as in Caffe.
    """

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape = bottom_shapes[0]
        if len(shape) > _AXES:
            raise self.error(expected_got(f"at most {_AXES} axes", shape_text(shape)), field="bottom")
        return [shape + (1,) * (_AXES - len(shape))]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        options = self.param.mvn_param
        x = bottoms[0].reshape(bottoms[0].shape + (1,) * (_AXES - bottoms[0].dim()))
        axes = (1, 2, 3) if options.across_channels else (2, 3)
        if options.normalize_variance:
            return (_Normalised.apply(x, axes, options.eps),)
        return (x - x.mean(axes, keepdim=True),)


class _Normalised(torch.autograd.Function):
    """y = (x - mean) / d with d = deviation + eps; dx = (dy - mean(dy) - y mean(dy y)) / d.

    This is Caffe's gradient, which takes eps for part of the deviation: it is finite where a plane is constant.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, axes: tuple[int, ...], eps: float) -> Tensor:
        y = x - x.mean(axes, keepdim=True)
        divisor = y.square().mean(axes, keepdim=True).sqrt_().add_(eps)
        y.div_(divisor)
        ctx.save_for_backward(y, divisor)
        ctx.axes = axes
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        y, divisor = ctx.saved_tensors
        along_y = y * (grad * y).mean(ctx.axes, keepdim=True)
        return (grad - grad.mean(ctx.axes, keepdim=True)).sub_(along_y).div_(divisor), None, None
