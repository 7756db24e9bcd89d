"""Bias and Scale: a blob added to, or multiplied with, some axes of another.

Source: src/caffe/layers/bias_layer.cpp, scale_layer.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from caffe_compat.errors import expected_got
from caffe_compat.glog import shape_text
from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.shapes import Shape, canonical_axis
from caffe_compat.proto import caffe_pb2


class _AlongAxes(Layer):
    """What Bias and Scale share: which axes of the first bottom their operand goes along.

    The operand is the second bottom or, without one, the first parameter blob. Its axes are those of the bottom from
    ``axis`` on, ``num_axes`` of them (-1: all that are left; 0: a single number for everything).
    """

    bottoms = (1, 2)
    keeps_no_output = True
    options_field = ""  # the field of LayerParameter with axis and num_axes

    def learned_shape(self, bottom_shape: Shape, num_axes: int) -> Shape:
        """The shape of a learned blob of ``num_axes`` axes. Raises: PrototxtError if the bottom lacks these axes."""
        axis = getattr(self.param, self.options_field).axis
        start = canonical_axis(self, axis, bottom_shape, f"{self.options_field}.axis")
        if num_axes < -1:
            problem = expected_got(">= 0, or -1 for all axes that are left", num_axes)
            raise self.error(problem, field=f"{self.options_field}.num_axes")
        end = len(bottom_shape) if num_axes == -1 else start + num_axes
        if end > len(bottom_shape):
            wanted = f"at most the {len(bottom_shape) - start} axes that {shape_text(bottom_shape)} has from {start} on"
            raise self.error(expected_got(wanted, num_axes), field=f"{self.options_field}.num_axes")
        return bottom_shape[start:end]

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        bottom = bottom_shapes[0]
        operand = bottom_shapes[1] if len(bottom_shapes) > 1 else tuple(self.blob(0).shape)
        self.start = 0
        if operand:  # a single number fits everywhere, whatever axis says
            axis = getattr(self.param, self.options_field).axis
            self.start = canonical_axis(self, axis, bottom, f"{self.options_field}.axis")
        if bottom[self.start : self.start + len(operand)] != operand:
            wanted = f"a shape found in {shape_text(bottom)} from axis {self.start} on"
            raise self.error(expected_got(wanted, shape_text(operand)), field="bottom")
        return [bottom]

    def spread(self, operand: Tensor, bottom: Tensor) -> Tensor:
        """``operand`` with axes of size 1 behind, so that it broadcasts over ``bottom``."""
        behind = bottom.dim() - self.start - operand.dim()
        return operand.reshape(*operand.shape, *(1,) * behind)


@register("Bias")
class Bias(_AlongAxes):
    """The first bottom plus an operand: learned (zero unless filled), or the second bottom."""

    overwrites_bottom = True
    options_field = "bias_param"

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        options = self.param.bias_param
        if len(bottom_shapes) == 1:
            self.add_blob(self.learned_shape(bottom_shapes[0], options.num_axes), options.filler, "bias_param.filler")

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        bottom = bottoms[0]
        return (bottom + self.spread(bottoms[1] if len(bottoms) > 1 else self.blob(0), bottom),)

    def forward_in_place(self, bottom: Tensor) -> Tensor:
        return bottom.add_(self.spread(self.blob(0), bottom))


@register("Scale")
class Scale(_AlongAxes):
    """The first bottom times an operand: learned (one unless filled), or the second bottom.

    With ``bias_term`` a learned bias of the operand's shape is added; it is the last blob.
    """

    options_field = "scale_param"

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        options = self.param.scale_param
        is_learned = len(bottom_shapes) == 1
        if is_learned:
            filler = options.filler if options.HasField("filler") else caffe_pb2.FillerParameter(value=1)
            self.add_blob(self.learned_shape(bottom_shapes[0], options.num_axes), filler, "scale_param.filler")
        if options.bias_term:
            num_axes = options.num_axes if is_learned else len(bottom_shapes[1])
            shape = self.learned_shape(bottom_shapes[0], num_axes)
            self.add_blob(shape, options.bias_filler, "scale_param.bias_filler")

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        bottom = bottoms[0]
        scale = self.spread(bottoms[1] if len(bottoms) > 1 else self.blob(0), bottom)
        if not self.param.scale_param.bias_term:
            return (bottom * scale,)
        bias = self.spread(self.blob(len(self.blobs) - 1), bottom)
        return (torch.addcmul(bias, bottom, scale),)
