"""Charts as inline SVG; colours are the page's variables, so they follow its light and dark scheme."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from caffe_compat.arrays import FloatArray

_CELL, _LABEL_WIDTH, _LETTER, _TITLE = 30, 118, 6.6, 18
_MOST_CELLS_WITH_TEXT = 20
_SMALLEST_SHOWN, _STRONG = 0.005, 0.75
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 360, 250, 44, 40, 10, 24


def heat_map(values: FloatArray, names: Sequence[str]) -> str:
    """A matrix (L, L) of probabilities indexed [noisy, true]: rows are given labels, columns true ones."""
    count = len(names)
    header = _TITLE + min(_LABEL_WIDTH, 10 + max(map(len, names)) * _LETTER)
    size = header + count * _CELL
    parts = [
        f'<svg class="heat" role="img" aria-label="Matrix of confusing noise: given label by true label" '
        f'viewBox="0 0 {size:.0f} {size:.0f}" style="min-width:{min(size, 560):.0f}px;max-width:{1.25 * size:.0f}px">'
    ]
    for place, name in enumerate(names):
        middle, end = header + (place + 0.5) * _CELL + 4, header - 6
        short = html.escape(_shortened(name))
        parts.append(f'<text x="{end:.0f}" y="{middle:.0f}" text-anchor="end">{short}</text>')
        parts.append(f'<text transform="translate({middle:.0f} {end:.0f}) rotate(-90)">{short}</text>')
    for noisy in range(count):
        for true in range(count):
            parts += _cell(values[noisy, true], header, noisy, true, names)
    middle = header + count * _CELL / 2
    parts.append(f'<text class="axis" x="{middle:.0f}" y="12" text-anchor="middle">true label</text>')
    turned = f'transform="translate(12 {middle:.0f}) rotate(-90)"'
    parts.append(f'<text class="axis" {turned} text-anchor="middle">given label</text>')
    return "".join(parts) + "</svg>"


def _shortened(name: str) -> str:
    most = int(_LABEL_WIDTH / _LETTER)
    return name if len(name) <= most else name[: most - 1] + "…"


def _cell(value: float, header: float, noisy: int, true: int, names: Sequence[str]) -> list[str]:
    x, y = header + true * _CELL, header + noisy * _CELL
    place = f'x="{x:.0f}" y="{y:.0f}" width="{_CELL - 1}" height="{_CELL - 1}"'
    if noisy == true:
        return [f'<rect {place} class="diagonal"/>']
    if value < _SMALLEST_SHOWN:
        return [f'<rect {place} class="empty"/>'] if len(names) <= _MOST_CELLS_WITH_TEXT else []
    title = f"a confusing {names[true]} is called {names[noisy]}: {value:.1%}"
    opacity = f'fill-opacity="{0.08 + 0.92 * value:.3f}"'
    parts = [f'<rect {place} class="value" {opacity}><title>{html.escape(title)}</title></rect>']
    if len(names) <= _MOST_CELLS_WITH_TEXT and value >= 0.02:
        strong = ' class="strong"' if value > _STRONG else ""
        middle = f'x="{x + _CELL / 2 - 0.5:.1f}" y="{y + _CELL / 2 + 4:.1f}"'
        parts.append(f'<text {middle} text-anchor="middle"{strong}>{value * 100:.0f}</text>')
    return parts


@dataclass(frozen=True)
class Axis:
    """Where values lie on an axis.

    Attributes:
        low, high: its ends; both above 0 if ``is_log``.
        ticks: (value, text).
    """

    title: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    is_log: bool = False

    def place(self, values: npt.ArrayLike) -> FloatArray:
        """From 0 at the low to 1 at the high end."""
        scale = np.log if self.is_log else np.asarray
        low, high = float(scale(self.low)), float(scale(self.high))
        placed: FloatArray = (scale(values) - low) / ((high - low) or 1)
        return placed


PERCENT_TICKS = [(0.0, "0"), (0.25, "25%"), (0.5, "50%"), (0.75, "75%"), (1.0, "100%")]


def line_chart(
    x: npt.ArrayLike, y: npt.ArrayLike, x_axis: Axis, y_axis: Axis, description: str, base: float | None = None,
    diagonal: bool = False, weights: FloatArray | None = None,
) -> str:  # fmt: skip
    """A curve.

    Args:
        base: a value of y to draw a level line at.
        diagonal: draw the line y = x.
        weights: (N,) in [0, 1], how large the dots are; None draws none.
    """

    def across(values: npt.ArrayLike) -> FloatArray:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * x_axis.place(values)

    def down(values: npt.ArrayLike) -> FloatArray:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * y_axis.place(values)

    parts = [f'<svg class="chart" role="img" aria-label="{html.escape(description)}" viewBox="0 0 {_WIDTH} {_HEIGHT}">']
    for value, text in y_axis.ticks:
        level = float(down(value))
        parts.append(f'<path class="grid" d="M{_LEFT} {level:.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{level + 4:.1f}" text-anchor="end">{text}</text>')
    for value, text in x_axis.ticks:
        tick = f'x="{float(across(value)):.1f}" y="{_HEIGHT - _BOTTOM + 16}"'
        parts.append(f'<text {tick} text-anchor="middle">{text}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text class="axis" x="{middle:.0f}" y="{_HEIGHT - 6}" text-anchor="middle">{x_axis.title}</text>')
    if diagonal:
        parts.append(f'<path class="base" d="M{_LEFT} {_HEIGHT - _BOTTOM}L{_WIDTH - _RIGHT} {_TOP}"/>')
    if base is not None:
        parts.append(f'<path class="base" d="M{_LEFT} {float(down(base)):.1f}H{_WIDTH - _RIGHT}"/>')
    points = np.stack([across(x), down(y)], axis=1)
    curve = " ".join(f"{left:.1f},{top:.1f}" for left, top in points)
    parts.append(f'<polyline class="curve" points="{curve}"/>')
    if weights is not None:
        for (left, top), weight in zip(points, weights, strict=True):
            parts.append(f'<circle class="dot" cx="{left:.1f}" cy="{top:.1f}" r="{2 + 5 * weight**0.5:.1f}"/>')
    return "".join(parts) + "</svg>"
