"""Data: batches of an LMDB or LevelDB database.

Source: src/caffe/layers/data_layer.cpp and base_data_layer.cpp.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from caffe_compat.data.batches import BatchDataset
from caffe_compat.data.database import open_database
from caffe_compat.data.datum import decode_datum, parse_datum
from caffe_compat.data.group import SourceInfo, read_group, side_file
from caffe_compat.data.loader import BatchLoader, choose_workers
from caffe_compat.data.reading_order import load_index
from caffe_compat.data.transformer import Transformer
from caffe_compat.errors import DataError
from caffe_compat.layers.base import register
from caffe_compat.layers.prefetching import PrefetchingLayer
from caffe_compat.layers.shapes import Shape
from caffe_compat.layers.transformation import known_seed, make_transformer
from caffe_compat.proto import caffe_pb2

logger = logging.getLogger("caffe_compat")


@register("Data")
class DataLayer(PrefetchingLayer):
    """Records in reading order, for ever: tops data (B, C, h, w) and, where there is a second one, label (B,).

    Deviations: ``force_encoded_color`` is honoured (BVLC's last version forgot it). ``rand_skip`` has no effect, as
    there.
    """

    tops = (1, 2)

    def open(self) -> None:
        options = self.param.data_param
        self._check_options(options)
        backend = caffe_pb2.DataParameter.DB.Name(options.backend).lower()
        with self.located_errors():
            self._reader = open_database(options.source, backend)
        logger.info("Opened %s %s", backend, options.source)

    def open_source(self) -> BatchLoader:
        options = self.param.data_param
        self.dataset = self._dataset(options)
        first = self.dataset.positions(np.array([self.dataset.start]))[0]
        try:
            datum = parse_datum(self._reader.read(first))
            image = decode_datum(datum, self.dataset.transformer.decode)
        except DataError as exc:
            raise self.located(self.dataset.located(exc, first)) from exc
        self._record_shape = self.dataset.transformer.output_shape(image.shape)
        self._warn_of_raw(datum.encoded)
        workers = 0
        if self._reader.can_be_shared:
            workers = choose_workers(options.batch_size * image.size, datum.encoded, options.prefetch)
        if workers:
            self._reader.close()  # LMDB must not be open where worker processes start from
        logger.info("output data size: %s", ",".join(map(str, self.top_shapes([])[0])))
        return BatchLoader(self.dataset, workers, options.prefetch)

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        batch_size = self.param.data_param.batch_size
        return [(batch_size, *self._record_shape), (batch_size,)][: len(self.param.top)]

    @property
    def source_info(self) -> SourceInfo:
        """What ``data.group.check_databases`` wants to know of this layer's database."""
        options = self.param.data_param
        name = f"{options.source} in the order of {options.index}" if options.index else options.source
        group = read_group(side_file(options.source, options.index))
        return SourceInfo(name, self.dataset.num_records, group, options.shuffle)

    def _dataset(self, options: caffe_pb2.DataParameter) -> BatchDataset:
        index = load_index(options.index, len(self._reader)) if options.index else None
        transformer = self._transformer(options)
        shuffle_seed = known_seed(self.context.seed) if options.shuffle else None
        return BatchDataset(self._reader, index, transformer, options.batch_size, self.start, shuffle_seed)

    def _transformer(self, options: caffe_pb2.DataParameter) -> Transformer:
        transform = caffe_pb2.TransformationParameter()
        transform.CopyFrom(self.param.transform_param)
        transform.force_color |= options.force_encoded_color
        return make_transformer(transform, self.param.name, self.phase, self.context.seed)

    def _check_options(self, options: caffe_pb2.DataParameter) -> None:
        if not options.source:
            raise self.error("expected the database's folder, got nothing", "data_param.source")
        self.check_positive(options, "batch_size", "prefetch")
        self.refuse_moved(options, "scale", "mean_file", "crop_size", "mirror")
        if options.rand_skip:
            logger.warning('layer "%s": data_param.rand_skip has no effect, as in Caffe', self.param.name)

    def _warn_of_raw(self, encoded: bool) -> None:
        transform = self.param.transform_param
        if not encoded and (transform.force_color or transform.force_gray):
            logger.warning('layer "%s": force_color and force_gray only for encoded datum', self.param.name)
