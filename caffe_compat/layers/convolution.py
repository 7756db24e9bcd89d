"""Convolution and Deconvolution over any number of leading axes and up to three spatial ones.

Source: src/caffe/layers/base_conv_layer.cpp, conv_layer.cpp, deconv_layer.cpp.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from caffe_compat.errors import expected_got
from caffe_compat.glog import shape_text
from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.shapes import Shape, canonical_axis
from caffe_compat.layers.spatial import read_window


class _BaseConvolution(Layer):
    """What Convolution and its transpose share; a subclass has the weight's shape, the top's size and the operation."""

    bottoms = (1, None)
    tops = (1, None)
    equal_bottoms_and_tops = True
    keeps_no_output = True
    operations: dict[int, Callable[..., Tensor]] = {}  # by number of spatial axes

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        options = self.param.convolution_param
        self.axis = canonical_axis(self, options.axis, bottom_shapes[0], "convolution_param.axis")
        channels, spatial = bottom_shapes[0][self.axis], bottom_shapes[0][self.axis + 1 :]
        if len(spatial) > 3:
            raise self.error(expected_got("at most 3 spatial axes", len(spatial)), field="convolution_param.axis")
        self.window = read_window(self, options, len(spatial))
        self.num_output, self.group, self.channels = options.num_output, options.group, channels
        self._check_outputs()
        shape = (*self.weight_channels(), *self.window.kernel)
        self.add_blob(shape, options.weight_filler, "convolution_param.weight_filler")
        if len(spatial) == 2:  # what torch's convolutions run fastest in; their tops and gradients follow
            self.blobs[0].data = self.blobs[0].data.contiguous(memory_format=torch.channels_last)
        if options.bias_term:
            self.add_blob((self.num_output,), options.bias_filler, "convolution_param.bias_filler")

    def weight_channels(self) -> tuple[int, int]:
        """The first two sizes of the weight."""
        raise NotImplementedError

    def top_size(self, shape: Shape) -> Shape:
        """Spatial sizes of the top for a bottom of ``shape``."""
        raise NotImplementedError

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
        return [(*first[: self.axis], self.num_output, *self.top_size(first))] * len(bottom_shapes)

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
            return self.operations[1](batch, weight.unsqueeze(-1), bias, groups=self.group)
        return self.operations[len(window.kernel)](
            batch,
            weight,
            bias,
            stride=window.stride,
            padding=window.pad,
            dilation=window.dilation,
            groups=self.group,
        )


@register("Convolution")
class Convolution(_BaseConvolution):
    """Each bottom is convolved with the same weights.

    Shapes: bottom (..., C, spatial...) with C at ``axis``; weight (num_output, C / group, kernel...); bias
        (num_output,); top (..., num_output, spatial...) with floor((in + 2 pad - extent) / stride) + 1.
    """

    operations = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}

    def weight_channels(self) -> tuple[int, int]:
        return self.num_output, self.channels // self.group

    def top_size(self, shape: Shape) -> Shape:
        return self.window.fitting(self, shape, self.axis + 1)


@register("Deconvolution")
class Deconvolution(_BaseConvolution):
    """The transpose of a convolution: forward is its gradient with respect to the bottom, plus the bias.

    Shapes: bottom (..., C, spatial...) with C at ``axis``; weight (C, num_output / group, kernel...); bias
        (num_output,); top (..., num_output, spatial...) with stride (in - 1) + extent - 2 pad.
    """

    operations = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}

    def weight_channels(self) -> tuple[int, int]:
        return self.channels, self.num_output // self.group

    def top_size(self, shape: Shape) -> Shape:
        window = self.window
        sizes = tuple(
            stride * (size - 1) + extent - 2 * pad
            for size, pad, extent, stride in zip(
                shape[self.axis + 1 :], window.pad, window.extent(), window.stride, strict=True
            )
        )
        if any(size < 1 for size in sizes):
            problem = f"the padding leaves nothing of a bottom of shape {shape_text(shape)}"
            raise self.error(problem, field="convolution_param.pad")
        return sizes
