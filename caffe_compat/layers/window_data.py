"""WindowData: windows of images, warped, for training detectors. Source: src/caffe/layers/window_data_layer.cpp."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

import numpy as np

from caffe_compat.data.loader import BatchLoader, choose_workers
from caffe_compat.data.window_batches import Crop, WindowBatches
from caffe_compat.data.window_file import CHANNELS, WindowFile, read_window_file
from caffe_compat.errors import DataError, expected_got
from caffe_compat.glog import number
from caffe_compat.layers.base import register
from caffe_compat.layers.prefetching import PrefetchingLayer
from caffe_compat.layers.shapes import Shape, check_blob_shape
from caffe_compat.layers.transformation import layer_seed, read_mean
from caffe_compat.proto import caffe_pb2

logger = logging.getLogger("caffe_compat")

_IMAGES_PER_LINE = 100


@register("WindowData")
class WindowDataLayer(PrefetchingLayer):
    """Background windows, then foreground ones, at random: tops data (B, 3, size, size) and label (B,), 0: background.

    Foreground: overlap >= fg_threshold; background: the others with overlap < bg_threshold. Cropping, mirroring and
    the mean are transform_param's, the scale is window_data_param's, as in Caffe. Mirroring is random in both phases.
    """

    tops = (2, 2)
    message = "window_data_param"

    def open_source(self) -> BatchLoader:
        options = self.param.window_data_param
        self._check_options(options)
        _log_options(options)
        windows = read_window_file(options.source, options.fg_threshold, options.bg_threshold)
        _log_windows(windows, options)
        logger.info("output data size: %s", ",".join(map(str, self.top_shapes([])[0])))
        size = self.param.transform_param.crop_size
        self.dataset = WindowBatches(
            windows,
            options.root_folder,
            self._crop(options),
            options.batch_size,
            int(np.float32(options.batch_size) * np.float32(options.fg_fraction)),
            layer_seed(self.context.seed, self.param.name),
            self.start,
            options.cache_images,
        )
        prefetch = self.param.data_param.prefetch  # where Caffe's layers of this kind have it
        return BatchLoader(
            self.dataset, choose_workers(options.batch_size * CHANNELS * size**2, True, prefetch), prefetch
        )

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        batch_size, size = self.param.window_data_param.batch_size, self.param.transform_param.crop_size
        return [(batch_size, CHANNELS, size, size), (batch_size,)]

    def _crop(self, options: caffe_pb2.WindowDataParameter) -> Crop:
        transform = self.param.transform_param
        return Crop(
            transform.crop_size,
            options.context_pad,
            options.crop_mode == "square",
            transform.mirror,
            options.scale,
            self._mean(transform),
        )

    def _mean(self, transform: caffe_pb2.TransformationParameter) -> np.ndarray | None:
        """What is subtracted: (3, size, size) from the middle of the mean file, or (3, 1, 1), or nothing."""
        values = np.array(transform.mean_value, np.float32)
        if transform.HasField("mean_file"):
            if values.size:
                raise self.error("cannot be given together with mean_value", "transform_param.mean_file")
            return _middle(read_mean(transform.mean_file), transform)
        if values.size not in (0, 1, CHANNELS):
            wanted = f"1 or as many as channels ({CHANNELS})"
            raise self.error(expected_got(wanted, values.size), "transform_param.mean_value")
        return values[:, None, None] if values.size else None

    def _check_options(self, options: caffe_pb2.WindowDataParameter) -> None:
        transform = self.param.transform_param
        if not options.source:
            raise self.error("expected the path of a window file, got nothing", "window_data_param.source")
        self.check_positive(options, "batch_size")
        self.refuse_moved(options, "mean_file", "crop_size", "mirror")
        if transform.crop_size < 1:
            raise self.error(expected_got("> 0", transform.crop_size), "transform_param.crop_size")
        check_blob_shape(self, self.top_shapes([])[0], "transform_param.crop_size")
        if options.crop_mode not in ("warp", "square"):
            raise self.error(
                expected_got('"warp" or "square"', f'"{options.crop_mode}"'), "window_data_param.crop_mode"
            )
        if 2 * options.context_pad >= transform.crop_size:
            wanted = f"less than half of crop_size ({transform.crop_size})"
            raise self.error(expected_got(wanted, options.context_pad), "window_data_param.context_pad")
        if not 0 <= options.fg_fraction <= 1:
            raise self.error(expected_got("in [0, 1]", f"{options.fg_fraction:g}"), "window_data_param.fg_fraction")
        if transform.HasField("scale"):
            logger.warning(
                'layer "%s": transform_param.scale has no effect, as in Caffe; window_data_param.scale has',
                self.param.name,
            )
        if transform.force_color or transform.force_gray:
            logger.warning('layer "%s": force_color and force_gray have no effect, as in Caffe', self.param.name)


def _middle(mean: np.ndarray, transform: caffe_pb2.TransformationParameter) -> np.ndarray:
    """The part of the mean image that a crop sees. Caffe starts as far down as it starts to the right."""
    image: np.ndarray = mean.reshape(mean.shape[-3:]).astype(np.float32)
    size = transform.crop_size
    channels, height, width = image.shape
    first = (width - size) // 2
    if channels != CHANNELS or first < 0 or first + size > height:
        wanted = f"a mean image of {CHANNELS} channels that holds {size} x {size} pixels in its middle"
        problem = expected_got(wanted, f"{channels} x {height} x {width}")
        raise DataError(problem, path=transform.mean_file, field="transform_param.mean_file")
    return image[:, first : first + size, first : first + size]


def _log_options(options: caffe_pb2.WindowDataParameter) -> None:
    logger.info(
        "Window data layer:\n  foreground (object) overlap threshold: %s\n"
        "  background (non-object) overlap threshold: %s\n  foreground sampling fraction: %s\n"
        "  cache_images: %d\n  root_folder: %s",
        number(options.fg_threshold),
        number(options.bg_threshold),
        number(options.fg_fraction),
        options.cache_images,
        options.root_folder,
    )


def _log_windows(windows: WindowFile, options: caffe_pb2.WindowDataParameter) -> None:
    for index, image in enumerate(windows.images[::_IMAGES_PER_LINE]):
        sizes = " ".join(map(str, image.size))
        path, at = options.root_folder + image.path, index * _IMAGES_PER_LINE
        logger.info("num: %d %s %s windows to process: %d", at, path, sizes, image.num_windows)
    logger.info("Number of images: %d", len(windows.images))
    samples = Counter({0: len(windows.background)}) + Counter(windows.foreground.labels.tolist())
    for label in sorted({0, *samples}):
        logger.info("class %d has %d samples", label, samples[label])
    logger.info("Amount of context padding: %d", options.context_pad)
    logger.info("Crop mode: %s", options.crop_mode)
