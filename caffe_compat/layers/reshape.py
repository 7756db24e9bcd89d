"""Flatten and Reshape: the same elements under another shape.

Source: src/caffe/layers/flatten_layer.cpp, reshape_layer.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from caffe_compat.errors import expected_got
from caffe_compat.glog import shape_text
from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.shapes import Shape, canonical_axis, count


class _SameElements(Layer):
    """A layer whose top has the bottom's elements in the bottom's order."""

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        if self.param.top[0] == self.param.bottom[0]:
            raise self.error("does not allow in-place computation", field="top")

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        return [self.new_shape(bottom_shapes[0])]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        return (bottoms[0].reshape(self.new_shape(tuple(bottoms[0].shape))),)

    def new_shape(self, shape: Shape) -> Shape:
        """Shape of the top for a bottom of ``shape``."""
        raise NotImplementedError


@register("Flatten")
class Flatten(_SameElements):
    """The axes from ``axis`` to ``end_axis``, both included, become one.

    An ``end_axis`` just before ``axis`` puts an axis of size 1 in front of ``axis``.
    """

    def new_shape(self, shape: Shape) -> Shape:
        options = self.param.flatten_param
        first = canonical_axis(self, options.axis, shape, "flatten_param.axis")
        end = canonical_axis(self, options.end_axis, shape, "flatten_param.end_axis") + 1
        if end < first:
            problem = expected_got(f"at least axis - 1 ({first - 1})", end - 1)
            raise self.error(problem, field="flatten_param.end_axis")
        return (*shape[:first], count(shape[first:end]), *shape[end:])


@register("Reshape")
class Reshape(_SameElements):
    """``num_axes`` axes from ``axis`` on (-1: all of them) are replaced by ``shape``.

    In ``shape``, 0 copies the bottom's size at the position of the new axis, and one -1 takes what is left. A
    negative ``axis`` counts from behind the last axis: -1 appends.
    """

    def new_shape(self, shape: Shape) -> Shape:
        start, end = self._replaced(shape)
        new = list(self.param.reshape_param.shape.dim)
        for index, size in enumerate(new):
            if size == 0:
                new[index] = self._copied(shape, start + index)
        before, after = shape[:start], shape[end:]
        if -1 in new:
            known = count([size for size in new if size != -1]) * count(before) * count(after)
            new[new.index(-1)] = self._inferred(shape, known)
        top = (*before, *new, *after)
        if any(size < 0 for size in new) or count(top) != count(shape):
            problem = f"output count must match input count: {shape_text(top)} from {shape_text(shape)}"
            raise self.error(problem, field="reshape_param.shape")
        return top

    def _replaced(self, shape: Shape) -> tuple[int, int]:
        """The first of the replaced axes, and the one behind the last."""
        options = self.param.reshape_param
        start = options.axis if options.axis >= 0 else len(shape) + options.axis + 1
        if not 0 <= start <= len(shape):
            problem = f"axis {options.axis} out of range for a bottom of shape {shape_text(shape)}"
            raise self.error(problem, field="reshape_param.axis")
        if options.num_axes < -1:
            raise self.error(expected_got(">= 0, or -1 for all", options.num_axes), field="reshape_param.num_axes")
        end = len(shape) if options.num_axes == -1 else start + options.num_axes
        if end > len(shape):
            problem = expected_got(f"at most the {len(shape) - start} axes from axis on", options.num_axes)
            raise self.error(problem, field="reshape_param.num_axes")
        return start, end

    def _copied(self, shape: Shape, axis: int) -> int:
        if axis >= len(shape):
            problem = f"0 at axis {axis} of the top, but the bottom {shape_text(shape)} has no such axis to copy"
            raise self.error(problem, field="reshape_param.shape")
        return shape[axis]

    def _inferred(self, shape: Shape, known: int) -> int:
        if list(self.param.reshape_param.shape.dim).count(-1) > 1:
            raise self.error("at most a single -1 may be specified", field="reshape_param.shape")
        if known == 0 or count(shape) % known:
            problem = f"bottom count ({count(shape)}) must be divisible by the product of the other sizes ({known})"
            raise self.error(problem, field="reshape_param.shape")
        return count(shape) // known
