"""Outlines in garment coordinates: curves, a garment's body, its sleeves, its neckline."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from caffe_compat.demo.style import Style

NECK_Y = -0.8
LEFT, RIGHT = np.array([-1.0, 1.0]), np.ones(2)  # factors that take the right side's points to a side
SIDES = (LEFT, RIGHT)
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
    left = right[::-1] * LEFT
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


def half_width(style: Style, y: float) -> float:
    """Half the body's width at a height below the underarm."""
    underarm = _underarm(style)[1]
    heights = (underarm, max(style.waist_y, underarm + 0.05), style.length)
    return float(np.interp(y, heights, (style.chest, style.waist, style.hem_width)))


def body(style: Style) -> np.ndarray:
    """Outline of the garment without sleeves."""
    return mirrored(_right_half(style))


def hem(style: Style) -> np.ndarray:
    """The body's lower edge, from right to left."""
    right = _hem(style)
    return np.concatenate([right[:-1], (right * LEFT)[::-1]])


def upper_part(style: Style, y: float) -> np.ndarray:
    """Outline of the part of the body above ``y``, which lies between the shoulder tip and the underarm."""
    hole = armhole(style)
    kept = np.concatenate([neckline(style), hole[hole[:, 1] < y]])
    edge = float(np.interp(y, hole[:, 1], hole[:, 0]))
    return mirrored(np.concatenate([kept[kept[:, 1] < y], [(edge, y), (0.0, y)]]))


def _right_half(style: Style) -> np.ndarray:
    return np.concatenate([neckline(style), armhole(style), _side(style), _hem(style)])


def _shoulder_tip(style: Style) -> tuple[float, float]:
    return style.shoulder, NECK_Y + style.slope


def _underarm(style: Style) -> tuple[float, float]:
    return style.chest, NECK_Y + style.slope + style.armhole


def armhole(style: Style) -> np.ndarray:
    """The right armhole, from the shoulder's tip down to the underarm, (7, 2)."""
    tip, underarm = _shoulder_tip(style), _underarm(style)
    share = np.linspace(0, 1, 7)[:, None]
    inner = np.array([min(tip[0], underarm[0]) - style.scoop, tip[1] + 0.75 * style.armhole])
    return (1 - share) ** 2 * np.array(tip) + 2 * share * (1 - share) * inner + share**2 * np.array(underarm)


def _side(style: Style) -> np.ndarray:
    underarm = _underarm(style)
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


def body_pieces(style: Style) -> list[np.ndarray]:
    """The body's outline: one polygon, or an upper and a lower one with a bare belly between."""
    if style.midriff < 0.05:
        return [body(style)]
    underarm = _underarm(style)[1]
    middle = 0.5 * (underarm + style.length)
    top = underarm + 0.1 + (middle - underarm - 0.1) * (1 - style.midriff)
    bottom = style.length - 0.3 - (style.length - 0.3 - middle) * (1 - style.midriff)
    upper = np.concatenate([neckline(style), armhole(style), _under_edge(style, top)])
    waist = np.array([(0, bottom + 0.03), (half_width(style, bottom), bottom)])
    return [mirrored(upper), mirrored(np.concatenate([waist, _hem(style)]))]


def _under_edge(style: Style, y: float) -> np.ndarray:
    width = half_width(style, y)
    return curve([(width, y), (0.55 * width, y + 0.06), (0.12 * width, y - 0.03), (0, y - 0.04)], 4)


def hood_outline(style: Style) -> np.ndarray:
    """The hood as it stands behind the neck."""
    height, width = 0.5 * style.hood, style.neck_width + 0.12 * style.hood
    top = [(0, NECK_Y - height), (0.6 * width, NECK_Y - 0.88 * height), (width, NECK_Y - 0.4 * height)]
    bottom = [(width + 0.04, NECK_Y + 0.06), (0.7 * width, NECK_Y + 0.16), (0, NECK_Y + 0.18)]
    return mirrored(curve([*top, *bottom], 5))


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
        tip = (style.shoulder - 0.06, _shoulder_tip(style)[1] - 0.02)
        outer = np.concatenate([[tip], curve(np.concatenate([[(style.shoulder + 0.01, tip[1] + 0.03)], outer[1:]]), 4)])
        inner = np.concatenate([[(style.chest - 0.06, _underarm(style)[1])], inner[2:]])
    return np.concatenate([outer, inner[::-1]])
