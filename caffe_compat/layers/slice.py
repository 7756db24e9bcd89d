"""Slice: one blob cut into several along an axis. Source: src/caffe/layers/slice_layer.cpp."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from caffe_compat.errors import expected_got
from caffe_compat.glog import shape_text
from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.shapes import Shape, canonical_axis


@register("Slice")
class Slice(Layer):
    """The bottom cut along ``axis`` (``slice_dim`` in old nets) at every ``slice_point``, or into equal parts."""

    tops = (1, None)

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        options = self.param.slice_param
        if options.HasField("axis") and options.HasField("slice_dim"):
            raise self.error("either axis or slice_dim should be specified, not both", field="slice_param.axis")
        axis, field = (options.slice_dim, "slice_dim") if options.HasField("slice_dim") else (options.axis, "axis")
        self.axis = canonical_axis(self, axis, bottom_shapes[0], f"slice_param.{field}")
        num_tops, points = len(self.param.top), list(options.slice_point)
        if points and len(points) != num_tops - 1:
            problem = expected_got(f"{num_tops - 1} for {num_tops} tops", len(points))
            raise self.error(problem, field="slice_param.slice_point")
        if any(point <= before for before, point in zip([0, *points], points, strict=False)):
            raise self.error(expected_got("rising numbers from 1 on", points), field="slice_param.slice_point")

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape, axis = bottom_shapes[0], self.axis
        return [(*shape[:axis], size, *shape[axis + 1 :]) for size in self._sizes(shape)]

    def _sizes(self, shape: Shape) -> list[int]:
        """Sizes of the slices along the axis; the last may be empty, as in Caffe."""
        whole, num_tops, points = shape[self.axis], len(self.param.top), list(self.param.slice_param.slice_point)
        if not points:
            if whole % num_tops:
                problem = f"{num_tops} equal slices of axis {self.axis} cannot be made from {shape_text(shape)}"
                raise self.error(problem, field="top")
            return [whole // num_tops] * num_tops
        if num_tops > whole or points[-1] > whole:
            problem = f"{num_tops} slices at {points} do not fit into axis {self.axis} of {shape_text(shape)}"
            raise self.error(problem, field="slice_param.slice_point")
        return [end - start for start, end in zip([0, *points], [*points, whole], strict=True)]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        return torch.split(bottoms[0], self._sizes(tuple(bottoms[0].shape)), self.axis)
