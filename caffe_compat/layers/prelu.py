"""PReLU. Source: src/caffe/layers/prelu_layer.cpp."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from caffe_compat.errors import expected_got
from caffe_compat.glog import shape_text
from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.shapes import Shape
from caffe_compat.proto import caffe_pb2

_DEFAULT_SLOPE = 0.25


@register("PReLU")
class PReLU(Layer):
    """max(x, 0) + slope * min(x, 0) with a learned slope for each channel (axis 1), or one for all.

    Blobs: the slope, (C,), or () with ``channel_shared``.
    """

    keeps_no_output = True

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        shape = bottom_shapes[0]
        if not 2 <= len(shape) <= 4:
            problem = expected_got("2 to 4 axes (num, channels, height, width)", shape_text(shape))
            raise self.error(problem, field="bottom")
        options = self.param.prelu_param
        filler = options.filler if options.HasField("filler") else caffe_pb2.FillerParameter(value=_DEFAULT_SLOPE)
        self.add_blob(() if options.channel_shared else shape[1:2], filler, "prelu_param.filler")

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        return (F.prelu(bottoms[0], self.blob(0)),)
