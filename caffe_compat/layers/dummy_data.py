"""DummyData: blobs that fillers make. Source: src/caffe/layers/dummy_data_layer.cpp."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from google.protobuf.message import Message
from torch import Tensor

from caffe_compat.errors import PrototxtError
from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.fillers import fill
from caffe_compat.layers.shapes import Shape, new_blob
from caffe_compat.proto import caffe_pb2

_SIZES = ("num", "channels", "height", "width")


@register("DummyData")
class DummyData(Layer):
    """Each top has its shape and its filler, each given once for all tops or once per top; no filler: zeros.

    A constant filler fills its top once and for all, the others at every forward.
    """

    bottoms = (0, 0)
    tops = (1, None)
    is_data = True

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        self._shapes = self._read_shapes(self.param.dummy_data_param)
        self._fillers = self._read_fillers(self.param.dummy_data_param)
        for index in range(len(self._shapes)):
            self.register_buffer(f"_top{index}", self._filled(index), persistent=False)

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        return self._shapes

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        tops = []
        for index, filler in enumerate(self._fillers):
            top: Tensor = getattr(self, f"_top{index}")
            if filler.type != "constant":
                top = torch.empty_like(top)
                fill(top, filler)
            tops.append(top)
        return tuple(tops)

    def _filled(self, index: int) -> Tensor:
        field = "shape" if self.param.dummy_data_param.shape else "num"
        top = new_blob(self, self._shapes[index], f"dummy_data_param.{field}")
        try:
            fill(top, self._fillers[index])
        except PrototxtError as exc:
            number = index if len(self.param.dummy_data_param.data_filler) > 1 else 0
            raise self.error(exc.problem, f"dummy_data_param.data_filler[{number}].{exc.field}") from exc
        return top

    def _read_fillers(self, options: caffe_pb2.DummyDataParameter) -> list[caffe_pb2.FillerParameter]:
        fillers, num_tops = list(options.data_filler), len(self.param.top)
        if len(fillers) not in (0, 1, num_tops):
            problem = (
                f"Number of data fillers must be 0, 1 or equal to the number of tops: {num_tops}; got {len(fillers)}"
            )
            raise self.error(problem, "dummy_data_param.data_filler")
        return fillers if len(fillers) == num_tops else (fillers or [caffe_pb2.FillerParameter()]) * num_tops

    def _read_shapes(self, options: caffe_pb2.DummyDataParameter) -> list[Shape]:
        if any(getattr(options, name) for name in _SIZES):
            if options.shape:
                raise self.error("Both shape and legacy fields were specified", "dummy_data_param.shape")
            sizes = zip(*(self._per_top(options, name) for name in _SIZES), strict=True)
            return [tuple(size) for size in sizes]
        return [tuple(shape.dim) for shape in self._per_top(options, "shape")]

    def _per_top(self, options: Message, field: str) -> list:
        values, num_tops = list(getattr(options, field)), len(self.param.top)
        if len(values) not in (1, num_tops):
            problem = f"Must specify '{field}' once, or once per top blob ({num_tops}); specified {len(values)}."
            raise self.error(problem, f"dummy_data_param.{field}")
        return values * num_tops if len(values) == 1 else values
