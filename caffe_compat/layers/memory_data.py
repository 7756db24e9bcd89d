"""MemoryData: batches of arrays that the program hands over.

Source: src/caffe/layers/memory_data_layer.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from caffe_compat.errors import CaffeCompatError, expected_got
from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.shapes import Shape
from caffe_compat.layers.transformation import make_transformer


@register("MemoryData")
class MemoryDataLayer(Layer):
    """Tops data (B, C, H, W) and label (B,), from the arrays given last, batch after batch, starting again."""

    bottoms = (0, 0)
    tops = (2, 2)
    is_data = True
    _like: Tensor

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        options = self.param.memory_data_param
        for field in ("batch_size", "channels", "height", "width"):
            if getattr(options, field) < 1:
                raise self.error(expected_got("> 0", getattr(options, field)), f"memory_data_param.{field}")
        self.register_buffer("_like", torch.empty(0), persistent=False)
        self._record_shape = (options.channels, options.height, options.width)
        self._batch_size = options.batch_size
        self._data: Tensor | None = None
        self._labels = torch.empty(0)
        self._position = self._added = 0
        try:
            self._transformer = make_transformer(
                self.param.transform_param, self.param.name, self.phase, self.context.seed
            )
        except CaffeCompatError as exc:
            raise self.error(f"{exc.path}: {exc.problem}" if exc.path else exc.problem, exc.field) from exc

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        return [(self._batch_size, *self._record_shape), (self._batch_size,)]

    def set_input_arrays(self, data: Tensor | np.ndarray, labels: Tensor | np.ndarray) -> None:
        """Read these arrays from now on, as they are (``transform_param`` does not apply).

        Shapes: data (N, C, H, W), labels (N,) or (N, 1, 1, 1), N a multiple of the batch size.
        Raises: ValueError if a shape differs.
        """
        data, labels = torch.as_tensor(data), torch.as_tensor(labels)
        if data.shape[1:] != self._record_shape or labels.numel() != len(data):
            wanted = f"data (N, {', '.join(map(str, self._record_shape))}) and N labels"
            raise ValueError(expected_got(wanted, f"{tuple(data.shape)} and {labels.numel()}"))
        if len(data) == 0 or len(data) % self._batch_size:
            raise ValueError(expected_got(f"a multiple of the batch size {self._batch_size}", len(data)))
        self._data, self._labels, self._position = data, labels.reshape(-1), 0

    def add(self, images: Sequence[np.ndarray], labels: Sequence[float]) -> None:
        """Transform records as ``transform_param`` says and read them from now on.

        Shapes: each image (C, H, W), uint8 or float32; after the transformation of the layer's shape.
        Raises: ValueError or DataError if a shape differs.
        """
        bits = self._transformer.draw(np.arange(self._added, self._added + len(images)))
        data = np.empty((len(images), *self._record_shape), np.float32)
        for image, image_bits, out in zip(images, bits, data, strict=True):
            shape = self._transformer.output_shape(image.shape)
            if shape != self._record_shape:
                raise ValueError(expected_got(f"records that become {self._record_shape}", shape))
            self._transformer.transform(image, image_bits, out)
        self.set_input_arrays(data, np.asarray(labels, np.float32))
        self._added += len(images)

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        """Raises: RuntimeError before the first ``set_input_arrays`` or ``add``."""
        if self._data is None:
            raise RuntimeError(
                f'layer "{self.param.name}" (MemoryData) has no data yet: call its set_input_arrays(data, labels)'
            )
        batch = slice(self._position, self._position + self._batch_size)
        self._position = batch.stop % len(self._data)
        return self._data[batch].to(self._like), self._labels[batch].to(self._like)
