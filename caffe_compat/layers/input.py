"""Input: blobs that the caller gives. Source: src/caffe/layers/input_layer.cpp."""

from __future__ import annotations

from collections.abc import Sequence

from caffe_compat.errors import expected_got
from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.shapes import Shape, check_blob_shape


@register("Input")
class Input(Layer):
    """Each top is an input of the net, ``net(name=tensor)``, of the declared shape (once for all tops or per top).

    The shapes are what the net is built for; the tensors given may differ, in the batch size for example, as far as
    the layers that read them can bear it.
    """

    bottoms = (0, 0)
    tops = (1, None)

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        shapes, num_tops = self.param.input_param.shape, len(self.param.top)
        if len(shapes) not in (0, 1, num_tops):
            problem = expected_got(f"'shape' once, once per top blob ({num_tops}), or not at all", len(shapes))
            raise self.error(problem, field="input_param.shape")
        for shape in shapes:
            check_blob_shape(self, shape.dim, "input_param.shape")

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        num_tops = len(self.param.top)
        shapes = [tuple(shape.dim) for shape in self.param.input_param.shape] or [()]
        return shapes * num_tops if len(shapes) == 1 else shapes
