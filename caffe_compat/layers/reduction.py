"""Reduction: sums and means over the last axes. Source: src/caffe/layers/reduction_layer.cpp."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.shapes import Shape, canonical_axis
from caffe_compat.proto import caffe_pb2

_OPERATIONS: dict[int, Callable[[Tensor], Tensor]] = {
    caffe_pb2.ReductionParameter.SUM: lambda rows: rows.sum(-1),
    caffe_pb2.ReductionParameter.ASUM: lambda rows: rows.abs().sum(-1),
    caffe_pb2.ReductionParameter.SUMSQ: lambda rows: rows.square().sum(-1),
    caffe_pb2.ReductionParameter.MEAN: lambda rows: rows.mean(-1),
}


@register("Reduction")
class Reduction(Layer):
    """``coeff`` times the SUM, ASUM (of magnitudes), SUMSQ (of squares) or MEAN over the axes from ``axis`` on.

    Shapes: bottom (leading..., K...); top (leading...), a scalar for axis 0. The gradient of ASUM at 0 is 0.
    """

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        options = self.param.reduction_param
        self.axis = canonical_axis(self, options.axis, bottom_shapes[0], "reduction_param.axis")

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        return [tuple(bottom_shapes[0][: self.axis])]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        options = self.param.reduction_param
        top = _OPERATIONS[options.operation](bottoms[0].flatten(self.axis))
        return (top if options.coeff == 1 else top * options.coeff,)
