"""Outlines in garment coordinates: curves, a garment's body, its sleeves, its neckline."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from caffe_compat.demo.style import Style

NECK_Y = -0.8
_PIVOT_DROP = 0.1  # the arm's joint below the shoulder tip


@cache
def _spline_basis(steps: int) -> np.ndarray:
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    powers = np.concatenate([np.ones_like(t), t, t**2, t**3], axis=1)
    catmull_rom = 0.5 * np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]])
    return powers @ catmull_rom


def curve(points: np.ndarray | list[tuple[float, float]], steps: int = 6) -> np.ndarray:
    """A smooth open curve (Catmull-Rom) through points (n, 2), ends included."""
    points = np.asarray(points, dtype=np.float64)
    padded = np.concatenate([points[:1], points, points[-1:]])
    windows = np.stack([padded[i : len(points) - 1 + i] for i in range(4)], axis=1)
    smooth = np.einsum("sk,nkd->nsd", _spline_basis(steps), windows).reshape(-1, 2)
    return np.concatenate([smooth, points[-1:]])


def mirrored(right: np.ndarray) -> np.ndarray:
    """A closed outline from its right half, which runs from the top of the middle line to its bottom."""
    left = right[::-1] * (-1.0, 1.0)
    return np.concatenate([right, left])


def ellipse(centre: tuple[float, float], radii: tuple[float, float], steps: int = 20) -> np.ndarray:
    """A closed ellipse."""
    angle = np.linspace(0, 2 * np.pi, steps, endpoint=False)
    return np.stack([centre[0] + radii[0] * np.cos(angle), centre[1] + radii[1] * np.sin(angle)], axis=1)


def rectangle(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """The four corners."""
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def neckline(style: Style, steps: int = 8) -> np.ndarray:
    """Right half of the neckline, from its lowest point in the middle up to the neck's side, (steps, 2)."""
    share = np.linspace(0, 1, steps)
    round_x, round_y = np.sin(share * np.pi / 2), np.cos(share * np.pi / 2)
    x = style.neck_width * (round_x + style.neck_v * (share - round_x))
    y = NECK_Y + style.neck_depth * (round_y + style.neck_v * (1 - share - round_y))
    return np.stack([x, y], axis=1)


def half_width(style: Style, y: float | np.ndarray) -> np.ndarray:
    """Half the body's width at heights below the underarm."""
    underarm = NECK_Y + style.slope + style.armhole
    heights = (underarm, max(style.waist_y, underarm + 0.05), style.length)
    return np.interp(y, heights, (style.chest, style.waist, style.hem_width))


def body(style: Style) -> np.ndarray:
    """Outline of the garment without sleeves."""
    tip = (style.shoulder, NECK_Y + style.slope)
    underarm = (style.chest, tip[1] + style.armhole)
    return mirrored(np.concatenate([neckline(style), _armhole(style, tip, underarm), _side(style, underarm), _hem(style)]))


def _armhole(style: Style, tip: tuple[float, float], underarm: tuple[float, float]) -> np.ndarray:
    share = np.linspace(0, 1, 7)[:, None]
    inner = np.array([min(tip[0], underarm[0]) - style.scoop, tip[1] + 0.75 * style.armhole])
    return (1 - share) ** 2 * np.array(tip) + 2 * share * (1 - share) * inner + share**2 * np.array(underarm)


def _side(style: Style, underarm: tuple[float, float]) -> np.ndarray:
    waist_y = max(style.waist_y, underarm[1] + 0.05)
    if style.length > waist_y + 0.05:
        side = curve([underarm, (style.waist, waist_y), (style.hem_width, style.length)])
    else:
        side = curve([underarm, (style.hem_width, max(style.length, underarm[1] + 0.05))])
    if style.puff > 0:
        side[:, 0] += style.puff * np.abs(np.sin(np.pi * side[:, 1] / max(style.quilt, 0.15)))
    return side


def _hem(style: Style) -> np.ndarray:
    share = np.linspace(1, 0, 14)
    x = style.hem_width * share
    y = style.length + style.hem_drop * (1 - share**1.5)
    y = y + style.hem_wave * (np.sin(share * 17) - 0.4)
    y = y - style.leg_cut * np.clip((share - 0.2) / 0.8, 0, 1) ** 1.3
    return np.stack([x, y], axis=1)


@dataclass(frozen=True)
class Arm:
    """The right arm's direction, and the left one's when mirrored: angles from straight down, outwards, in radians."""

    upper: float
    lower: float

    def path(self, style: Style) -> np.ndarray:
        """Joint, elbow, wrist: (3, 2)."""
        joint = np.array([max(style.shoulder, 0.44) - 0.12, NECK_Y + style.slope + _PIVOT_DROP])
        elbow = joint + 0.58 * np.array([np.sin(self.upper), np.cos(self.upper)])
        wrist = elbow + 0.57 * np.array([np.sin(self.lower), np.cos(self.lower)])
        return np.stack([joint, elbow, wrist])


def sleeve(style: Style, arm: Arm, start: float = 0.0, end: float = 1.0, widen: float = 0.0) -> np.ndarray:
    """Outline of the right sleeve between two shares of its length; ``widen`` is added to the half-width."""
    shares = np.linspace(start, end, 6 if start == 0 else 3)
    path = arm.path(style)
    along = shares * style.sleeve * 2  # 0 joint, 1 elbow, 2 wrist
    centre = np.stack([np.interp(along, (0, 1, 2), path[:, axis]) for axis in (0, 1)], axis=1)
    bend = np.clip((along - 0.7) / 0.6, 0, 1)
    angle = arm.upper + bend * (arm.lower - arm.upper)
    outward = np.stack([np.cos(angle), -np.sin(angle)], axis=1)
    width = style.sleeve_width + (style.cuff_width - style.sleeve_width) * shares + widen
    if style.puff > 0:
        width = width + style.puff * np.abs(np.sin(np.pi * along / 0.5))
    outer, inner = centre + outward * width[:, None], centre - outward * width[:, None]
    if start == 0:
        tip = (style.shoulder - 0.06, NECK_Y + style.slope - 0.02)
        outer = np.concatenate([[tip], curve(np.concatenate([[(style.shoulder + 0.01, tip[1] + 0.03)], outer[1:]]), 4)])
        inner = np.concatenate([[(style.chest - 0.06, NECK_Y + style.slope + style.armhole)], inner[2:]])
    return np.concatenate([outer, inner[::-1]])
