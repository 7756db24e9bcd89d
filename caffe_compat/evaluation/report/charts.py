"""Charts as inline SVG; colours are the page's variables, so they follow its light and dark scheme."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from caffe_compat.label_noise.confusion import FloatArray

_CELL, _LABEL_WIDTH, _LETTER = 30, 118, 6.6
_MOST_CELLS_WITH_TEXT = 20
_SMALLEST_SHOWN = 0.005
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 360, 250, 44, 40, 10, 14


def heat_map(values: FloatArray, names: Sequence[str]) -> str:
    """A matrix (L, L) of probabilities indexed [noisy, true]: rows are given labels, columns true ones."""
    count = len(names)
    header = min(_LABEL_WIDTH, 14 + max(map(len, names)) * _LETTER)
    size = header + count * _CELL
    parts = [
        f'<svg class="heat" role="img" aria-label="Matrix of confusing noise: given label by true label" '
        f'viewBox="0 0 {size:.0f} {size + 18:.0f}" style="min-width:{min(size, 560):.0f}px">'
    ]
    for place, name in enumerate(names):
        middle = header + (place + 0.5) * _CELL
        short = html.escape(name if len(name) * _LETTER < header - 6 else name[: int(header / _LETTER) - 3] + "…")
        parts.append(f'<text x="{header - 6:.0f}" y="{middle + 4:.0f}" text-anchor="end">{short}</text>')
        parts.append(
            f'<text transform="translate({middle + 4:.0f} {header - 6:.0f}) rotate(-90)" text-anchor="start">{short}</text>'
        )
    for noisy in range(count):
        for true in range(count):
            parts += _cell(values[noisy, true], header, noisy, true, names)
    middle = header + count * _CELL / 2
    parts.append(f'<text class="axis" x="{middle:.0f}" y="{size + 13:.0f}" text-anchor="middle">true label</text>')
    parts.append(
        f'<text class="axis" transform="translate({size - count * _CELL - header + 10:.0f} {middle:.0f}) rotate(-90)" '
        'text-anchor="middle">given label</text>'
    )
    return "".join(parts) + "</svg>"


def _cell(value: float, header: float, noisy: int, true: int, names: Sequence[str]) -> list[str]:
    x, y = header + true * _CELL, header + noisy * _CELL
    place = f'x="{x:.0f}" y="{y:.0f}" width="{_CELL - 1}" height="{_CELL - 1}"'
    if noisy == true:
        return [f'<rect {place} class="diagonal"/>']
    if value < _SMALLEST_SHOWN:
        return [f'<rect {place} class="empty"/>'] if len(names) <= _MOST_CELLS_WITH_TEXT else []
    title = f"a confusing {names[true]} is called {names[noisy]}: {value:.1%}"
    parts = [
        f'<rect {place} class="value" fill-opacity="{0.08 + 0.92 * value:.3f}"><title>{html.escape(title)}</title></rect>'
    ]
    if len(names) <= _MOST_CELLS_WITH_TEXT and value >= 0.02:
        strong = ' class="strong"' if value > 0.5 else ""
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

    def place(self, values: FloatArray) -> FloatArray:
        """From 0 at the low to 1 at the high end."""
        scale = np.log if self.is_log else np.asarray
        low, high = float(scale(self.low)), float(scale(self.high))
        placed: FloatArray = (scale(values) - low) / ((high - low) or 1)
        return placed


PERCENT_TICKS = [(0.0, "0"), (0.25, "25%"), (0.5, "50%"), (0.75, "75%"), (1.0, "100%")]


def line_chart(
    x: FloatArray, y: FloatArray, x_axis: Axis, y_axis: Axis, description: str, base: float | None = None,
    diagonal: bool = False, weights: FloatArray | None = None,
) -> str:  # fmt: skip
    """A curve.

    Args:
        base: a value of y to draw a level line at.
        diagonal: draw the line y = x.
        weights: (N,) in [0, 1], how large the dots are; None draws none.
    """
    inner_width, inner_height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    px = _LEFT + inner_width * x_axis.place(np.asarray(x, np.float64))
    py = _TOP + inner_height * (1 - y_axis.place(np.asarray(y, np.float64)))
    parts = [f'<svg class="chart" role="img" aria-label="{html.escape(description)}" viewBox="0 0 {_WIDTH} {_HEIGHT}">']
    for value, text in y_axis.ticks:
        level = _TOP + inner_height * (1 - float(y_axis.place(np.float64(value))))
        parts.append(f'<path class="grid" d="M{_LEFT} {level:.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{level + 4:.1f}" text-anchor="end">{text}</text>')
    for value, text in x_axis.ticks:
        across = _LEFT + inner_width * float(x_axis.place(np.float64(value)))
        parts.append(f'<text x="{across:.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{text}</text>')
    middle = _LEFT + inner_width / 2
    parts.append(f'<text class="axis" x="{middle:.0f}" y="{_HEIGHT - 6}" text-anchor="middle">{x_axis.title}</text>')
    if diagonal:
        parts.append(f'<path class="base" d="M{_LEFT} {_HEIGHT - _BOTTOM}L{_WIDTH - _RIGHT} {_TOP}"/>')
    if base is not None:
        level = _TOP + inner_height * (1 - float(y_axis.place(np.float64(base))))
        parts.append(f'<path class="base" d="M{_LEFT} {level:.1f}H{_WIDTH - _RIGHT}"/>')
    points = " ".join(f"{across:.1f},{down:.1f}" for across, down in zip(px, py, strict=True))
    parts.append(f'<polyline class="curve" points="{points}"/>')
    for across, down, weight in zip(px, py, [] if weights is None else weights, strict=weights is not None):
        parts.append(f'<circle class="dot" cx="{across:.1f}" cy="{down:.1f}" r="{2 + 5 * weight**0.5:.1f}"/>')
    return "".join(parts) + "</svg>"
