"""Parameter: a learned blob as a layer's top. Source: include/caffe/layers/parameter_layer.hpp."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.shapes import Shape, check_blob_shape
from caffe_compat.proto import caffe_pb2


@register("Parameter")
class Parameter(Layer):
    """The top is the layer's parameter blob, of ``shape``, which starts as zeros (Caffe has no filler for it)."""

    bottoms = (0, 0)

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        shape = tuple(self.param.parameter_param.shape.dim)
        check_blob_shape(self, shape, "parameter_param.shape")
        self.add_blob(shape, caffe_pb2.FillerParameter())

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        return [tuple(self.blob(0).shape)]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        return (self.blob(0),)
