"""ImageData: batches of image files that a list names. Source: src/caffe/layers/image_data_layer.cpp."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from caffe_compat.data.image_batches import ImageListBatches
from caffe_compat.data.image_list import Entry, read_list
from caffe_compat.data.imageset import ImageFormat
from caffe_compat.data.loader import BatchLoader, choose_workers
from caffe_compat.layers.base import register
from caffe_compat.layers.prefetching import PrefetchingLayer
from caffe_compat.layers.shapes import Shape, check_blob_shape
from caffe_compat.layers.transformation import known_seed, layer_seed, make_transformer

logger = logging.getLogger("caffe_compat")


@register("ImageData")
class ImageDataLayer(PrefetchingLayer):
    """Images in the list's order, for ever: tops data (B, C, h, w) and label (B,).

    ``shuffle`` reads in a new random order every time round, the same for all layers of the net that read as many
    records. ``rand_skip`` starts at a random one of the first ``rand_skip`` records, in either phase.
    """

    tops = (2, 2)
    message = "image_data_param"

    def open_source(self) -> BatchLoader:
        options = self.param.image_data_param
        self._check_options()
        logger.info("Opening file %s", options.source)
        entries = read_list(options.source)
        if options.shuffle:
            logger.info("Shuffling data")
        logger.info("A total of %d images.", len(entries))
        self.dataset = self._dataset(entries, self.start + self._skip(len(entries)))
        self._record_shape = self.dataset.record_shape()
        logger.info("output data size: %s", ",".join(map(str, self.top_shapes([])[0])))
        prefetch = self.param.data_param.prefetch  # where Caffe's layers of this kind have it
        workers = choose_workers(options.batch_size * int(np.prod(self._record_shape)), True, prefetch)
        return BatchLoader(self.dataset, workers, prefetch)

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        batch_size = self.param.image_data_param.batch_size
        return [(batch_size, *self._record_shape), (batch_size,)]

    def _dataset(self, entries: list[Entry], start: int) -> ImageListBatches:
        options, context = self.param.image_data_param, self.context
        size = (options.new_height, options.new_width) if options.new_height else None
        return ImageListBatches(
            entries,
            options.source,
            options.root_folder,
            ImageFormat(gray=not options.is_color, size=size),
            make_transformer(self.param.transform_param, self.param.name, self.phase, context.seed),
            options.batch_size,
            start,
            known_seed(context.seed) if options.shuffle else None,
        )

    def _skip(self, num_images: int) -> int:
        rand_skip = self.param.image_data_param.rand_skip
        if not rand_skip:
            return 0
        skip = int(np.random.default_rng(layer_seed(self.context.seed, self.param.name)).integers(rand_skip))
        logger.info("Skipping first %d data points.", skip)
        if skip >= num_images:
            problem = f"Not enough points to skip: {skip} of {num_images}"
            raise self.error(problem, "image_data_param.rand_skip")
        return skip

    def _check_options(self) -> None:
        options, transform = self.param.image_data_param, self.param.transform_param
        if not options.source:
            raise self.error("expected the path of a list of images, got nothing", "image_data_param.source")
        self.check_positive(options, "batch_size")
        self.refuse_moved(options, "scale", "mean_file", "crop_size", "mirror")
        if bool(options.new_height) != bool(options.new_width):
            problem = "Current implementation requires new_height and new_width to be set at the same time."
            raise self.error(problem, f"image_data_param.{'new_width' if options.new_height else 'new_height'}")
        channels = 3 if options.is_color else 1
        resized = (options.batch_size, channels, options.new_height, options.new_width)
        check_blob_shape(self, resized, "image_data_param.new_height")
        if transform.force_color or transform.force_gray:
            logger.warning(
                'layer "%s": force_color and force_gray have no effect here, as in Caffe; is_color has', self.param.name
            )
