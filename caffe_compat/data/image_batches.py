"""Batches of the images of a list file, read and decoded each time."""

from __future__ import annotations

import numpy as np
import torch

from caffe_compat.data.batches import Batch, ImageBatches
from caffe_compat.data.datum import channels_first
from caffe_compat.data.image_list import Entry
from caffe_compat.data.imageset import ImageFormat, read_image
from caffe_compat.data.transformer import Transformer
from caffe_compat.errors import DataError


class ImageListBatches(ImageBatches):
    """See ``Batches``.

    Args:
        entries: the list's lines.
        list_path: the list, for messages.
        root: put before every path as it is, as Caffe does: end a folder with "/".
        form: gray or colour, and the size.
    """

    how_to_resize = "image_data_param's new_height and new_width"

    def __init__(
        self,
        entries: list[Entry],
        list_path: str,
        root: str,
        form: ImageFormat,
        transformer: Transformer,
        batch_size: int,
        start: int = 0,
        shuffle_seed: int | None = None,
    ) -> None:
        super().__init__(len(entries), transformer, batch_size, start, shuffle_seed)
        self.entries, self.list_path, self.root, self.form = entries, list_path, root, form

    def record_shape(self) -> tuple[int, int, int]:
        """The shape (C, h, w) of the first record, transformed. Raises: DataError naming the list's line."""
        position = int(self.places(np.array([self.start]))[0])
        (image,) = self.each(self._image, [position], [position])
        try:
            return self.transformer.output_shape(image.shape)
        except DataError as exc:
            raise self.located(exc, position) from exc

    def __getitem__(self, batch: int) -> Batch:
        """Shapes: data (B, C, h, w), labels (B,), both float32. Raises: DataError naming the list's line."""
        records = self.records(batch)
        positions = self.places(records).tolist()
        images = self.each(self._image, positions, positions)
        data = self.transformed(images, self.transformer.draw(records), positions)
        return data, torch.tensor([self.entries[at].label for at in positions], dtype=torch.float32)

    def located(self, exc: DataError, position: int) -> DataError:
        problem = f"{exc.path or self.root + self.entries[position].path}: {exc.problem}"
        return DataError(problem, path=f"{self.list_path}:{self.entries[position].line}", field=exc.field)

    def _image(self, position: int):  # type: ignore[no-untyped-def]
        return channels_first(read_image(self.root + self.entries[position].path, self.form))
