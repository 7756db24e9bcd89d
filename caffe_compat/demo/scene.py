"""Rooms and light: backgrounds, shadows, folds, the camera, and what a cheap photograph does to a picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from caffe_compat.demo.canvas import Canvas
from caffe_compat.demo.colours import blend, colour, contrast
from caffe_compat.demo.figure import FLAT, WORN
from caffe_compat.demo.style import Colour

Rng = np.random.Generator


def background(shown: str, size: int, clutter: float, rng: Rng) -> np.ndarray:
    """A place: uint8 (size, size, 3). ``clutter`` in [0, 1] is the chance of a busy one."""
    if rng.random() < clutter:
        image = _room_with_things(size, rng)
    elif shown == FLAT:
        image = _FLOORS[int(rng.integers(len(_FLOORS)))](size, rng)
    else:
        image = _WALLS[int(rng.integers(len(_WALLS)))](size, rng)
    if shown == WORN and rng.random() < 0.4:
        image = cv2.blur(image, (size // 10 | 1, size // 10 | 1))
    return image


def _gradient(size: int, top: Colour, bottom: Colour) -> np.ndarray:
    ramp = np.linspace(0, 1, size, dtype=np.float32)[:, None, None]
    column = np.array(top, np.float32) * (1 - ramp) + np.array(bottom, np.float32) * ramp
    return np.repeat(column.astype(np.uint8), size, axis=1)


def _studio(size: int, rng: Rng) -> np.ndarray:
    base = colour(rng, "white", "white", "wall", "grey")
    return _gradient(size, blend(base, (255, 255, 255), 0.4), blend(base, (0, 0, 0), rng.uniform(0.05, 0.3)))


def _wall(size: int, rng: Rng) -> np.ndarray:
    base = colour(rng, "wall")
    image = _gradient(size, base, blend(base, (0, 0, 0), 0.12))
    floor = int(size * rng.uniform(0.75, 1.1))
    image[floor:] = np.array(colour(rng, "wood", "grey"), np.uint8)
    image[max(floor - size // 40, 0) : floor] = np.array(blend(base, (255, 255, 255), 0.6), np.uint8)
    return image


def _bricks(size: int, rng: Rng) -> np.ndarray:
    base = colour(rng, "earth", "wall", "white")
    image = np.full((size, size, 3), base, np.float32).astype(np.uint8)
    mortar = blend(base, (210, 210, 210), 0.5)
    high = size // 14
    for row, y in enumerate(range(0, size, high)):
        cv2.line(image, (0, y), (size, y), mortar, max(1, size // 128))
        for x in range((row % 2) * high, size, 2 * high):
            cv2.line(image, (x, y), (x, y + high), mortar, max(1, size // 128))
    return image


def _wallpaper(size: int, rng: Rng) -> np.ndarray:
    base = colour(rng, "wall")
    image = np.full((size, size, 3), base, np.float32).astype(np.uint8)
    other = blend(base, colour(rng, "muted"), 0.25)
    pitch = int(size * rng.uniform(0.06, 0.14))
    for x in range(0, size, 2 * pitch):
        image[:, x : x + pitch] = np.array(other, np.uint8)
    return image


def _planks(size: int, rng: Rng) -> np.ndarray:
    base = colour(rng, "wood", "wood", "grey")
    rows = int(rng.integers(4, 9))
    shades = np.repeat(rng.uniform(0.82, 1.1, rows), -(-size // rows))[:size]
    grain = cv2.resize(rng.normal(1, 0.06, (size // 2, 6)).astype(np.float32), (size, size))
    grain[np.flatnonzero(np.diff(shades))] *= 0.6
    image = np.array(base, np.float32) * (grain * shades[:, None].astype(np.float32))[:, :, None]
    image = np.clip(image, 0, 255).astype(np.uint8)
    return image if rng.random() < 0.5 else np.ascontiguousarray(image.transpose(1, 0, 2))


def _sheet(size: int, rng: Rng) -> np.ndarray:
    base = np.array(colour(rng, "white", "wall", "pastel", "muted"), np.float32)
    waves = cv2.resize(rng.normal(1, 0.07, (7, 7)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    return np.clip(base * waves[:, :, None], 0, 255).astype(np.uint8)


def _tiles(size: int, rng: Rng) -> np.ndarray:
    base = colour(rng, "wall", "grey", "white")
    image = np.full((size, size, 3), base, np.float32).astype(np.uint8)
    pitch = int(size * rng.uniform(0.2, 0.34))
    for at in range(int(rng.integers(pitch)), size, pitch):
        for ends in (((at, 0), (at, size)), ((0, at), (size, at))):
            cv2.line(image, *ends, blend(base, (60, 60, 60), 0.3), max(1, size // 90))
    return image


def _room_with_things(size: int, rng: Rng) -> np.ndarray:
    image = _wall(size, rng)
    for _ in range(int(rng.integers(4, 10))):
        x, y = rng.integers(-size // 8, size, 2)
        wide, high = rng.integers(size // 12, size // 3, 2)
        tone = colour(rng, "muted", "bright", "wood", "grey", "dark", "white")
        if rng.random() < 0.3:
            cv2.circle(image, (int(x), int(y)), int(wide) // 2, tone, -1, cv2.LINE_AA)
        else:
            cv2.rectangle(image, (int(x), int(y)), (int(x + wide), int(y + high)), tone, -1)
            cv2.line(image, (int(x), int(y + high)), (int(x + wide), int(y + high)), blend(tone, (0, 0, 0), 0.5), 2)
    soft = int(size * rng.uniform(0.01, 0.05)) | 1
    return cv2.blur(image, (soft, soft))


_WALLS = (_studio, _studio, _studio, _wall, _wall, _bricks, _wallpaper)
_FLOORS = (_planks, _planks, _sheet, _sheet, _tiles, _studio)


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


def cast_shadow(canvas: Canvas, outlines: Sequence[np.ndarray], strength: float, rng: Rng) -> None:
    """Darken the background beside the garment."""
    size = canvas.image.shape[0]
    shadow = coverage(canvas, outlines)
    reach = int(size * rng.uniform(0.03, 0.08)) | 1
    shift = np.array([[1, 0, rng.uniform(-0.02, 0.05) * size], [0, 1, rng.uniform(0.01, 0.05) * size]])
    moved = cv2.blur(cv2.warpAffine(shadow, shift, (size, size)), (reach, reach))
    canvas.modulate(np.float32(-strength), moved)


def coverage(canvas: Canvas, outlines: Sequence[np.ndarray]) -> np.ndarray:
    """uint8 (size, size), 255 where any of the polygons lies."""
    whole = np.zeros(canvas.image.shape[:2], np.uint8)
    found = canvas.mask(outlines)
    if found is not None:
        whole[found[1], found[2]] = found[0]
    return whole


def crease(canvas: Canvas, outlines: Sequence[np.ndarray], strength: float, rng: Rng) -> None:
    """Folds: soft light and dark strokes over the garment, and light that falls unevenly."""
    size = canvas.image.shape[0]
    half = size // 2
    field = cv2.resize(rng.normal(128, 9, (4, 4)), (half, half), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    for _ in range(int(4 + 6 * strength)):
        start = canvas.pixels(np.array([rng.uniform((-0.5, -0.6), (0.5, 0.7))]))[0] / 2
        step = rng.normal(0, 0.35 * half / 2, 2) * (0.6, 1.0)
        bend = start + 0.5 * step + rng.normal(0, 0.04 * half, 2)
        stroke = np.rint(np.stack([start, bend, start + step])).astype(np.int32)
        cv2.polylines(field, [stroke], False, int(rng.integers(40, 90)), max(1, half // 32), cv2.LINE_AA)
        cv2.polylines(field, [stroke + max(1, half // 32)], False, int(rng.integers(165, 205)), max(1, half // 40), cv2.LINE_AA)
    soft = cv2.resize(cv2.blur(field, (half // 16 | 1, half // 16 | 1)), (size, size)).astype(np.float32)
    canvas.modulate((soft - 128) * np.float32(0.008 * strength), coverage(canvas, outlines))


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
