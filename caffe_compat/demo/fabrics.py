"""Cloth: its light and dark (knit, ribs, quilting, gloss) and its colours (stripes, checks, flowers) at coordinates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from caffe_compat.demo.canvas import Paint
from caffe_compat.demo.style import Style


@dataclass(frozen=True)
class Cloth:
    """One garment's cloth. ``bumps`` is (12, 12) standard normal noise: creases, gloss, flowers."""

    style: Style
    bumps: np.ndarray

    def paint(self, in_second: bool = False, ribbed: bool = False, darker: float = 1.0) -> Paint:
        """The cloth as a paint.

        Args: in_second: plain, in the contrasting colour. ribbed: as cuffs are. darker: a factor on the light.
        """

        def at(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray | float]:
            colour = np.array(self.style.second, np.float32) if in_second else self.colour(u, v)
            light = 1 - 0.22 * (np.sin(u * 85) > 0.2) if ribbed else self.light(u, v)
            return colour, light * np.float32(darker)

        return at

    def colour(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """(h, w, 3) or (3,) float32."""
        style = self.style
        base = np.array(style.colour, np.float32)
        if style.pattern == "plain":
            return base
        weights = PATTERNS[style.pattern](u / style.pattern_scale, v / style.pattern_scale, self.bumps)
        colour = base + (np.array(style.second, np.float32) - base) * weights[0][:, :, None]
        if len(weights) > 1:
            colour += (np.array(style.third, np.float32) - colour) * weights[1][:, :, None]
        return colour

    def light(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """(h, w) float32, about 1."""
        style = self.style
        light = np.ones_like(u)
        if style.rib:
            light -= style.rib * (0.5 + 0.5 * np.sin(u * 52))
        if style.knit:
            light += style.knit * np.sin(v * 75 + 2.2 * np.abs(np.sin(u * 33))) * (0.4 + np.abs(np.sin(u * 33)))
        if style.cable:
            light += style.cable * _cables(u, v)
        if style.quilt:
            light *= _puffs(v / style.quilt) * (0.94 + 0.06 * np.sin(u * 19 + self.bumps[0, 0] * 3))
        if style.gloss:
            light += style.gloss * self._gleam(u, v)
        if style.grain:
            light += style.grain * np.sin(u * 171 + v * 140) * np.sin(u * 97 - v * 113)
        if style.pleats:
            light -= style.pleats * np.clip(np.sin(u * 30 * (1 - 0.25 * v)), -0.6, 1) * np.clip(v * 3, 0, 1)
        return light

    def _gleam(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        noise = cv2.resize(self.bumps.astype(np.float32), u.shape[::-1], interpolation=cv2.INTER_CUBIC)
        return np.clip(noise - 0.2, -0.6, 1.6)


def _cables(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    across = u / 0.3 - np.floor(u / 0.3) - 0.5
    twist = 0.2 * np.sin(v * 21)
    strands = np.exp(-(((across - twist) / 0.13) ** 2)) + np.exp(-(((across + twist) / 0.13) ** 2))
    return strands - 0.5 - 0.7 * (np.abs(across) > 0.4)


def _puffs(row: np.ndarray) -> np.ndarray:
    within = row - np.floor(row)
    return 0.58 + 0.72 * np.sqrt(within * (1 - within)) * (1.25 - 0.5 * within)


def _edge(wave: np.ndarray, sharpness: float = 6.0) -> np.ndarray:
    return np.clip(wave * sharpness + 0.5, 0, 1)


Weights = tuple[np.ndarray, ...]


def _stripes(u: np.ndarray, v: np.ndarray, bumps: np.ndarray) -> Weights:
    return (_edge(np.sin(v * 34) - 0.1),)


def _pinstripes(u: np.ndarray, v: np.ndarray, bumps: np.ndarray) -> Weights:
    return (0.6 * _edge(np.sin(u * 40) - 0.75),)


def _checks(u: np.ndarray, v: np.ndarray, bumps: np.ndarray) -> Weights:
    across, down = _edge(np.sin(u * 24) - 0.1), _edge(np.sin(v * 24) - 0.1)
    return (0.5 * across + 0.5 * down, 0.45 * _edge(np.sin(u * 24 + 2) - 0.9) + 0.45 * _edge(np.sin(v * 24 + 2) - 0.9))


def _windowpane(u: np.ndarray, v: np.ndarray, bumps: np.ndarray) -> Weights:
    return (0.7 * np.maximum(_edge(np.sin(u * 22) - 0.9), _edge(np.sin(v * 22) - 0.9)),)


def _dots(u: np.ndarray, v: np.ndarray, bumps: np.ndarray) -> Weights:
    return (_edge(np.sin(u * 36) * np.sin(v * 36) - 0.45),)


def _flowers(u: np.ndarray, v: np.ndarray, bumps: np.ndarray) -> Weights:
    shift, other = float(bumps[0, 1]), float(bumps[0, 2])
    blobs = np.sin(u * 19 + 1.6 * np.sin(v * 11 + shift)) * np.sin(v * 19 + 1.6 * np.sin(u * 13 + other))
    leaves = np.sin(u * 25 + 2 * np.sin(v * 9 + other) + 1) * np.sin(v * 23 + 2 * np.sin(u * 8 + shift))
    return _edge(blobs - 0.45, 5), _edge(leaves - 0.6, 5)


def _fair_isle(u: np.ndarray, v: np.ndarray, bumps: np.ndarray) -> Weights:
    band = v / 0.46 - np.floor(v / 0.46)
    zigzag = np.abs((u * 8) % 1 - 0.5) * 0.3
    teeth = _edge(0.1 - np.abs(band - 0.3 - zigzag), 18)
    spots = _edge(np.sin(u * 50) - 0.2) * (np.abs(band - 0.75) < 0.06)
    return np.maximum(teeth, spots), _edge(0.045 - np.abs(band - 0.12), 25) + _edge(0.045 - np.abs(band - 0.62), 25)


def _argyle(u: np.ndarray, v: np.ndarray, bumps: np.ndarray) -> Weights:
    rising, falling = u * 12 + v * 9, u * 12 - v * 9
    diamonds = _edge(np.sin(rising) * np.sin(falling) - 0.05)
    grid = np.maximum(_edge(np.cos(rising * 1.0 + 0.8) - 0.96, 12), _edge(np.cos(falling + 0.8) - 0.96, 12))
    return diamonds, grid


def _blocks(u: np.ndarray, v: np.ndarray, bumps: np.ndarray) -> Weights:
    low = 0.1 + 0.08 * float(bumps[0, 3])
    return _edge(v - low, 40), _edge(0.05 - np.abs(v - low), 40)


def _paisley(u: np.ndarray, v: np.ndarray, bumps: np.ndarray) -> Weights:
    rings = np.sin(14 * np.hypot((u * 1.6) % 0.7 - 0.35, (v * 1.6) % 0.9 - 0.45) * 3)
    lines = _edge(np.sin((u + v) * 30) - 0.5, 4)
    return _edge(rings, 3), 0.7 * lines


def _camouflage(u: np.ndarray, v: np.ndarray, bumps: np.ndarray) -> Weights:
    shift, other = float(bumps[0, 4]) * 2, float(bumps[0, 5]) * 2
    first = np.sin(u * 9 + 2 * np.sin(v * 6 + shift)) + np.sin(v * 11 + 2 * np.sin(u * 7 + other))
    second = np.sin(u * 8 + 2 * np.sin(v * 9 + other)) + np.sin(v * 7 + 2 * np.sin(u * 10 + shift))
    return _edge(first - 0.5, 6), _edge(second - 0.8, 6)


PATTERNS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], Weights]] = {
    "stripes": _stripes,
    "pinstripes": _pinstripes,
    "checks": _checks,
    "windowpane": _windowpane,
    "dots": _dots,
    "flowers": _flowers,
    "fair_isle": _fair_isle,
    "argyle": _argyle,
    "blocks": _blocks,
    "paisley": _paisley,
    "camouflage": _camouflage,
}
