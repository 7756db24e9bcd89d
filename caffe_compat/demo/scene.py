"""The camera and the light: framing, shadows, folds, and what a cheap photograph does to a picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from caffe_compat.demo.canvas import NEUTRAL, Canvas
from caffe_compat.demo.colours import colour, contrast
from caffe_compat.demo.figure import FLAT

Rng = np.random.Generator


def camera(outlines: Sequence[np.ndarray], shown: str, size: int, rng: Rng) -> np.ndarray:
    """The map (2, 3) from garment coordinates to pixels that fits the garment into the picture, roughly."""
    points = np.concatenate(outlines)
    low, high = points.min(0), points.max(0)
    middle = 0.5 * (low + high)
    angle = rng.normal(0, 0.22 if shown == FLAT else 0.05)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn = turn @ np.array([[rng.uniform(0.93, 1.07), rng.normal(0, 0.03)], [0.0, 1.0]])
    extent = np.abs(turn) @ (high - low)
    unit = size * rng.uniform(0.78, 1.06) / float(extent.max())
    where = size * (0.5 + rng.normal(0, 0.03, 2)) - unit * turn @ middle
    return np.concatenate([unit * turn, where[:, None]], axis=1)


def coverage(canvas: Canvas, outlines: Sequence[np.ndarray]) -> np.ndarray:
    """uint8 (size, size), 255 where any of the polygons lies."""
    whole = np.zeros(canvas.image.shape[:2], np.uint8)
    found = canvas.mask(outlines)
    if found is not None:
        whole[found[1], found[2]] = found[0]
    return whole


def cast_shadow(canvas: Canvas, covered: np.ndarray, strength: float, rng: Rng) -> None:
    """Darken the background beside what the garment covers (see ``coverage``)."""
    size = canvas.image.shape[0]
    reach = int(size * rng.uniform(0.03, 0.08)) | 1
    shift = np.array([[1, 0, rng.uniform(-0.02, 0.05) * size], [0, 1, rng.uniform(0.01, 0.05) * size]])
    moved = cv2.blur(cv2.warpAffine(covered, shift, (size, size)), (reach, reach))
    canvas.modulate(cv2.convertScaleAbs(moved, alpha=-strength * NEUTRAL / 255, beta=NEUTRAL))


def crease(canvas: Canvas, covered: np.ndarray, strength: float, rng: Rng) -> None:
    """Folds: soft light and dark strokes over the garment, and light that falls unevenly."""
    size = canvas.image.shape[0]
    half = size // 2
    field = cv2.resize(rng.normal(NEUTRAL, 9, (4, 4)).astype(np.uint8), (half, half), interpolation=cv2.INTER_CUBIC)
    width = max(1, half // 32)
    for _ in range(int(4 + 6 * strength)):
        start = canvas.pixels(np.array([rng.uniform((-0.5, -0.6), (0.5, 0.7))]))[0] / 2
        step = rng.normal(0, 0.35 * half / 2, 2) * (0.6, 1.0)
        bend = start + 0.5 * step + rng.normal(0, 0.04 * half, 2)
        stroke = np.rint(np.stack([start, bend, start + step])).astype(np.int32)
        dark, light = int(rng.integers(40, 90)), int(rng.integers(165, 205))
        cv2.polylines(field, [stroke], False, dark, width, cv2.LINE_AA)
        cv2.polylines(field, [stroke + width], False, light, width, cv2.LINE_AA)
    soft = cv2.resize(cv2.blur(field, (half // 16 | 1, half // 16 | 1)), (size, size))
    gain = cv2.convertScaleAbs(soft, alpha=strength, beta=NEUTRAL * (1 - strength))
    canvas.modulate(np.where(covered > 127, gain, np.uint8(NEUTRAL)))


def stick_on(image: np.ndarray, rng: Rng) -> None:
    """A shop's badge or watermark in a corner."""
    size = image.shape[0]
    tone = colour(rng, "red", "bright", "black", "white")
    x, y = (int(size * rng.choice((rng.uniform(0.06, 0.16), rng.uniform(0.84, 0.94)))) for _ in range(2))
    radius = int(size * rng.uniform(0.06, 0.1))
    if rng.random() < 0.5:
        cv2.circle(image, (x, y), radius, tone, -1, cv2.LINE_AA)
    else:
        cv2.rectangle(image, (x - 2 * radius, y - radius // 2), (x + 2 * radius, y + radius // 2), tone, -1)
    ink = contrast(rng, tone)
    for row in (-1, 1):
        left = (x - int(0.6 * radius), y + row * radius // 4)
        cv2.line(image, left, (x + int(0.6 * radius), left[1]), ink, max(1, size // 64))


def photograph(image: np.ndarray, size: int, blurriness: float, rng: Rng) -> np.ndarray:
    """Expose, blur, shrink to (size, size, 3) and add sensor noise; ``blurriness`` is in final pixels."""
    scale = image.shape[0] / size
    blur = rng.uniform(0.0, 0.35) + blurriness
    image = cv2.GaussianBlur(image, (0, 0), blur * scale) if blur * scale > 0.3 else image
    small = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)
    small *= _lamp(size, rng)
    small = (small - 128) * rng.uniform(0.8, 1.12) + 128 + rng.normal(0, 8)
    small *= (1 + rng.normal(0, 0.035, 3)).astype(np.float32)
    small += rng.standard_normal(small.shape, np.float32) * np.float32(rng.uniform(1, 6))
    return np.clip(small, 0, 255).astype(np.uint8)


def _lamp(size: int, rng: Rng) -> np.ndarray:
    across, down = rng.normal(0, 0.12, 2)
    line = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    light = 1 + np.float32(across) * line[None, :] + np.float32(down) * line[:, None]
    return light[:, :, None]
