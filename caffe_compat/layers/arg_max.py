"""ArgMax. Source: src/caffe/layers/argmax_layer.cpp."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from caffe_compat.errors import expected_got
from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.refusal import refuse_gradient
from caffe_compat.layers.shapes import Shape, canonical_axis, count


@register("ArgMax")
class ArgMax(Layer):
    """Positions of the ``top_k`` largest values, the largest first; of equal ones the last position first.

    Without ``axis``, over all axes but the first: top (N, 1, top_k), or with ``out_max_val`` (N, 2, top_k), the
    positions and below them the values; more axes of size 1 follow where the bottom has more. With ``axis``, along
    it: positions, or with ``out_max_val`` values. There is no gradient.
    """

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        options, shape = self.param.argmax_param, bottom_shapes[0]
        has_axis = options.HasField("axis")
        self.axis = canonical_axis(self, options.axis, shape, "argmax_param.axis") if has_axis else None
        if options.top_k < 1:
            raise self.error(expected_got(">= 1", options.top_k), field="argmax_param.top_k")
        candidates = count(shape[1:]) if self.axis is None else shape[self.axis]
        if options.top_k > candidates:
            raise self.error(expected_got(f"at most {candidates}", options.top_k), field="argmax_param.top_k")

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        options, shape = self.param.argmax_param, bottom_shapes[0]
        if self.axis is not None:
            return [(*shape[: self.axis], options.top_k, *shape[self.axis + 1 :])]
        ones = (1,) * max(0, len(shape) - 3)
        return [(shape[0], 2 if options.out_max_val else 1, options.top_k, *ones)]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        return (refuse_gradient(self, self._top(bottoms[0]), bottoms[0], "ArgMax has no gradient"),)

    @torch.no_grad()
    def _top(self, bottom: Tensor) -> Tensor:
        options = self.param.argmax_param
        rows = bottom.flatten(1) if self.axis is None else bottom.movedim(self.axis, -1)
        values, positions = _largest(rows, options.top_k)
        positions = positions.to(bottom.dtype)
        if self.axis is not None:
            return (values if options.out_max_val else positions).movedim(-1, self.axis)
        top = torch.stack((positions, values), 1) if options.out_max_val else positions
        return top.reshape(self.top_shapes([tuple(bottom.shape)])[0])


def _largest(rows: Tensor, num: int) -> tuple[Tensor, Tensor]:
    """The ``num`` largest along the last axis, as values and positions; a stable sort of the reversed row."""
    values, order = rows.flip(-1).sort(dim=-1, descending=True, stable=True)
    return values[..., :num], rows.shape[-1] - 1 - order[..., :num]
