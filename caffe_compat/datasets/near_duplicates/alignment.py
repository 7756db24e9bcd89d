"""How well two pictures agree, laid over each other at the best place and scale. Worker processes import this.

Hashes know no shifts and no colours: a crop of a few percent looks to them as a look-alike does. Here the middle of
one picture is looked for in the other. Hashes of pictures of one colour are all alike: their colours are compared.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from caffe_compat.data.imageset import read_image
from caffe_compat.errors import DataError

_SIDE = 96  # pixels: pictures are compared at this size, whatever their aspect ratio
_MIDDLE = 64  # the part of one picture that is looked for
_FLAT = 1.0  # grey levels of standard deviation: what JPEG leaves of one colour
_SAME_COLOUR = 8.0  # grey levels: more than saving anew changes
# Of the other picture, by crops and borders of up to 14%; finer steps where the small ones are.
_SCALES = (0.86, 0.88, 0.9, 0.92, *(0.94 + 0.01 * step for step in range(13)), 1.08, 1.1, 1.12, 1.14, 1.16)

Pixels = npt.NDArray[np.uint8]


class Pair(NamedTuple):
    """Two image files; ``mirrored``: whether one is to be compared with the other's mirror image."""

    one: str
    other: str
    mirrored: bool


def correlate_files(pair: Pair) -> float:
    """:func:`aligned_correlation` of two files; 0 where one cannot be read."""
    try:
        one, other = (read_image(path) for path in pair[:2])
    except DataError:
        return 0.0
    return aligned_correlation(one[:, ::-1] if pair.mirrored else one, other)


def aligned_correlation(one: Pixels, other: Pixels) -> float:
    """The highest normalised correlation, in [-1, 1], of the middle of ``one`` with any place of ``other``.

    Shapes: (H, W, 3), or both (H, W) grey, any two sizes. ``other`` is tried at scales from 0.86 to 1.16.
    Where the middle is of one colour, all of ``one`` is looked for. Two pictures of one colour each: 1 if it is the
    same, else 0; such a picture and any other: 0.
    """
    small, other_small = (_resized(image, _SIDE) for image in (one, other))
    if _is_flat(small) or _is_flat(other_small):
        difference = np.abs(small.mean(axis=(0, 1)) - other_small.mean(axis=(0, 1))).max()
        return float(_is_flat(small) and _is_flat(other_small) and difference <= _SAME_COLOUR)
    edge = (_SIDE - _MIDDLE) // 2
    middle = small[edge : edge + _MIDDLE, edge : edge + _MIDDLE]
    wanted = small if _is_flat(middle) else middle
    best = -1.0
    for side in (round(_SIDE * scale) for scale in _SCALES):
        if side >= len(wanted):
            scaled = _resized(other, side)
            best = max(best, float(cv2.matchTemplate(scaled, wanted, cv2.TM_CCOEFF_NORMED).max()))
    return min(best, 1.0)


def _resized(image: Pixels, side: int) -> Pixels:
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _is_flat(image: Pixels) -> bool:
    return bool(image.std(axis=(0, 1)).max() < _FLAT)
