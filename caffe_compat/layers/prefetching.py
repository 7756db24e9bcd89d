"""What the layers that read files share: batches made ready ahead, errors.

Source: src/caffe/layers/base_data_layer.cpp.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence

import torch
from google.protobuf.message import Message
from torch import Tensor

from caffe_compat.data.loader import BatchLoader
from caffe_compat.errors import CaffeCompatError, DataError, PrototxtError, expected_got
from caffe_compat.layers.base import Layer
from caffe_compat.layers.shapes import Shape
from caffe_compat.proto import caffe_pb2

logger = logging.getLogger("caffe_compat")


class PrefetchingLayer(Layer):
    """Tops from a loader's batches, for ever; they take the device and float type of the layer.

    Reading starts at record 0, in TRAIN nets at ``context.data_start``, and goes on over calls, as in Caffe. Of
    several solvers each reads its ``context.share`` of the records in TRAIN nets, and all of them in TEST nets. A
    subclass opens its source and makes the loader in :meth:`open_source`.
    """

    bottoms = (0, 0)
    is_data = True
    message = "data_param"  # where the options are
    loader: BatchLoader
    _like: Tensor

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        self.register_buffer("_like", torch.empty(0), persistent=False)
        try:
            with self.located_errors():
                self.loader = self.open_source()
        except OSError as exc:
            raise self.located(DataError(f"cannot be read: {exc.strerror}", path=exc.filename)) from exc
        if self.phase == caffe_pb2.TRAIN:
            self.loader.dataset.share = self.context.share

    def open_source(self) -> BatchLoader:
        """Raises: CaffeCompatError or OSError about the source; the layer is named here."""
        raise NotImplementedError

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        with self.located_errors():
            batch = next(self.loader)
        return tuple(top.to(self._like) for top in batch[: len(self.param.top)])

    @property
    def start(self) -> int:
        """The running number of the first record to read."""
        return self.context.data_start if self.phase == caffe_pb2.TRAIN else 0

    @contextlib.contextmanager
    def located_errors(self) -> Iterator[None]:
        """Errors inside that do not name a layer name this one; those that do pass: none is its own cause."""
        try:
            yield
        except CaffeCompatError as exc:
            if exc.layer is not None:
                raise
            raise self.located(exc) from exc

    def located(self, exc: CaffeCompatError) -> CaffeCompatError:
        """``exc`` with the place in the net put before the place in the data."""
        kind = PrototxtError if isinstance(exc, PrototxtError) else DataError
        return kind(
            f"{exc.path}: {exc.problem}" if exc.path else exc.problem,
            path=self.context.path,
            layer=self.param.name,
            layer_type=self.param.type,
            field=exc.field or f"{self.message}.source",
        )

    def check_positive(self, options: Message, *fields: str) -> None:
        for field in fields:
            if getattr(options, field) < 1:
                raise self.error(expected_got("> 0", getattr(options, field)), f"{self.message}.{field}")

    def refuse_moved(self, options: Message, *fields: str) -> None:
        """Fields that only layers of the old formats have here."""
        for field in fields:
            if options.HasField(field):
                remedy = f"has no effect in Caffe; write transform_param {{ {field}: ... }}"
                raise self.error(remedy, f"{self.message}.{field}")
