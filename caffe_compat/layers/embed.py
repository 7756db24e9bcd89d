"""Embed: a learned row for every number. Source: src/caffe/layers/embed_layer.cpp."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from caffe_compat.errors import expected_got
from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.labels import row_indices
from caffe_compat.layers.refusal import refuse_gradient
from caffe_compat.layers.shapes import Shape


@register("Embed")
class Embed(Layer):
    """Row ``bottom[...]`` of the weight, plus the bias: InnerProduct of a one-hot bottom.

    Shapes: bottom (...), numbers in [0, input_dim); weight (input_dim, num_output); bias (num_output,); top
        (..., num_output).
    """

    keeps_no_output = True

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        options = self.param.embed_param
        for field in ("num_output", "input_dim"):
            if getattr(options, field) < 1:
                raise self.error(expected_got("> 0", getattr(options, field)), field=f"embed_param.{field}")
        self.add_blob((options.input_dim, options.num_output), options.weight_filler, "embed_param.weight_filler")
        if options.bias_term:
            self.add_blob((options.num_output,), options.bias_filler, "embed_param.bias_filler")

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        return [(*bottom_shapes[0], self.param.embed_param.num_output)]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        top = F.embedding(row_indices(self, bottoms[0], 0, self.param.embed_param.input_dim), self.blob(0))
        if len(self.blobs) > 1:
            top = top + self.blob(1)
        return (refuse_gradient(self, top, bottoms[0], "cannot backpropagate to the input"),)
