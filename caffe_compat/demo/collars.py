"""What sits around the neck: hoods, collars, lapels, ribbed edges, bows."""

from __future__ import annotations

import numpy as np

from caffe_compat.demo.canvas import Canvas, Frame
from caffe_compat.demo.colours import shade
from caffe_compat.demo.garment import Garment
from caffe_compat.demo.shapes import NECK_Y, SIDES, curve, ellipse, hood_outline, mirrored, neckline
from caffe_compat.demo.style import Style


def draw(canvas: Canvas, garment: Garment) -> None:
    """Everything of the neck that lies in front."""
    style = garment.style
    if style.rib_neck:
        _rib_neck(canvas, garment)
    if style.turtle:
        _turtle(canvas, garment)
    if style.stand:
        _stand(canvas, garment)
    if style.lapel:
        _lapels(canvas, garment)
    if style.collar:
        _shirt_collar(canvas, garment)
    if style.bow:
        _bow(canvas, garment)
    if style.hood:
        _hood_edges(canvas, garment)
    if style.drawstring:
        _drawstrings(canvas, style)


def draw_hood(canvas: Canvas, garment: Garment) -> None:
    """The hood, with its dark inside and, on some, fur along the edge."""
    style = garment.style
    outline = hood_outline(style)
    canvas.paint(outline, garment.cloth.paint(), Frame(), roundness=0.8)
    centre = (0.0, NECK_Y - 0.13 * style.hood)
    radii = (0.78 * style.neck_width + 0.04, 0.27 * style.hood)
    if style.fur:
        fur = ellipse(centre, (radii[0] + 0.09, radii[1] + 0.08), 40)
        fur += 0.03 * np.stack([np.cos(np.arange(40) * 2.4), np.sin(np.arange(40) * 2.9)], axis=1)
        canvas.fill(fur, shade(style.third, 1.1))
        canvas.line(fur * 0.96 + (0, NECK_Y * 0.04), shade(style.third, 0.8), 0.02, closed=True)
    canvas.paint(ellipse(centre, radii), garment.cloth.paint(darker=0.42), Frame(), roundness=0.3)


def _hood_edges(canvas: Canvas, garment: Garment) -> None:
    style = garment.style
    width = style.neck_width + 0.1 * style.hood
    low = NECK_Y + style.neck_depth + 0.1
    outer = curve([(width, NECK_Y - 0.08), (width + 0.02, NECK_Y + 0.06), (0.55 * width, low - 0.06), (0.0, low)], 5)
    inner = curve([(0, low - 0.13), (0.5 * width, NECK_Y + 0.06), (0.8 * width, NECK_Y - 0.06)], 5)
    for side in SIDES:
        canvas.paint(np.concatenate([outer, inner]) * side, garment.cloth.paint(darker=0.94), Frame(), roundness=0.9)


def _rib_neck(canvas: Canvas, garment: Garment) -> None:
    style = garment.style
    inner = neckline(style)
    outer = inner * (1 + style.rib_neck / style.neck_width, 1) + (0, style.rib_neck)
    outer[-1, 1] = inner[-1, 1] + 0.02
    for side in SIDES:
        band = np.concatenate([inner, outer[::-1]]) * side
        canvas.paint(band, garment.cloth.paint(ribbed=True, darker=0.86), Frame(), garment.opacity, 0.3)


def _turtle(canvas: Canvas, garment: Garment) -> None:
    style = garment.style
    width, height = style.neck_width + 0.03, style.turtle
    low = NECK_Y + style.neck_depth + 0.05
    right = curve([(0, NECK_Y - height + 0.02), (0.8 * width, NECK_Y - height), (width, NECK_Y - 0.4 * height)], 4)
    rolled = curve([right[-1], (width + 0.02, NECK_Y + 0.02), (0.6 * width, low - 0.03), (0, low)], 4)
    canvas.paint(mirrored(np.concatenate([right, rolled])), garment.cloth.paint(ribbed=True), Frame(), roundness=0.9)
    fold = curve([(-width, NECK_Y - 0.3 * height), (0, NECK_Y - 0.12 * height), (width, NECK_Y - 0.3 * height)], 5)
    canvas.line(fold, shade(style.colour, 0.6), 0.015)


def _stand(canvas: Canvas, garment: Garment) -> None:
    style = garment.style
    width, low = style.neck_width, NECK_Y + style.neck_depth
    inside = curve([(0, low - 0.02), (0.6 * width, low - 0.06), (width, NECK_Y + 0.02)], 5)
    high, front = NECK_Y - style.stand, (0.02, low - 0.5 * style.stand)
    top = curve([(1.02 * width, high), (0.5 * width, low - 0.7 * style.stand - 0.05), front], 5)
    behind = mirrored(np.array([(0, high - 0.03), (width, high), (width, NECK_Y), (0, NECK_Y)]))
    if style.hood == 0:
        canvas.paint(behind, garment.cloth.paint(darker=0.5), Frame(), roundness=0.2)
    for side in SIDES:
        leaf = np.concatenate([inside, top]) * side
        canvas.paint(leaf, garment.cloth.paint(in_second=style.yoke != 0), Frame(), roundness=0.7)
        canvas.line(top * side, shade(style.colour, 0.6), 0.012)


def _shirt_collar(canvas: Canvas, garment: Garment) -> None:
    style = garment.style
    width, low, size = style.neck_width, NECK_Y + style.neck_depth, style.collar
    band = mirrored(np.array([(0, NECK_Y - 0.05), (width, NECK_Y - 0.07), (width, NECK_Y + 0.02), (0, NECK_Y + 0.03)]))
    canvas.paint(band, garment.cloth.paint(darker=0.62), Frame(), roundness=0.2)
    leaf = np.array(
        [
            (0.0, low + 0.01),
            (0.45 * width, NECK_Y + 0.3 * style.neck_depth),
            (0.93 * width, NECK_Y - 0.08),
            (width + 0.09 * size, NECK_Y + 0.02),
            (0.75 * width + 0.12 * size, low + 0.2 * size),
        ]
    )
    for side in SIDES:
        canvas.paint(leaf * side, garment.cloth.paint(darker=1.08), Frame(), garment.opacity, 0.15)
        canvas.line(leaf[[0, 4, 3]] * side, shade(style.colour, 0.55), 0.016)


def _lapels(canvas: Canvas, garment: Garment) -> None:
    style = garment.style
    width, size = style.neck_width, style.lapel
    low = NECK_Y + style.neck_depth
    notch = NECK_Y + 0.36 * style.neck_depth
    leaf = np.array(
        [
            (0.9 * width, NECK_Y - 0.06),
            (width + 0.1 * size, NECK_Y + 0.02),
            (width + 0.16 * size, notch - 0.05),
            (width + 0.06 * size, notch),
            (width + 0.24 * size, notch + 0.02),
            (width + 0.12 * size, notch + 0.2 * style.neck_depth),
            (0.0, low + 0.02),
            (0.45 * width, NECK_Y + 0.5 * style.neck_depth),
        ]
    )
    for side in SIDES:
        canvas.paint(leaf * side, garment.cloth.paint(darker=1.12), Frame(), roundness=0.3)
        canvas.line(leaf[1:7] * side, shade(style.colour, 0.45), 0.016)


def draw_shirt_front(canvas: Canvas, style: Style) -> None:
    """The shirt and tie that show between lapels."""
    width, low = style.neck_width, NECK_Y + style.neck_depth
    middle = (0.7 * width, NECK_Y + 0.5 * style.neck_depth)
    panel = np.array([(0, NECK_Y - 0.06), (width, NECK_Y - 0.06), middle, (0, low + 0.03)])
    canvas.fill(mirrored(panel), (238, 236, 234))
    leaf = np.array([(0.0, NECK_Y + 0.12), (0.9 * width, NECK_Y - 0.08), (0.75 * width, NECK_Y + 0.2)])
    for side in SIDES:
        canvas.fill(leaf * side, (250, 250, 250))
        canvas.line(leaf * side, (170, 168, 166), 0.012, closed=True)
    if style.tie == "tie":
        knot = mirrored(np.array([(0, NECK_Y + 0.08), (0.06, NECK_Y + 0.09), (0.035, NECK_Y + 0.2), (0, NECK_Y + 0.2)]))
        blade = mirrored(np.array([(0, NECK_Y + 0.2), (0.03, NECK_Y + 0.2), (0.075, low - 0.05), (0, low + 0.03)]))
        canvas.fill(blade, style.third)
        canvas.fill(knot, shade(style.third, 0.75))


def _bow(canvas: Canvas, garment: Garment) -> None:
    style = garment.style
    y, size = NECK_Y + style.neck_depth + 0.02, 0.22 * style.bow
    loop = curve([(0.0, y), (0.6 * size, y - 0.5 * size), (size, y), (0.6 * size, y + 0.35 * size), (0.0, y)], 5)
    tail = np.array([(0.0, y), (0.05, y), (0.5 * size, y + 1.7 * size), (0.25 * size, y + 1.8 * size)])
    for side in SIDES:
        canvas.paint(tail * side, garment.cloth.paint(darker=0.88), Frame(), roundness=0.4)
        canvas.paint(loop * side, garment.cloth.paint(darker=1.05), Frame(), roundness=0.8)
        canvas.line(loop * side, shade(style.colour, 0.6), 0.012)
    canvas.dot((0.0, y), 0.035, shade(style.colour, 0.75))


def _drawstrings(canvas: Canvas, style: Style) -> None:
    top = NECK_Y + style.neck_depth + 0.06
    right = curve([(0.07, top), (0.09, top + 0.15), (0.075, top + 0.32)], 4)
    left = curve([(-0.07, top), (-0.08, top + 0.14), (-0.1, top + 0.28)], 4)
    canvas.lines([right, left], style.second, 0.022)
    for end in (right[-1], left[-1]):
        canvas.dot((float(end[0]), float(end[1])), 0.02, shade(style.second, 0.8))
