"""Concat. Source: src/caffe/layers/concat_layer.cpp."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from caffe_compat.glog import shape_text
from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.shapes import Shape, canonical_axis


@register("Concat")
class Concat(Layer):
    """The bottoms one after the other along ``axis`` (``concat_dim`` in old nets)."""

    bottoms = (1, None)
    keeps_no_output = True

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        options = self.param.concat_param
        if options.HasField("axis") and options.HasField("concat_dim"):
            raise self.error("either axis or concat_dim should be specified, not both", field="concat_param.axis")
        axis, field = (options.concat_dim, "concat_dim") if options.HasField("concat_dim") else (options.axis, "axis")
        self.axis = canonical_axis(self, axis, bottom_shapes[0], f"concat_param.{field}")

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        first = bottom_shapes[0]
        for shape in bottom_shapes[1:]:
            if len(shape) != len(first) or any(
                axis != self.axis and a != b for axis, (a, b) in enumerate(zip(shape, first, strict=True))
            ):
                problem = f"all bottoms must have the same shape except along axis {self.axis}: "
                raise self.error(f"{problem}{shape_text(first)} and {shape_text(shape)}", field="bottom")
        joined = sum(shape[self.axis] for shape in bottom_shapes)
        return [(*first[: self.axis], joined, *first[self.axis + 1 :])]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        return (torch.cat(bottoms, self.axis) if len(bottoms) > 1 else bottoms[0].clone(),)
