"""Anti-aliased painting in garment coordinates on an 8-bit BGR picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from caffe_compat.demo.style import Colour

NEUTRAL = 128  # the gain that changes nothing
_SHIFT = 4  # bits of OpenCV's fixed-point coordinates
_MARGIN = 3  # pixels around a part, so that its edges can be looked at

# Given a part's coordinates (u across, v along, both (h, w) float32): its colour without light, (h, w, 3) or (3,),
# and its light, (h, w) or a number, 1 being even light.
Paint = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray | float]]


@dataclass(frozen=True)
class Frame:
    """A part's own coordinates in the garment's: ``origin``, and the direction ``along`` (unit) in which v grows."""

    origin: tuple[float, float] = (0.0, 0.0)
    along: tuple[float, float] = (0.0, 1.0)


class Canvas:
    """A picture and the map from garment coordinates to its pixels.

    Attributes:
        image: uint8 (height, width, 3), BGR, painted in place.
        matrix: float64 (2, 3), garment coordinates to pixels. unit: pixels in one garment unit.
    """

    def __init__(self, image: np.ndarray, matrix: np.ndarray) -> None:
        self.image = image
        self.matrix = matrix
        self.unit = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
        self._inverse = cv2.invertAffineTransform(matrix)

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Garment points (n, 2) as pixel positions (n, 2)."""
        return points @ self.matrix[:, :2].T + self.matrix[:, 2]

    def coordinates(self, frame: Frame, rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray]:
        """A part's coordinates (u, v), float32 (h, w) each, at the pixels of a window."""
        x, y = np.float32(frame.along[0]), np.float32(frame.along[1])
        turn = np.array([[y, -x], [x, y]]) @ self._inverse[:, :2]
        start = np.array([[y, -x], [x, y]]) @ (self._inverse[:, 2] - frame.origin)
        across = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :]
        down = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]
        u = np.float32(turn[0, 0]) * across + (np.float32(turn[0, 1]) * down + np.float32(start[0]))
        v = np.float32(turn[1, 0]) * across + (np.float32(turn[1, 1]) * down + np.float32(start[1]))
        return u, v

    def mask(self, outlines: Sequence[np.ndarray]) -> tuple[np.ndarray, slice, slice] | None:
        """Coverage of polygons (garment points): uint8 window, its rows and columns; None when off the picture."""
        corners = [self.pixels(outline) for outline in outlines]
        every = np.concatenate(corners)
        height, width = self.image.shape[:2]
        left, top = np.maximum(np.floor(every.min(0)).astype(int) - _MARGIN, 0)
        right, bottom = np.minimum(np.ceil(every.max(0)).astype(int) + _MARGIN + 1, (width, height))
        if right <= left or bottom <= top:
            return None
        window = np.zeros((bottom - top, right - left), np.uint8)
        for points in corners:
            cv2.fillPoly(window, [_fixed(points - (left, top))], 255, cv2.LINE_AA, _SHIFT)
        return window, slice(top, bottom), slice(left, right)

    def fill(self, outline: np.ndarray, colour: Colour) -> None:
        """Fill a polygon with one even colour."""
        cv2.fillPoly(self.image, [_fixed(self.pixels(outline))], colour, cv2.LINE_AA, _SHIFT)

    def paint(
        self, outline: np.ndarray, paint: Paint, frame: Frame, opacity: float = 1.0, roundness: float = 0.5
    ) -> None:
        """Paint a polygon with a fabric and shade it as a body lit from the upper left.

        Args: roundness: 0 flat; 1 edges turn away strongly.
        """
        covered = self.mask([outline])
        if covered is None:
            return
        window, rows, columns = covered
        colour, light = paint(*self.coordinates(frame, rows, columns))
        light = light * self._body_light(window, roundness)
        part = self.image[rows, columns]
        lit = np.clip(colour * light[:, :, None], 0, 255)
        weight = window[:, :, None] * np.float32(opacity / 255)
        part[...] = (part + (lit - part) * weight).astype(np.uint8)

    def _body_light(self, window: np.ndarray, roundness: float) -> np.ndarray:
        reach = max(3, int(self.unit * 0.16) | 1)
        soft = cv2.blur(window, (reach, reach), borderType=cv2.BORDER_CONSTANT).astype(np.float32) / 255
        light = 1 - roundness * 0.55 * (1 - soft)
        step = max(1, reach // 3)
        if window.shape[1] > 2 * step and window.shape[0] > 2 * step:
            light[:, step:-step] += roundness * 0.28 * (soft[:, 2 * step :] - soft[:, : -2 * step])
            light[step:-step] += roundness * 0.16 * (soft[2 * step :] - soft[: -2 * step])
        return light

    def thickness(self, width: float) -> int:
        """A line width in garment units as whole pixels, at least 1."""
        return max(1, round(width * self.unit))

    def line(self, points: np.ndarray, colour: Colour, width: float, closed: bool = False) -> None:
        """Draw a line through garment points."""
        cv2.polylines(
            self.image, [_fixed(self.pixels(points))], closed, colour, self.thickness(width), cv2.LINE_AA, _SHIFT
        )

    def lines(self, strokes: Sequence[np.ndarray], colour: Colour, width: float) -> None:
        """Draw several lines of one look."""
        fixed = [_fixed(self.pixels(stroke)) for stroke in strokes]
        cv2.polylines(self.image, fixed, False, colour, self.thickness(width), cv2.LINE_AA, _SHIFT)

    def dot(self, centre: tuple[float, float], radius: float, colour: Colour) -> None:
        """Fill a circle."""
        x, y = (self.pixels(np.array([centre]))[0] * (1 << _SHIFT)).astype(int)
        size = max(int(radius * self.unit * (1 << _SHIFT)), 8)
        cv2.circle(self.image, (int(x), int(y)), size, colour, -1, cv2.LINE_AA, _SHIFT)

    def modulate(self, gain: np.ndarray) -> None:
        """Lighten and darken: multiply by gain / ``NEUTRAL``, uint8 (H, W)."""
        cv2.multiply(self.image, cv2.merge([gain, gain, gain]), self.image, 1 / NEUTRAL)


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.rint(points * (1 << _SHIFT)).astype(np.int32)
