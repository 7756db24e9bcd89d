"""Data: batches of an LMDB database.

Source: src/caffe/layers/data_layer.cpp and base_data_layer.cpp.
"""

from __future__ import annotations

import logging
import os
import zlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from caffe_compat.data.batches import BatchDataset, load_index
from caffe_compat.data.datum import decode_datum, parse_datum
from caffe_compat.data.group import SourceInfo, read_group, side_file
from caffe_compat.data.lmdb_store import LmdbReader
from caffe_compat.data.loader import BatchLoader, choose_workers
from caffe_compat.data.transformer import Transformer
from caffe_compat.errors import CaffeCompatError, DataError, PrototxtError, expected_got
from caffe_compat.layers.base import Layer, Shape, register
from caffe_compat.proto import caffe_pb2
from caffe_compat.weights import read_blobproto_file

logger = logging.getLogger("caffe_compat")

_MOVED_FIELDS = ("scale", "mean_file", "crop_size", "mirror")


@register("Data")
class DataLayer(Layer):
    """Records in reading order, for ever: tops data (B, C, h, w) and, where there is a second one, label (B,).

    Reading starts at record 0, in TRAIN nets at ``context.data_start``, and goes on over calls, as in Caffe. The
    tops take the device and float type of the layer.

    Deviations: ``force_encoded_color`` is honoured (BVLC's last version forgot it). ``rand_skip`` has no effect, as
    there.
    """

    bottoms = (0, 0)
    tops = (1, 2)
    is_data = True
    _like: Tensor

    def open(self) -> None:
        options = self.param.data_param
        self._check_options(options)
        try:
            self._reader = LmdbReader(options.source)
        except DataError as exc:
            raise self._located(exc) from exc
        logger.info("Opened lmdb %s", options.source)

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        options = self.param.data_param
        self.register_buffer("_like", torch.empty(0), persistent=False)
        try:
            self.dataset = self._dataset(options)
            datum = parse_datum(self._reader.read(self.dataset.positions(self.dataset.start, 1)[0]))
            image = decode_datum(datum, self.dataset.transformer.decode)
            self._record_shape = self.dataset.transformer.output_shape(image.shape)
        except CaffeCompatError as exc:
            raise self._located(exc) from exc
        self._warn_of_raw(datum.encoded)
        workers = choose_workers(options.batch_size * image.size, datum.encoded, options.prefetch)
        if workers:
            self._reader.close()  # LMDB must not be open where worker processes start from
        self.loader = BatchLoader(self.dataset, workers, options.prefetch)
        logger.info("output data size: %s", ",".join(map(str, self.top_shapes([])[0])))

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        batch_size = self.param.data_param.batch_size
        return [(batch_size, *self._record_shape), (batch_size,)][: len(self.param.top)]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        try:
            batch = next(self.loader)
        except DataError as exc:
            raise self._located(exc) from exc
        return tuple(top.to(self._like) for top in batch[: len(self.param.top)])

    @property
    def source_info(self) -> SourceInfo:
        """What ``data.group.check_databases`` wants to know of this layer's database."""
        options = self.param.data_param
        name = f"{options.source} in the order of {options.index}" if options.index else options.source
        group = read_group(side_file(options.source, options.index))
        return SourceInfo(name, self.dataset.num_records, group, options.shuffle)

    def _dataset(self, options: caffe_pb2.DataParameter) -> BatchDataset:
        index = load_index(options.index, len(self._reader)) if options.index else None
        start = self.context.data_start if self.phase == caffe_pb2.TRAIN else 0
        transformer = self._transformer(options)
        shuffle_seed = _known_seed(self.context.seed) if options.shuffle else None
        return BatchDataset(self._reader, index, transformer, options.batch_size, start, shuffle_seed)

    def _transformer(self, options: caffe_pb2.DataParameter) -> Transformer:
        transform = caffe_pb2.TransformationParameter()
        transform.CopyFrom(self.param.transform_param)
        transform.force_color |= options.force_encoded_color
        return make_transformer(transform, self.param.name, self.phase, self.context.seed)

    def _check_options(self, options: caffe_pb2.DataParameter) -> None:
        if not options.source:
            raise self.error("expected the database's folder, got nothing", "data_param.source")
        if options.backend != caffe_pb2.DataParameter.LMDB:
            raise self.error(
                "expected LMDB, got LEVELDB (Caffe's default where none is given); make the database with "
                'convert_imageset --backend=lmdb and write "backend: LMDB"',
                "data_param.backend",
            )
        for field in ("batch_size", "prefetch"):
            if getattr(options, field) < 1:
                raise self.error(expected_got("> 0", getattr(options, field)), f"data_param.{field}")
        for field in _MOVED_FIELDS:
            if options.HasField(field):
                remedy = f"has no effect in Caffe; write transform_param {{ {field}: ... }}"
                raise self.error(remedy, f"data_param.{field}")
        if options.rand_skip:
            logger.warning('layer "%s": data_param.rand_skip has no effect, as in Caffe', self.param.name)

    def _warn_of_raw(self, encoded: bool) -> None:
        transform = self.param.transform_param
        if not encoded and (transform.force_color or transform.force_gray):
            logger.warning('layer "%s": force_color and force_gray only for encoded datum', self.param.name)

    def _located(self, exc: CaffeCompatError) -> CaffeCompatError:
        """``exc`` with the place in the net put before the place in the data."""
        problem = f"{exc.path}: {exc.problem}" if exc.path else exc.problem
        kind = PrototxtError if isinstance(exc, PrototxtError) else DataError
        return kind(
            problem,
            path=self.context.path,
            layer=self.param.name,
            layer_type=self.param.type,
            field=exc.field or "data_param.source",
        )


def make_transformer(
    transform: caffe_pb2.TransformationParameter, layer_name: str, phase: int, seed: int | None
) -> Transformer:
    """The transformer of one layer of a net, its mean file read and its random numbers apart from other layers'.

    Raises: CaffeCompatError, without the layer, about the options or the mean file.
    """
    mean = None
    if transform.HasField("mean_file"):
        logger.info("Loading mean file from: %s", transform.mean_file)
        mean = _read_mean(transform.mean_file)
    return Transformer(transform, phase, mean, (_known_seed(seed), zlib.crc32(layer_name.encode())))


def _known_seed(seed: int | None) -> int:
    """The net's seed, in [0, 2**64); a layer that was built without a net draws one."""
    return int(torch.randint(2**62, ())) if seed is None else seed % 2**64


def _read_mean(path: str) -> np.ndarray:
    if not os.path.exists(path):
        raise DataError(
            "no mean file there; tools/compute_image_mean.py makes one", path=path, field="transform_param.mean_file"
        )
    try:
        mean = read_blobproto_file(path)
    except CaffeCompatError as exc:
        raise DataError(exc.problem, path=path, field="transform_param.mean_file") from exc
    if mean.ndim not in (3, 4) or mean.size != np.prod(mean.shape[-3:]):
        raise DataError(
            expected_got("one image, (1, C, H, W)", mean.shape), path=path, field="transform_param.mean_file"
        )
    return mean
