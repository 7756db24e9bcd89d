"""Convolution over any number of leading axes and up to three spatial ones.

Source: src/caffe/layers/base_conv_layer.cpp, conv_layer.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from caffe_compat.errors import expected_got
from caffe_compat.glog import shape_text
from caffe_compat.layers.base import Layer, Shape, register
from caffe_compat.layers.shapes import canonical_axis
from caffe_compat.layers.spatial import read_window

_CONVOLVE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


@register("Convolution")
class Convolution(Layer):
    """Each bottom is convolved with the same weights.

    Shapes: bottom (..., C, spatial...) with C at ``axis``; weight (num_output, C / group, kernel...); bias
        (num_output,); top (..., num_output, spatial...) with floor((in + 2 pad - extent) / stride) + 1.
    """

    bottoms = (1, None)
    tops = (1, None)
    equal_bottoms_and_tops = True
    keeps_no_output = True

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        options = self.param.convolution_param
        self.axis = canonical_axis(self, options.axis, bottom_shapes[0], "convolution_param.axis")
        channels, spatial = bottom_shapes[0][self.axis], bottom_shapes[0][self.axis + 1 :]
        if len(spatial) > 3:
            raise self.error(expected_got("at most 3 spatial axes", len(spatial)), field="convolution_param.axis")
        self.window = read_window(self, options, len(spatial))
        self.num_output, self.group, self.channels = options.num_output, options.group, channels
        self._check_outputs()
        self.add_blob(
            (self.num_output, channels // self.group, *self.window.kernel),
            options.weight_filler,
            "convolution_param.weight_filler",
        )
        if len(spatial) == 2:  # what torch's convolutions run fastest in; their tops and gradients follow
            self.blobs[0].data = self.blobs[0].data.contiguous(memory_format=torch.channels_last)
        if options.bias_term:
            self.add_blob((self.num_output,), options.bias_filler, "convolution_param.bias_filler")

    def _check_outputs(self) -> None:
        if self.num_output < 1:
            raise self.error(expected_got("> 0", self.num_output), field="convolution_param.num_output")
        if self.group < 1 or self.channels % self.group:
            problem = expected_got(f"a divisor of the {self.channels} channels", self.group)
            raise self.error(problem, field="convolution_param.group")
        if self.num_output % self.group:
            problem = expected_got(f"a multiple of group ({self.group})", self.num_output)
            raise self.error(problem, field="convolution_param.num_output")

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        first = bottom_shapes[0]
        for shape in bottom_shapes[1:]:
            if shape != first:
                raise self.error(
                    f"all inputs must have the same shape: {shape_text(first)} and {shape_text(shape)}", field="bottom"
                )
        if first[self.axis] != self.channels:
            raise self.error(expected_got(f"{self.channels} channels", first[self.axis]), field="bottom")
        window = self.window
        spatial = tuple(
            (size + 2 * pad - extent) // stride + 1
            for size, pad, extent, stride in zip(
                first[self.axis + 1 :], window.pad, window.extent(), window.stride, strict=True
            )
        )
        if any(size < 1 for size in spatial):
            problem = f"the kernel does not fit into a bottom of shape {shape_text(first)}"
            raise self.error(problem, field="convolution_param.kernel_size")
        return [(*first[: self.axis], self.num_output, *spatial)] * len(bottom_shapes)

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        return tuple(self._convolve(bottom) for bottom in bottoms)

    def _convolve(self, bottom: Tensor) -> Tensor:
        if bottom.dim() == 4 and self.axis == 1:  # the usual case, without the reshapes
            return self._convolve_batch(bottom)
        leading = bottom.shape[: self.axis]
        batch = bottom.reshape(-1, *bottom.shape[self.axis :])
        if bottom.dim() == self.axis + 1:  # no spatial axis at all
            return self._convolve_batch(batch.unsqueeze(-1)).squeeze(-1).reshape(*leading, -1)
        top = self._convolve_batch(batch)
        return top.reshape(*leading, *top.shape[1:])

    def _convolve_batch(self, batch: Tensor) -> Tensor:
        window, weight = self.window, self.blob(0)
        bias = self.blob(1) if len(self.blobs) > 1 else None
        if not window.kernel:
            return F.conv1d(batch, weight.unsqueeze(-1), bias, groups=self.group)
        convolve = _CONVOLVE[len(window.kernel)]
        return convolve(batch, weight, bias, window.stride, window.pad, window.dilation, self.group)
