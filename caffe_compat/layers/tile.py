"""Tile: copies of a blob side by side. Source: src/caffe/layers/tile_layer.cpp."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from caffe_compat.errors import expected_got
from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.shapes import Shape, canonical_axis


@register("Tile")
class Tile(Layer):
    """``tiles`` copies of the bottom, one after the other along ``axis``."""

    keeps_no_output = True

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        options = self.param.tile_param
        self.axis = canonical_axis(self, options.axis, bottom_shapes[0], "tile_param.axis")
        if not options.HasField("tiles"):
            raise self.error("the number of tiles must be specified", field="tile_param.tiles")
        if options.tiles < 1:
            raise self.error(expected_got("> 0", options.tiles), field="tile_param.tiles")

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape, axis = bottom_shapes[0], self.axis
        return [(*shape[:axis], shape[axis] * self.param.tile_param.tiles, *shape[axis + 1 :])]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        return (torch.cat([bottoms[0]] * self.param.tile_param.tiles, self.axis),)
