"""HDF5Data and HDF5Output: datasets of HDF5 files as blobs, and blobs as datasets.

Source: src/caffe/layers/hdf5_data_layer.cpp, hdf5_output_layer.cpp.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from torch import Tensor

from caffe_compat.data.hdf5 import Hdf5Batches, add_datasets, create, inspect, read_file_list
from caffe_compat.data.loader import BatchLoader
from caffe_compat.errors import DataError, expected_got
from caffe_compat.glog import shape_text
from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.prefetching import PrefetchingLayer
from caffe_compat.layers.shapes import Shape
from caffe_compat.layers.transformation import known_seed

logger = logging.getLogger("caffe_compat")

_MOST_AXES = 4  # of Caffe's legacy shape


@register("HDF5Data")
class HDF5Data(PrefetchingLayer):
    """The datasets that the tops are named after, (B, row shape), from the files of a list, one after the other.

    ``shuffle``: files and the rows of each come in a new random order every time round.
    """

    tops = (1, None)
    message = "hdf5_data_param"

    def open_source(self) -> BatchLoader:
        options, names = self.param.hdf5_data_param, list(self.param.top)
        if self.param.HasField("transform_param"):
            raise self.error(f"{self.param.type} does not transform data.", "transform_param")
        if not options.source:
            raise self.error("expected the path of a list of HDF5 files, got nothing", "hdf5_data_param.source")
        self.check_positive(options, "batch_size")
        logger.info("Loading list of HDF5 filenames from: %s", options.source)
        listed = read_file_list(options.source)
        logger.info("Number of HDF5 files: %d", len(listed))
        files = [inspect(path, place, names) for path, place in listed]
        seed = known_seed(self.context.seed) if options.shuffle else None
        self.dataset = Hdf5Batches(files, names, options.batch_size, self.start, seed)
        return BatchLoader(self.dataset)

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        return [(self.param.hdf5_data_param.batch_size, *shape) for shape in self.dataset.row_shapes]


@register("HDF5Output")
class HDF5Output(Layer):
    """Writes its bottoms to the datasets "data" and "label" of a new file, each with four axes. No gradient.

    As in Caffe the file is made when the net is, and takes one batch: the second forward is an error.
    """

    bottoms = (2, 2)
    tops = (0, 0)
    _like: Tensor

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        self.register_buffer("_like", torch.empty(0), persistent=False)
        self._path = self.param.hdf5_output_param.file_name
        if not self._path:
            raise self.error("expected the path of a file to write, got nothing", "hdf5_output_param.file_name")
        if self.context.share.solver_count > 1:
            problem = "several solvers would write one file; leave the layer out of the train net"
            raise self.error(problem, "hdf5_output_param.file_name")
        for index, shape in enumerate(bottom_shapes):
            if len(shape) > _MOST_AXES:
                raise self.error(expected_got(f"at most {_MOST_AXES} axes", shape_text(shape)), f"bottom[{index}]")
        data, label = bottom_shapes
        if data[:1] != label[:1]:
            problem = "data blob and label blob must have the same batch size"
            raise self.error(f"{problem}: {shape_text(data)} and {shape_text(label)}", "bottom")
        try:
            create(self._path)
        except OSError as exc:
            problem = f'Failed to open HDF5 file "{self._path}": {exc}'
            raise self.error(problem, "hdf5_output_param.file_name") from exc

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        return []

    @torch.no_grad()
    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        logger.info("Saving HDF5 file %s", self._path)
        arrays = [self._four_axes(bottom).cpu().numpy() for bottom in bottoms]
        try:
            add_datasets(self._path, dict(zip(("data", "label"), arrays, strict=True)))
        except DataError as exc:
            raise DataError(
                f"{exc.path}: {exc.problem}; the layer writes one batch, as in Caffe",
                path=self.context.path,
                layer=self.param.name,
                layer_type=self.param.type,
                field="hdf5_output_param.file_name",
            ) from exc
        logger.info("Successfully saved %d rows", len(arrays[0]))
        return ()

    def _four_axes(self, bottom: Tensor) -> Tensor:
        return bottom.to(self._like).reshape(*bottom.shape, *(1,) * (_MOST_AXES - bottom.dim()))
