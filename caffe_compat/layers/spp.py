"""SPP, spatial pyramid pooling. Source: src/caffe/layers/spp_layer.cpp."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from caffe_compat.errors import expected_got
from caffe_compat.glog import shape_text
from caffe_compat.layers.base import Layer, create_layer, register
from caffe_compat.layers.shapes import Shape, count
from caffe_compat.proto import caffe_pb2


@register("SPP")
class SPP(Layer):
    """Level l of ``pyramid_height`` levels pools the image in 2^l x 2^l bins; the levels are joined.

    Shapes: bottom (N, C, H, W); top (N, C * bins), level after level; (N, C, 1, 1) for a pyramid of one level.
    """

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        if self.param.spp_param.pyramid_height < 1:
            raise self.error(expected_got("> 0", 0), field="spp_param.pyramid_height")

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        pooled = [level.top_shapes(bottom_shapes)[0] for level in self._levels(bottom_shapes[0])]
        return pooled if len(pooled) == 1 else [(bottom_shapes[0][0], sum(count(shape[1:]) for shape in pooled))]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        pooled = [level(bottoms[0])[0] for level in self._levels(tuple(bottoms[0].shape))]
        return tuple(pooled) if len(pooled) == 1 else (torch.cat([level.flatten(1) for level in pooled], 1),)

    def _levels(self, shape: Shape) -> list[Layer]:
        """The Pooling layers of the pyramid over a bottom of ``shape``."""
        if len(shape) != 4 or 0 in shape[2:]:
            problem = expected_got("4 axes (num, channels, height, width), the last two not 0", shape_text(shape))
            raise self.error(problem, field="bottom")
        levels = range(self.param.spp_param.pyramid_height)
        return [create_layer(self._pooling_param(2**level, shape), [shape], self.context) for level in levels]

    def _pooling_param(self, bins: int, shape: Shape) -> caffe_pb2.LayerParameter:
        """Kernels that cover the image with ``bins`` x ``bins`` of them, what is missing shared by both sides."""
        param = caffe_pb2.LayerParameter(name=self.param.name, type="Pooling", top=["pooled"])
        param.phase = self.phase  # type: ignore[assignment]
        options = param.pooling_param
        options.kernel_h, options.kernel_w = (-(-size // bins) for size in shape[2:])
        options.stride_h, options.stride_w = options.kernel_h, options.kernel_w
        options.pad_h = (options.kernel_h * bins - shape[2] + 1) // 2
        options.pad_w = (options.kernel_w * bins - shape[3] + 1) // 2
        options.pool = self.param.spp_param.pool  # type: ignore[assignment]
        return param
