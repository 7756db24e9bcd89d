"""Im2col: every window of a convolution as a column. Source: src/caffe/layers/im2col_layer.cpp, util/im2col.cpp."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from caffe_compat.glog import shape_text
from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.shapes import Shape, canonical_axis, count
from caffe_compat.layers.spatial import read_window


@register("Im2col")
class Im2col(Layer):
    """The pixels that each tap of each window sees, tap by tap as channels.

    Shapes: bottom (..., C, spatial...) with C at ``axis``; top (..., C * taps, spatial...), where the channel is
        c * taps + the tap's number in the kernel, last axis fastest.
    """

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        options = self.param.convolution_param
        self.axis = canonical_axis(self, options.axis, bottom_shapes[0], "convolution_param.axis")
        spatial = len(bottom_shapes[0]) - self.axis - 1
        if not spatial:
            problem = f"expected a spatial axis behind axis {self.axis}, got {shape_text(bottom_shapes[0])}"
            raise self.error(problem, field="convolution_param.axis")
        self.window = read_window(self, options, spatial)

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape, axis = bottom_shapes[0], self.axis
        sizes = self.window.fitting(self, shape, axis + 1)
        return [(*shape[:axis], shape[axis] * count(self.window.kernel), *sizes)]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        bottom, window, first = bottoms[0], self.window, self.axis + 1
        windows = F.pad(bottom, [pad for size in reversed(window.pad) for pad in (size, size)])
        for index, (extent, stride) in enumerate(zip(window.extent(), window.stride, strict=True)):
            windows = windows.unfold(first + index, extent, stride)[..., :: window.dilation[index]]
        axes = len(window.kernel)  # (..., C, spatial..., taps...) by now
        taps = range(first + axes, first + 2 * axes)
        columns = windows.permute(*range(first), *taps, *range(first, first + axes))
        return (columns.flatten(self.axis, self.axis + axes),)
