"""Crop: a blob cut to another's size. Source: src/caffe/layers/crop_layer.cpp."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from caffe_compat.errors import expected_got
from caffe_compat.glog import shape_text
from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.shapes import Shape, canonical_axis


@register("Crop")
class Crop(Layer):
    """The first bottom cut along ``axis`` and all axes behind it to the second bottom's sizes.

    The cut starts at ``offset``: 0 if there is none, one for all axes, or one for each.
    """

    bottoms = (2, 2)

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        options, axes = self.param.crop_param, len(bottom_shapes[0])
        self.axis = canonical_axis(self, options.axis, bottom_shapes[0], "crop_param.axis")
        cropped, offsets = axes - self.axis, list(options.offset)
        if len(offsets) > 1 and len(offsets) != cropped:
            problem = expected_got(f"one, or one for each of the {cropped} axes from axis on", len(offsets))
            raise self.error(problem, field="crop_param.offset")
        self.offsets = offsets if len(offsets) > 1 else (offsets or [0]) * cropped

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        data, reference = bottom_shapes
        if len(reference) < len(data):
            problem = expected_got(f"{len(data)} axes or more in the second bottom", shape_text(reference))
            raise self.error(problem, field="bottom")
        for axis, offset in enumerate(self.offsets, self.axis):
            if offset + reference[axis] > data[axis]:
                problem = f"the crop for axis {axis} is out of bounds: size {reference[axis]} from {offset} on, of "
                raise self.error(f"{problem}{data[axis]}", field="crop_param.offset")
        return [(*data[: self.axis], *reference[self.axis : len(data)])]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        top = bottoms[0]
        self.top_shapes(
            [tuple(bottom.shape) for bottom in bottoms]
        )  # the sizes may have changed since the net was built
        for axis, offset in enumerate(self.offsets, self.axis):
            top = top.narrow(axis, offset, bottoms[1].shape[axis])
        return (top,)
