"""How well two pictures agree, laid over each other at the best place and scale. Worker processes import this.

Hashes know no shifts and no colours: a crop of a few percent looks to them as a look-alike does. Here the middle of
one picture is looked for in the other.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

_SIDE = 96  # pixels: pictures are compared at this size, whatever their aspect ratio
_MIDDLE = 64  # the part of one picture that is looked for
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
    one, other = (_read(path) for path in pair[:2])
    if one is None or other is None:
        return 0.0
    return aligned_correlation(one[:, ::-1] if pair.mirrored else one, other)


def _read(path: str) -> Pixels | None:
    image = cv2.imread(path, cv2.IMREAD_COLOR)
    return None if image is None else image.astype(np.uint8, copy=False)


def aligned_correlation(one: Pixels, other: Pixels) -> float:
    """The highest normalised correlation, in [-1, 1], of the middle of ``one`` with any place of ``other``.

    Shapes: (H, W, 3), or both (H, W) grey, any two sizes. ``other`` is tried at scales from 0.86 to 1.16.
    A picture of one colour correlates with nothing: 0.
    """
    small = cv2.resize(one, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    edge = (_SIDE - _MIDDLE) // 2
    middle = small[edge : edge + _MIDDLE, edge : edge + _MIDDLE]
    if not np.ptp(middle, axis=(0, 1)).any():
        return 0.0
    best = -1.0
    for scale in _SCALES:
        side = round(_SIDE * scale)
        scaled = cv2.resize(other, (side, side), interpolation=cv2.INTER_AREA)
        best = max(best, float(cv2.matchTemplate(scaled, middle, cv2.TM_CCOEFF_NORMED).max()))
    return min(best, 1.0)
