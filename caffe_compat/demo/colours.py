"""Colours that clothes, people and rooms come in."""

from __future__ import annotations

import colorsys

import numpy as np

from caffe_compat.demo.style import Colour

# (hue, saturation, value) ranges; a hue range of None is any hue.
_PALETTES: dict[str, tuple[tuple[float, float] | None, tuple[float, float], tuple[float, float]]] = {
    "bright": (None, (0.55, 0.95), (0.6, 0.95)),
    "pastel": (None, (0.12, 0.38), (0.82, 0.98)),
    "muted": (None, (0.18, 0.5), (0.4, 0.75)),
    "dark": (None, (0.1, 0.55), (0.1, 0.32)),
    "earth": ((0.02, 0.14), (0.25, 0.65), (0.3, 0.75)),
    "denim": ((0.56, 0.64), (0.35, 0.7), (0.3, 0.7)),
    "navy": ((0.58, 0.68), (0.4, 0.75), (0.15, 0.35)),
    "khaki": ((0.09, 0.17), (0.25, 0.5), (0.4, 0.72)),
    "red": ((0.96, 1.03), (0.65, 0.9), (0.5, 0.85)),
    "white": ((0.0, 1.0), (0.0, 0.06), (0.9, 1.0)),
    "grey": ((0.0, 1.0), (0.0, 0.08), (0.35, 0.75)),
    "black": ((0.0, 1.0), (0.0, 0.15), (0.08, 0.2)),
    "skin": ((0.04, 0.08), (0.28, 0.55), (0.45, 0.95)),
    "nude": ((0.02, 0.08), (0.2, 0.4), (0.75, 0.95)),
    "wood": ((0.06, 0.1), (0.3, 0.6), (0.35, 0.8)),
    "wall": (None, (0.0, 0.22), (0.6, 0.97)),
}


def colour(rng: np.random.Generator, *palettes: str) -> Colour:
    """A random colour (BGR, 0 to 255) of one of the palettes."""
    hues, saturations, values = _PALETTES[palettes[int(rng.integers(len(palettes)))]]
    hue = rng.uniform(*(hues or (0.0, 1.0))) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, rng.uniform(*saturations), rng.uniform(*values))
    return 255.0 * blue, 255.0 * green, 255.0 * red


def contrast(rng: np.random.Generator, base: Colour) -> Colour:
    """A colour that shows on ``base``."""
    light = 0.11 * base[0] + 0.59 * base[1] + 0.3 * base[2]
    palettes = ("white", "pastel", "bright") if light < 135 else ("black", "dark", "bright", "navy")
    return colour(rng, *palettes)


def blend(first: Colour, second: Colour, share: float) -> Colour:
    """``first`` moved by ``share`` towards ``second``."""
    blue, green, red = (a + share * (b - a) for a, b in zip(first, second, strict=True))
    return blue, green, red


def shade(colour: Colour, factor: float) -> Colour:
    """A colour darkened (below 1) or lightened (above)."""
    blue, green, red = (min(255.0, value * factor) for value in colour)
    return blue, green, red
