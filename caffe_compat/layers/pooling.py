"""Pooling with Caffe's window rules.

The output has ceil((H + 2 pad - kernel) / stride) + 1 rows (floor with ``round_mode: FLOOR``), less a last one that
would start beyond the image and its leading padding. Source: src/caffe/layers/pooling_layer.cpp, .cu (STOCHASTIC).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from caffe_compat.errors import expected_got
from caffe_compat.glog import shape_text
from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.shapes import Shape
from caffe_compat.proto import caffe_pb2

Pair = tuple[int, int]
_FLOAT_MAX = torch.finfo(torch.float32).max


@register("Pooling")
class Pooling(Layer):
    """MAX (first maximum wins, NaN is passed over), AVE or STOCHASTIC pooling of (N, C, H, W).

    AVE divides by the window clipped to the padded image, then clips it to the image. The optional second top of
    MAX is the position of the maximum in its plane, h * W + w, as a float.
    Deviations: without padding, a last window that starts beyond the image (stride > kernel) is dropped; Caffe
        reads outside the blob. -1 in the mask, where no element beats -FLT_MAX, carries no gradient.
    """

    tops = (1, 2)
    keeps_no_output = True

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        options = self.param.pooling_param
        self.method = options.pool
        self.global_pooling = options.global_pooling
        if self.method != caffe_pb2.PoolingParameter.MAX and len(self.param.top) > 1:
            raise self.error("only MAX pooling has a second top (the mask)", field="top")
        self._kernel = self._read_kernel()
        self.stride = self._read_pair("stride")
        self.pad = self._read_pair("pad")
        self._check_window()

    def _read_kernel(self) -> Pair:
        options = self.param.pooling_param
        square, has_h, has_w = (options.HasField(f"kernel_{word}") for word in ("size", "h", "w"))
        if self.global_pooling:
            if square or has_h or has_w:
                raise self._field_error("kernel_size", "with global_pooling the kernel size cannot be specified")
            return 0, 0
        if has_h != has_w or square == has_h:
            raise self._field_error("kernel_size", "expected kernel_size, or kernel_h and kernel_w, and not both")
        return (options.kernel_size,) * 2 if square else (options.kernel_h, options.kernel_w)

    def _read_pair(self, word: str) -> Pair:
        options = self.param.pooling_param
        has_h, has_w = options.HasField(f"{word}_h"), options.HasField(f"{word}_w")
        if has_h != has_w or (has_h and options.HasField(word)):
            raise self._field_error(word, f"expected {word}, or {word}_h and {word}_w, and not both")
        if has_h:
            return getattr(options, f"{word}_h"), getattr(options, f"{word}_w")
        return (getattr(options, word),) * 2

    def _check_window(self) -> None:
        if self.global_pooling and (self.pad != (0, 0) or self.stride != (1, 1)):
            raise self._field_error("global_pooling", "global_pooling allows only pad 0 and stride 1")
        if not self.global_pooling and 0 in self._kernel:
            raise self._field_error("kernel_size", expected_got("> 0", 0))
        if 0 in self.stride:
            raise self._field_error("stride", expected_got("> 0", 0))
        if self.pad == (0, 0):
            return
        if self.method == caffe_pb2.PoolingParameter.STOCHASTIC:
            raise self._field_error("pad", "padding is for AVE and MAX pooling only")
        if any(pad >= kernel for pad, kernel in zip(self.pad, self._kernel, strict=True)):
            raise self._field_error("pad", expected_got(f"less than the kernel {self._kernel}", self.pad))

    def _field_error(self, word: str, problem: str) -> Exception:
        return self.error(problem, field=f"pooling_param.{word}")

    def kernel(self, shape: Sequence[int]) -> Pair:
        """Rows and columns of the window for a bottom of ``shape``."""
        return (shape[2], shape[3]) if self.global_pooling else self._kernel

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape = bottom_shapes[0]
        if len(shape) != 4:
            raise self.error(expected_got("4 axes (num, channels, height, width)", shape_text(shape)), field="bottom")
        return [(*shape[:2], *self._pooled_size(shape))] * max(1, len(self.param.top))

    def _pooled_size(self, shape: Sequence[int]) -> Pair:
        rounds_up = self.param.pooling_param.round_mode == caffe_pb2.PoolingParameter.CEIL
        sizes = []
        for size, kernel, stride, pad in zip(shape[2:], self.kernel(shape), self.stride, self.pad, strict=True):
            room = size + 2 * pad - kernel
            pooled = (-(-room // stride) if rounds_up else room // stride) + 1
            if (pooled - 1) * stride >= size + pad:
                pooled -= 1
            if pooled < 1:
                problem = f"the kernel does not fit into a bottom of shape {shape_text(shape)}"
                raise self._field_error("kernel_size", problem)
            sizes.append(pooled)
        return sizes[0], sizes[1]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        bottom = bottoms[0]
        size = self._pooled_size(bottom.shape)
        if self.method == caffe_pb2.PoolingParameter.AVE:
            return (self._average(bottom, size),)
        if self.method == caffe_pb2.PoolingParameter.STOCHASTIC:
            return (self._stochastic(bottom, size),)
        top, index = self._maximum(bottom, size)
        return (top,) if len(self.param.top) < 2 else (top, index.to(top.dtype))

    # --- MAX ------------------------------------------------------------------------------------------------

    def _maximum(self, bottom: Tensor, size: Pair) -> tuple[Tensor, Tensor]:
        """The maxima and their positions in the plane."""
        if bottom.is_cuda:  # looking whether there is a NaN would stop the stream
            return self._maximum_past_nan(bottom, size)
        top, index = self._torch_maximum(bottom, size)
        return (top, index) if torch.isfinite(top.detach().sum()) else self._maximum_past_nan(bottom, size)

    def _torch_maximum(self, bottom: Tensor, size: Pair) -> tuple[Tensor, Tensor]:
        kernel = self.kernel(bottom.shape)
        if self._is_torch_window(bottom.shape, size):
            return F.max_pool2d(bottom, kernel, self.stride, self.pad, ceil_mode=True, return_indices=True)
        padded = F.pad(bottom, self._padding(bottom.shape, size), value=-torch.inf)
        top, index = F.max_pool2d(padded, kernel, self.stride, return_indices=True)
        row, column = index // padded.shape[3] - self.pad[0], index % padded.shape[3] - self.pad[1]
        return top, row * bottom.shape[3] + column

    def _maximum_past_nan(self, bottom: Tensor, size: Pair) -> tuple[Tensor, Tensor]:
        """NaN loses against everything; a window without any value above -FLT_MAX gives that, at position -1."""
        top, index = self._torch_maximum(bottom.masked_fill(bottom.isnan(), -torch.inf), size)
        is_empty = top <= -_FLOAT_MAX
        return top.masked_fill(is_empty, -_FLOAT_MAX), index.masked_fill(is_empty, -1)

    # --- AVE ------------------------------------------------------------------------------------------------

    def _average(self, bottom: Tensor, size: Pair) -> Tensor:
        kernel = self.kernel(bottom.shape)
        if self._is_torch_window(bottom.shape, size):
            return F.avg_pool2d(bottom, kernel, self.stride, self.pad, ceil_mode=True, count_include_pad=True)
        padded = F.pad(bottom, self._padding(bottom.shape, size))
        total = F.avg_pool2d(padded, kernel, self.stride, divisor_override=1)
        rows, columns = (self._clipped_lengths(bottom.shape, size, axis) for axis in (0, 1))
        return total / torch.outer(rows, columns).to(total)

    def _clipped_lengths(self, shape: Sequence[int], size: Pair, axis: int) -> Tensor:
        """Length of each window along ``axis``, clipped to the image and its trailing padding."""
        start = torch.arange(size[axis]) * self.stride[axis] - self.pad[axis]
        return (start + self.kernel(shape)[axis]).clamp(max=shape[2 + axis] + self.pad[axis]) - start

    # --- STOCHASTIC -----------------------------------------------------------------------------------------

    def _stochastic(self, bottom: Tensor, size: Pair) -> Tensor:
        """TRAIN: an element drawn with probability proportional to its value; TEST: the expectation of that."""
        rows, columns = self.kernel(bottom.shape)
        padded = F.pad(bottom, self._padding(bottom.shape, size))
        windows = padded.unfold(2, rows, self.stride[0]).unfold(3, columns, self.stride[1]).flatten(4)
        if self.phase == caffe_pb2.TEST:
            total = windows.sum(4)
            is_positive = total > 0
            return torch.where(is_positive, windows.square().sum(4) / total.where(is_positive, torch.ones(())), 0)
        heights = windows.detach().cumsum(4)
        threshold = torch.rand_like(heights[..., :1]) * heights[..., -1:]
        chosen = (heights >= threshold).to(torch.uint8).argmax(4, keepdim=True)
        return windows.gather(4, chosen).squeeze(4)

    # --- windows --------------------------------------------------------------------------------------------

    def _is_torch_window(self, shape: Sequence[int], size: Pair) -> bool:
        """Whether torch's own pooling (ceil_mode) makes exactly these windows."""
        kernel = self.kernel(shape)
        for axis in (0, 1):
            room = shape[2 + axis] + 2 * self.pad[axis] - kernel[axis]
            if self.pad[axis] > kernel[axis] // 2 or size[axis] != -(-room // self.stride[axis]) + 1:
                return False
        return True

    def _padding(self, shape: Sequence[int], size: Pair) -> tuple[int, int, int, int]:
        """Left, right, top, bottom for F.pad, so that exactly ``size`` windows fit."""
        kernel = self.kernel(shape)
        ends = [
            (size[axis] - 1) * self.stride[axis] + kernel[axis] - shape[2 + axis] - self.pad[axis] for axis in (0, 1)
        ]
        return self.pad[1], ends[1], self.pad[0], ends[0]
