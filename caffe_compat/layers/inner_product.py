"""InnerProduct, the fully connected layer. Source: src/caffe/layers/inner_product_layer.cpp."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from caffe_compat.errors import expected_got
from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.shapes import Shape, canonical_axis, count


@register("InnerProduct")
class InnerProduct(Layer):
    """The axes from ``axis`` on are flattened to K and multiplied.

    Shapes: bottom (leading..., K...); weight (num_output, K), or (K, num_output) with ``transpose``; bias
        (num_output,); top (leading..., num_output).
    """

    keeps_no_output = True

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        options = self.param.inner_product_param
        if options.num_output < 1:
            raise self.error(expected_got("> 0", options.num_output), field="inner_product_param.num_output")
        self.axis = canonical_axis(self, options.axis, bottom_shapes[0], "inner_product_param.axis")
        self.inner, self.transpose = count(bottom_shapes[0][self.axis :]), options.transpose
        shape = (options.num_output, self.inner)
        weight_shape = shape[::-1] if self.transpose else shape
        self.add_blob(weight_shape, options.weight_filler, "inner_product_param.weight_filler")
        if options.bias_term:
            self.add_blob(shape[:1], options.bias_filler, "inner_product_param.bias_filler")

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        inner = count(bottom_shapes[0][self.axis :])
        if inner != self.inner:
            raise self.error(expected_got(f"{self.inner} inputs per row", inner), field="bottom")
        return [(*bottom_shapes[0][: self.axis], self.param.inner_product_param.num_output)]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        weight = self.blob(0).t() if self.transpose else self.blob(0)
        bias = self.blob(1) if len(self.blobs) > 1 else None
        return (F.linear(bottoms[0].flatten(self.axis), weight, bias),)
