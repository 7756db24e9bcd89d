"""How a front closes: zips, button plackets, open fronts, and the pockets beside them."""

from __future__ import annotations

import numpy as np

from caffe_compat.demo.canvas import Canvas, Frame
from caffe_compat.demo.collars import draw_shirt_front
from caffe_compat.demo.colours import shade
from caffe_compat.demo.garment import Garment
from caffe_compat.demo.shapes import LEFT, NECK_Y, SIDES, half_width, mirrored, neckline, rectangle
from caffe_compat.demo.style import Style


def draw(canvas: Canvas, garment: Garment) -> None:
    """Pockets, then the front's closure."""
    style = garment.style
    _pockets(canvas, garment)
    if style.opening:
        _open_front(canvas, garment)
    if style.lapel and style.tie != "none":
        draw_shirt_front(canvas, style)
    if style.lapel:
        _front_edge(canvas, style)
    if style.placket:
        _placket(canvas, garment)
    if style.zip != "none":
        _zip(canvas, style)
    if style.buttons:
        _buttons(canvas, style)


def _front_top(style: Style) -> float:
    return NECK_Y + style.neck_depth


def _front_bottom(style: Style) -> float:
    return style.length + style.hem_drop


def _open_front(canvas: Canvas, garment: Garment) -> None:
    style = garment.style
    low, wide = _front_bottom(style), style.opening
    edge = np.concatenate([neckline(style)[::-1], [(0.75 * wide, style.waist_y), (wide, low)]])
    edge[: len(edge) - 2, 0] = np.maximum(edge[: len(edge) - 2, 0], 0.5 * wide)
    inside = np.concatenate([edge, [(0.0, low - 0.02), (0.0, NECK_Y + 0.05)]])
    for side in SIDES:
        canvas.fill(inside * side, shade(style.third, 0.9))
        band = np.concatenate([edge, (edge + (0.06, 0.0))[::-1]]) * side
        canvas.paint(band, garment.cloth.paint(ribbed=style.rib > 0 or style.knit > 0, darker=0.85), Frame(), 1.0, 0.3)


def _front_edge(canvas: Canvas, style: Style) -> None:
    edge = np.array([(0.0, _front_top(style)), (0.02, style.waist_y + 0.1), (0.09, _front_bottom(style))])
    canvas.line(edge, shade(style.colour, 0.45), 0.016)


def _placket(canvas: Canvas, garment: Garment) -> None:
    style = garment.style
    strip = rectangle(-0.045, _front_top(style), 0.045, _front_bottom(style))
    canvas.paint(strip, garment.cloth.paint(darker=1.05), Frame(), garment.opacity, 0.1)
    canvas.lines([strip[[0, 3]], strip[[1, 2]]], shade(style.colour, 0.6), 0.012)


def _zip(canvas: Canvas, style: Style) -> None:
    top, bottom = _front_top(style) - 0.5 * style.stand, _front_bottom(style)
    ends = {
        "full": [(0.0, top), (0.0, bottom)],
        "half": [(0.0, top), (0.0, top + 0.36)],
        "slanted": [(-0.22, top + 0.06), (0.14, bottom)],
    }[style.zip]
    track = np.array(ends)
    canvas.line(track, shade(style.colour, 0.42), 0.055)
    canvas.line(track, (200, 205, 208), 0.018)
    pull = (float(track[0, 0]), float(track[0, 1]) + 0.05)
    canvas.line(np.array([pull, (pull[0], pull[1] + 0.08)]), (215, 220, 222), 0.035)


def _buttons(canvas: Canvas, style: Style) -> None:
    top, bottom = _front_top(style) + 0.06, _front_bottom(style) - 0.1
    if style.lapel:
        top, bottom = _front_top(style) + 0.05, min(_front_top(style) + 0.05 + 0.2 * (style.buttons - 1), bottom)
    offsets = (-0.13, 0.13) if style.double_row else (style.opening + 0.03 if style.opening else 0.0,)
    radius = 0.035 if style.lapel or style.double_row else 0.026
    for y in np.linspace(top, bottom, style.buttons):
        for x in offsets:
            canvas.dot((x + 0.006, y + 0.01), radius, shade(style.colour, 0.4))
            canvas.dot((x, y), radius, style.third)


def _pockets(canvas: Canvas, garment: Garment) -> None:
    style = garment.style
    if style.kangaroo:
        _kangaroo(canvas, garment)
    if style.flap_pockets:
        for side in SIDES:
            _flap_pocket(canvas, garment, side)
    if style.chest_pocket:
        pocket = np.array([(0.14, -0.42), (0.36, -0.42), (0.36, -0.2), (0.25, -0.15), (0.14, -0.2)])
        canvas.paint(pocket, garment.cloth.paint(darker=1.04), Frame((0.02, 0.03)), garment.opacity, 0.15)
        canvas.line(pocket, shade(style.colour, 0.6), 0.014, closed=True)
    if style.hip_pockets != "none":
        _hip_pockets(canvas, garment)


def _kangaroo(canvas: Canvas, garment: Garment) -> None:
    style = garment.style
    low = style.length - style.rib_hem
    wide = 0.72 * half_width(style, low)
    pouch = mirrored(np.array([(0, low - 0.4), (0.5 * wide, low - 0.4), (wide, low - 0.18), (wide, low), (0, low)]))
    canvas.paint(pouch, garment.cloth.paint(darker=1.03), Frame(), 1.0, 0.3)
    canvas.line(pouch, shade(style.colour, 0.55), 0.018, closed=True)
    canvas.lines([pouch[1:3] + (0.0, 0.01), pouch[1:3] * LEFT + (0.0, 0.01)], shade(style.colour, 0.4), 0.03)


def _flap_pocket(canvas: Canvas, garment: Garment, side: np.ndarray) -> None:
    style = garment.style
    size = style.flap_pockets
    left, right, top = 0.27 - 0.12 * size, 0.27 + 0.12 * size, -0.36
    flap = np.array([(left, top), (right, top), (right, top + 0.08), (0.27, top + 0.13), (left, top + 0.08)]) * side
    pouch = rectangle(left + 0.01, top, right - 0.01, top + 0.3 * size) * side
    canvas.line(pouch, shade(style.colour, 0.6), 0.014, closed=True)
    canvas.paint(flap, garment.cloth.paint(darker=1.08), Frame(), 1.0, 0.3)
    canvas.line(flap, style.third if style.stitching else shade(style.colour, 0.5), 0.014, closed=True)
    canvas.dot((0.27 * float(side[0]), top + 0.09), 0.022, (200, 205, 205))


def _hip_pockets(canvas: Canvas, garment: Garment) -> None:
    style = garment.style
    y = min(style.waist_y + 0.22, style.length - 0.2)
    middle = 0.62 * half_width(style, y)
    for side in SIDES:
        if style.hip_pockets == "slit":
            slit = np.array([(middle - 0.06, y - 0.1), (middle + 0.08, y + 0.14)]) * side
            canvas.line(slit, shade(style.colour, 0.42), 0.04)
            canvas.line(slit + (0.0, -0.012), shade(style.colour, 1.2), 0.012)
        elif style.hip_pockets == "welt":
            flap = rectangle(middle - 0.14, y, middle + 0.13, y + 0.085) * side
            canvas.paint(flap, garment.cloth.paint(darker=1.08), Frame(), 1.0, 0.2)
            canvas.line(flap, shade(style.colour, 0.45), 0.012, closed=True)
        else:
            patch = rectangle(middle - 0.14, y - 0.06, middle + 0.14, y + 0.24) * side
            canvas.paint(patch, garment.cloth.paint(darker=1.05), Frame((0.03, 0.02)), 1.0, 0.2)
            canvas.line(patch, shade(style.colour, 0.55), 0.014, closed=True)
