"""Eltwise: product, weighted sum or maximum of equally shaped bottoms. Source: src/caffe/layers/eltwise_layer.cpp."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from caffe_compat.errors import expected_got
from caffe_compat.glog import shape_text
from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.shapes import Shape
from caffe_compat.proto import caffe_pb2


@register("Eltwise")
class Eltwise(Layer):
    """PROD, SUM (with ``coeff``) or MAX of the bottoms.

    MAX gives the gradient of a tie between the first two bottoms to the second, and of any later tie to the
    earlier bottom. PROD with ``stable_prod_grad: false`` divides the product by the bottom, as Caffe does: NaN at 0.
    """

    bottoms = (2, None)

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        options = self.param.eltwise_param
        if options.coeff and len(options.coeff) != len(bottom_shapes):
            problem = expected_got(f"one coefficient per bottom ({len(bottom_shapes)})", len(options.coeff))
            raise self.error(problem, field="eltwise_param.coeff")
        if options.coeff and options.operation != caffe_pb2.EltwiseParameter.SUM:
            raise self.error("coefficients are for operation SUM only", field="eltwise_param.coeff")
        self.coefficients = list(options.coeff) or [1.0] * len(bottom_shapes)

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        for shape in bottom_shapes[1:]:
            if shape != bottom_shapes[0]:
                shapes = f"{shape_text(bottom_shapes[0])} and {shape_text(shape)}"
                raise self.error(f"all bottoms must have the same shape: {shapes}", field="bottom")
        return [bottom_shapes[0]]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        options = self.param.eltwise_param
        if options.operation == caffe_pb2.EltwiseParameter.SUM:
            return (functools.reduce(torch.add, map(_scaled, bottoms, self.coefficients)),)
        if options.operation == caffe_pb2.EltwiseParameter.MAX:
            return (_maximum(bottoms),)
        return (functools.reduce(torch.mul, bottoms) if options.stable_prod_grad else _QuotientProduct.apply(*bottoms),)


def _scaled(bottom: Tensor, coefficient: float) -> Tensor:
    return bottom if coefficient == 1 else bottom * coefficient


def _maximum(bottoms: Sequence[Tensor]) -> Tensor:
    top = torch.where(bottoms[0] > bottoms[1], bottoms[0], bottoms[1])
    for bottom in bottoms[2:]:
        top = torch.where(bottom > top, bottom, top)
    return top


class _QuotientProduct(torch.autograd.Function):
    """Product whose gradient for bottom i is top / bottom_i (Caffe's fast form)."""

    @staticmethod
    def forward(ctx: Any, *bottoms: Tensor) -> Tensor:
        top = functools.reduce(torch.mul, bottoms)
        ctx.save_for_backward(top, *bottoms)
        return top

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        top, *bottoms = ctx.saved_tensors
        return tuple(grad * (top / bottom) for bottom in bottoms)
