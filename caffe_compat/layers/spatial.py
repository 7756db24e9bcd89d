"""Kernel sizes, strides, pads and dilations as Convolution and its relatives write them."""

from __future__ import annotations

from dataclasses import dataclass

from caffe_compat.errors import expected_got
from caffe_compat.glog import shape_text
from caffe_compat.layers.base import Layer
from caffe_compat.layers.shapes import Shape
from caffe_compat.proto import caffe_pb2


@dataclass(frozen=True)
class Window:
    """One size per spatial axis."""

    kernel: Shape
    stride: Shape
    pad: Shape
    dilation: Shape

    def extent(self) -> Shape:
        """Pixels from the first to the last tap, both included."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    def fitting(self, layer: Layer, shape: Shape, first: int) -> Shape:
        """How many windows fit along each axis of ``shape`` from ``first`` on.

        Raises: PrototxtError if there is an axis along which none does.
        """
        sizes = tuple(
            (size + 2 * pad - extent) // stride + 1
            for size, pad, extent, stride in zip(shape[first:], self.pad, self.extent(), self.stride, strict=True)
        )
        if any(size < 1 for size in sizes):
            problem = f"the kernel does not fit into a bottom of shape {shape_text(shape)}"
            raise layer.error(problem, field="convolution_param.kernel_size")
        return sizes


def read_window(layer: Layer, options: caffe_pb2.ConvolutionParameter, axes: int) -> Window:
    """The window of ``convolution_param`` over ``axes`` spatial axes.

    Each of kernel_size, stride, pad and dilation stands once for all axes or once per axis; the first three may
    instead be given as ``_h`` and ``_w`` for two axes.

    Raises: PrototxtError naming the field, as base_conv_layer.cpp checks.
    """
    window = Window(
        kernel=_read_kernel(layer, options, axes),
        stride=_read_sizes(layer, options, axes, "stride", ("stride_h", "stride_w"), default=1),
        pad=_read_sizes(layer, options, axes, "pad", ("pad_h", "pad_w"), default=0),
        dilation=_read_repeated(layer, list(options.dilation), axes, "dilation", default=1),
    )
    for word, sizes in (("kernel_size", window.kernel), ("stride", window.stride), ("dilation", window.dilation)):
        if 0 in sizes:
            raise layer.error(expected_got("> 0", 0), field=f"convolution_param.{word}")
    return window


def _read_kernel(layer: Layer, options: caffe_pb2.ConvolutionParameter, axes: int) -> Shape:
    if axes and not (options.kernel_size or options.HasField("kernel_h") or options.HasField("kernel_w")):
        raise layer.error("kernel_size must be specified", field="convolution_param.kernel_size")
    return _read_sizes(layer, options, axes, "kernel_size", ("kernel_h", "kernel_w"), default=0)


def _read_sizes(
    layer: Layer, options: caffe_pb2.ConvolutionParameter, axes: int, word: str, pair: tuple[str, str], default: int
) -> Shape:
    """From the repeated field ``word`` or from the ``pair`` of height and width (an absent one of a pair is 0)."""
    if not any(options.HasField(name) for name in pair):
        return _read_repeated(layer, list(getattr(options, word)), axes, word, default)
    if axes != 2:
        raise layer.error(f"{pair[0]} and {pair[1]} need 2 spatial axes, got {axes}", field=f"convolution_param.{word}")
    if getattr(options, word):
        problem = f"either {word} or {pair[0]} and {pair[1]} should be specified, not both"
        raise layer.error(problem, field=f"convolution_param.{word}")
    return getattr(options, pair[0]), getattr(options, pair[1])


def _read_repeated(layer: Layer, given: list[int], axes: int, word: str, default: int) -> Shape:
    if len(given) not in (0, 1, axes):
        problem = expected_got(f"1 value or one for each of the {axes} spatial axes", f"{len(given)} values")
        raise layer.error(problem, field=f"convolution_param.{word}")
    if len(given) == axes:
        return tuple(given)
    return (given[0] if given else default,) * axes
