"""Batches of image windows, sampled, cut out and warped to squares. Source: src/caffe/layers/window_data_layer.cpp."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch

from caffe_compat.data.batches import Batch, Batches, empty
from caffe_compat.data.datum import DECODE_COLOR, channels_first, decode_image
from caffe_compat.data.imageset import file_content
from caffe_compat.data.transformer import random_bits
from caffe_compat.data.window_file import CHANNELS, WindowFile
from caffe_compat.errors import DataError, expected_got


@dataclass(frozen=True)
class Crop:
    """How a window becomes a square.

    Attributes:
        size: the square's side.
        context_pad: the width of the band around the window, in pixels of the square.
        square: take a square around the window instead of warping it.
        mirror: flip at random.
        scale: multiplies each pixel when the mean is subtracted.
        mean: subtracted first, broadcast to (3, size, size); None subtracts nothing.
    """

    size: int
    context_pad: int
    square: bool
    mirror: bool
    scale: float
    mean: np.ndarray | None


class Placement(NamedTuple):
    """What is cut out and where it goes.

    Attributes:
        rows, columns: of the image.
        height, width: what they are warped to.
        top, left: the bands that stay 0 because the image ends there.
    """

    rows: slice
    columns: slice
    height: int
    width: int
    top: int
    left: int


class WindowBatches(Batches):
    """Batch: B - F background windows, then F foreground ones, F = fg_fraction of B rounded down, each at random.

    Args:
        num_foreground: F.
        root: put before every path of the file as it is.
        cache_images: keep the image files in memory.
    Raises: DataError if there are no windows of a kind that is wanted, or an image to be kept cannot be read.
    """

    def __init__(
        self,
        windows: WindowFile,
        root: str,
        crop: Crop,
        batch_size: int,
        num_foreground: int,
        seed: tuple[int, int],
        start: int = 0,
        cache_images: bool = False,
    ) -> None:
        super().__init__(len(windows.background) + len(windows.foreground), batch_size, start)
        self.windows, self.root, self.crop, self.seed = windows, root, crop, seed
        self._num_background = batch_size - num_foreground
        for kind, wanted, found in (
            ("background", self._num_background, windows.background),
            ("foreground", num_foreground, windows.foreground),
        ):
            if wanted and not len(found):
                raise DataError(f"no {kind} windows: {wanted} of {batch_size} in a batch shall be", path=windows.path)
        self._contents = [self._content(number) for number in range(len(windows.images))] if cache_images else None

    def __getitem__(self, batch: int) -> Batch:
        """Shapes: data (B, 3, size, size), labels (B,), both float32. Raises: DataError naming the file's line."""
        data = empty((self.batch_size, CHANNELS, self.crop.size, self.crop.size)).zero_()
        labels = torch.empty(self.batch_size)
        bits = random_bits(self.seed, self.records(batch))
        for item, (out, (pick, flip, *_)) in enumerate(zip(data.numpy(), bits.tolist(), strict=True)):
            kind = self.windows.background if item < self._num_background else self.windows.foreground
            chosen = pick % len(kind)
            labels[item] = int(kind.labels[chosen])
            image = self._image(int(kind.images[chosen]))
            try:
                cut(image, kind.boxes[chosen].tolist(), self.crop, self.crop.mirror and bool(flip & 1), out)
            except DataError as exc:
                raise DataError(exc.problem, path=self.windows.place(int(kind.words[chosen]))) from exc
        return data, labels

    def _image(self, number: int) -> np.ndarray:
        content = self._content(number) if self._contents is None else self._contents[number]
        try:
            return decode_image(content, DECODE_COLOR)
        except DataError as exc:
            raise self._of_image(exc, number) from exc

    def _content(self, number: int) -> bytes:
        try:
            return file_content(self.root + self.windows.images[number].path)
        except DataError as exc:
            raise self._of_image(exc, number) from exc

    def _of_image(self, exc: DataError, number: int) -> DataError:
        image = self.windows.images[number]
        return DataError(f"{self.root}{image.path}: {exc.problem}", path=self.windows.place(image.word))


def cut(image: np.ndarray, box: Sequence[int], crop: Crop, is_mirrored: bool, out: np.ndarray) -> None:
    """Put the window ``box`` of an image, warped, into ``out``; what lies outside the image stays as it is there.

    Shapes: image (H, W, 3) uint8; box x1, y1, x2, y2, the last included; out (3, size, size) float32.
    Raises: DataError if the window has no pixels in the image.
    """
    place = placement(box, image.shape[:2], crop, is_mirrored)
    if min(place.height, place.width) < 1:
        problem = f"the window {_words(box)} has too little of the image of {image.shape[0]} x {image.shape[1]} in it"
        raise DataError(problem)
    pixels = cv2.resize(image[place.rows, place.columns], (place.width, place.height), interpolation=cv2.INTER_LINEAR)
    if is_mirrored:
        pixels = pixels[:, ::-1]
    rows, columns = slice(place.top, place.top + place.height), slice(place.left, place.left + place.width)
    values = channels_first(pixels).astype(np.float32)
    if crop.mean is not None:
        values -= np.broadcast_to(crop.mean, out.shape)[:, rows, columns]
    out[:, rows, columns] = values * np.float32(crop.scale)


def placement(box: Sequence[int], image_size: Sequence[int], crop: Crop, is_mirrored: bool) -> Placement:
    """Where a window is cut out and put, in Caffe's float32 arithmetic.

    With ``context_pad`` the window grows so that the band around it has that width after warping; with ``square`` its
    shorter side grows to the longer. What then lies outside the image is left out, and the rest is warped as the
    whole would have been. Mirroring swaps the bands on the left and right.

    Args:
        box: x1, y1, x2, y2, the last included.
        image_size: height, width.
    Raises: DataError if the window ends outside the image and may not, or has no pixels.
    """
    x1, y1, x2, y2 = box
    if not crop.context_pad and not crop.square:
        if not (0 <= x1 <= x2 < image_size[1] and 0 <= y1 <= y2 < image_size[0]):
            raise _outside(box, image_size)
        return Placement(slice(y1, y2 + 1), slice(x1, x2 + 1), crop.size, crop.size, 0, 0)
    context = np.float32(crop.size) / np.float32(crop.size - 2 * crop.context_pad)
    half_height, half_width = np.float32(y2 - y1 + 1) / 2, np.float32(x2 - x1 + 1) / 2
    centre_y, centre_x = np.float32(y1) + half_height, np.float32(x1) + half_width
    if crop.square:
        half_height = half_width = max(half_height, half_width)
    rows = _axis(centre_y, half_height * context, image_size[0], crop.size)
    columns = _axis(centre_x, half_width * context, image_size[1], crop.size)
    if rows.first > rows.last or columns.first > columns.last:
        raise _outside(box, image_size)
    top, left = rows.before, columns.after if is_mirrored else columns.before
    return Placement(
        slice(rows.first, rows.last + 1),
        slice(columns.first, columns.last + 1),
        min(rows.length, crop.size - top),  # rounding may make it too long
        min(columns.length, crop.size - left),
        top,
        left,
    )


class _Axis(NamedTuple):
    """One axis of a placement: the pixels first to last, what they are warped to, the bands before and after."""

    first: int
    last: int
    length: int
    before: int
    after: int


def _axis(centre: np.float32, half: np.float32, image_length: int, size: int) -> _Axis:
    first, last = _round(centre - half), _round(centre + half)
    scale = np.float32(size) / np.float32(last - first + 1)
    before, after = max(0, -first), max(0, last - image_length + 1)
    first, last = first + before, last - after
    length, band_before, band_after = (_round(np.float32(n) * scale) for n in (last - first + 1, before, after))
    return _Axis(first, last, length, band_before, band_after)


def _round(value: np.float32) -> int:
    """As C rounds: halves away from zero."""
    return int(math.copysign(math.floor(abs(float(value)) + 0.5), value))


def _outside(box: Sequence[int], image_size: Sequence[int]) -> DataError:
    height, width = image_size
    inside = f"x1 <= x2 < {width} and y1 <= y2 < {height}, from 0 on, in an image of {height} x {width}"
    return DataError(f"a window outside its image: {expected_got(inside, _words(box))}")


def _words(box: Sequence[int]) -> str:
    return " ".join(map(str, box))
