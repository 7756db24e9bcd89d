"""BatchReindex and Filter: rows of a batch chosen by another blob.

Source: src/caffe/layers/batch_reindex_layer.cpp, filter_layer.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from caffe_compat.errors import expected_got
from caffe_compat.glog import shape_text
from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.labels import row_indices
from caffe_compat.layers.refusal import refuse_gradient
from caffe_compat.layers.shapes import Shape


@register("BatchReindex")
class BatchReindex(Layer):
    """Row ``index[i]`` of the first bottom is row i of the top; a row may be taken many times, or never.

    Shapes: bottoms (N, ...) and (M,); top (M, ...).
    """

    bottoms = (2, 2)

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        data, index = bottom_shapes
        if len(index) != 1:
            raise self.error(expected_got("1 axis for the indices", shape_text(index)), field="bottom")
        return [(*index, *data[1:])]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        data, index = bottoms
        top = data.index_select(0, row_indices(self, index, 1, len(data)))
        return (refuse_gradient(self, top, index, "cannot backpropagate to the index"),)


@register("Filter")
class Filter(Layer):
    """Of every bottom but the last the rows whose number in the last, the selector, is not 0.

    Shapes: bottoms (N, ...), selector (N,) or (N, 1, ...); tops (selected, ...). How many are selected is only known
    while the net runs, so it is built as if all were.
    """

    bottoms = (2, None)
    tops = (1, None)

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        wanted = len(bottom_shapes) - 1
        if len(self.param.top) != wanted:
            raise self.error(expected_got(f"one top for each of the {wanted} data bottoms", len(self.param.top)), "top")

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        *data, selector = bottom_shapes
        if any(size != 1 for size in selector[1:]):
            problem = expected_got("a selector whose axes are singletons except the first", shape_text(selector))
            raise self.error(problem, field="bottom")
        for shape in data:
            if shape[:1] != selector[:1]:
                problem = f"each bottom should have the selector's first axis: {shape_text(shape)} and "
                raise self.error(problem + shape_text(selector), field="bottom")
        return list(data)

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        *data, selector = bottoms
        rows = selector.detach().flatten().nonzero().flatten()
        problem = "cannot backpropagate to the selector"
        return tuple(refuse_gradient(self, blob.index_select(0, rows), selector, problem) for blob in data)
