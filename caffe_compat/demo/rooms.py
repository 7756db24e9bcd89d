"""Backgrounds: studios, walls, floors, rooms full of things."""

from __future__ import annotations

import cv2
import numpy as np

from caffe_compat.demo.colours import blend, colour
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
    seams = np.flatnonzero(np.diff(shades))
    grain[seams] = 0.6 * grain[seams]
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
