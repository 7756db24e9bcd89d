"""What is sewn on or printed: ribbed hems, bindings, belts, ruffles, lace, fringes, yokes, prints."""

from __future__ import annotations

import numpy as np

from caffe_compat.demo.canvas import Canvas, Frame
from caffe_compat.demo.colours import shade
from caffe_compat.demo.garment import Garment
from caffe_compat.demo.shapes import (
    LEFT,
    NECK_Y,
    SIDES,
    armhole,
    curve,
    ellipse,
    half_width,
    hem,
    neckline,
    rectangle,
    upper_part,
)  # fmt: skip
from caffe_compat.demo.style import Style


def draw(canvas: Canvas, garment: Garment) -> None:
    """All trims that the style asks for."""
    style = garment.style
    if style.yoke > 0:
        _yoke(canvas, garment)
    if style.graphic != "none":
        GRAPHICS[style.graphic](canvas, style)
    if style.rib_hem:
        _rib_hem(canvas, garment)
    if style.belt:
        _belt(canvas, style)
    if style.ruffles:
        _ruffles(canvas, garment)
    if style.binding:
        _binding(canvas, style)
    if style.stitching:
        _stitching(canvas, style)
    if style.midriff > 0.3:
        _cups(canvas, style)
    if style.lace:
        _lace(canvas, style)
    if style.fringe:
        _fringe(canvas, style)


def _yoke(canvas: Canvas, garment: Garment) -> None:
    style = garment.style
    panel = upper_part(style, NECK_Y + style.slope + style.yoke)
    canvas.paint(panel, garment.cloth.paint(in_second=True), Frame(), 1.0, 0.3)


def _rib_hem(canvas: Canvas, garment: Garment) -> None:
    style = garment.style
    top = style.length - style.rib_hem
    edge = hem(style) * (0.97, 1.0)
    wide = half_width(style, top)
    band = np.concatenate([[(-wide, top), (wide, top)], edge])
    canvas.paint(band, garment.cloth.paint(ribbed=True, darker=0.88), Frame(), garment.opacity, 0.4)
    canvas.line(band[:2], shade(style.colour, 0.6), 0.014)


def _belt(canvas: Canvas, style: Style) -> None:
    y, half = style.waist_y, 0.5 * style.belt
    wide = half_width(style, y) + 0.01
    canvas.fill(rectangle(-wide, y - half, wide, y + half), style.third)
    buckle = rectangle(-0.05, y - 1.2 * half, 0.05, y + 1.2 * half)
    canvas.line(buckle, shade(style.third, 1.5), 0.016, closed=True)


def _ruffles(canvas: Canvas, garment: Garment) -> None:
    style = garment.style
    count = round(2 + 2 * style.ruffles)
    top, bottom = NECK_Y + style.neck_depth + 0.08, style.length - 0.12
    for y in np.linspace(top + 0.1, bottom, count):
        wide = half_width(style, y) * (1.0 if y > -0.2 else 0.72)
        x = np.linspace(-wide, wide, 34)
        low = y + 0.1 + 0.025 * np.sin(x * 42 + y * 9) + 0.03 * np.cos(x * 2)
        frill = np.concatenate([np.stack([x, np.full_like(x, y)], 1), np.stack([x, low], 1)[::-1]])
        canvas.paint(frill, garment.cloth.paint(darker=1.04), Frame(), 0.7 + 0.3 * garment.opacity, 0.35)
        canvas.line(frill[34:], shade(style.colour, 0.72), 0.016)
        canvas.line(frill[:34], shade(style.colour, 0.82), 0.01)


def _binding(canvas: Canvas, style: Style) -> None:
    edge = neckline(style)
    hole = armhole(style)
    canvas.lines([edge, edge * LEFT, hole, hole * LEFT], style.second, style.binding)


def _stitching(canvas: Canvas, style: Style) -> None:
    top, bottom = NECK_Y + style.neck_depth, style.length + style.hem_drop
    seams = [np.array([(x, top + 0.06), (x, bottom)]) for x in (-0.05, 0.05)]
    yoke = np.array([(-0.95 * style.chest, -0.4), (0, -0.42), (0.95 * style.chest, -0.4)])
    panels = [np.array([(0.3, -0.38), (0.2, bottom - 0.05)]) * side for side in SIDES]
    canvas.lines([*seams, yoke, *panels], style.third, 0.012)


def _cups(canvas: Canvas, style: Style) -> None:
    underarm = NECK_Y + style.slope + style.armhole
    outer = (style.chest - 0.03, underarm - 0.1)
    cup = curve([(0.05, underarm - 0.02), (0.16, underarm + 0.09), (0.34, underarm + 0.05), outer], 5)
    canvas.lines([cup, cup * LEFT], shade(style.colour, 0.6), 0.02)
    canvas.dot((0.0, underarm - 0.01), 0.03, style.third)


def _lace(canvas: Canvas, style: Style) -> None:
    neck, edge = neckline(style, 14), hem(style)
    lines = [neck, neck * LEFT, edge]
    for line in lines:
        for x, y in line[::2]:
            canvas.dot((float(x), float(y)), 0.028 * style.lace, style.third)
    canvas.lines([line + (0.0, 0.07) for line in lines[:2]] + [edge - (0.0, 0.08)], style.third, 0.014)


def _fringe(canvas: Canvas, style: Style) -> None:
    edge = hem(style)
    step = np.linspace(0, len(edge) - 1, 46)
    roots = np.stack([np.interp(step, np.arange(len(edge)), edge[:, axis]) for axis in (0, 1)], axis=1)
    sway = 0.03 * np.sin(np.arange(len(roots)) * 1.9)
    tips = roots + np.stack([sway + 0.05 * roots[:, 0], np.full(len(roots), style.fringe)], axis=1)
    strands = [np.stack([root, tip]) for root, tip in zip(roots, tips, strict=True)]
    canvas.lines(strands[::2], shade(style.colour, 0.72), 0.02)
    canvas.lines(strands[1::2], shade(style.second, 0.95), 0.02)


def _bars(canvas: Canvas, style: Style) -> None:
    for y, wide in ((-0.38, 0.26), (-0.28, 0.2), (-0.18, 0.24)):
        for left in np.arange(-wide, wide - 0.02, 0.085):
            canvas.fill(rectangle(left, y, left + 0.06, y + 0.07), style.second)


def _disc(canvas: Canvas, style: Style) -> None:
    canvas.fill(ellipse((0.0, -0.25), (0.24, 0.24)), style.second)
    canvas.fill(ellipse((0.0, -0.25), (0.16, 0.16)), style.third)
    canvas.fill(rectangle(-0.3, -0.29, 0.3, -0.21), style.second)


def _star(canvas: Canvas, style: Style) -> None:
    angle = np.arange(10) * np.pi / 5 - np.pi / 2
    radius = np.where(np.arange(10) % 2 == 0, 0.27, 0.11)
    canvas.fill(np.stack([radius * np.cos(angle), radius * np.sin(angle) - 0.25], axis=1), style.second)


def _heart(canvas: Canvas, style: Style) -> None:
    t = np.linspace(0, 2 * np.pi, 26, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    canvas.fill(np.stack([x * 0.015, y * 0.015 - 0.27], axis=1), style.second)


def _picture(canvas: Canvas, style: Style) -> None:
    canvas.fill(rectangle(-0.25, -0.48, 0.25, -0.05), style.second)
    canvas.fill(np.array([(-0.25, -0.05), (-0.07, -0.32), (0.03, -0.18), (0.12, -0.27), (0.25, -0.05)]), style.third)
    canvas.dot((0.14, -0.38), 0.05, shade(style.third, 1.4))


def _number(canvas: Canvas, style: Style) -> None:
    bar = [(-0.17, -0.38), (-0.17, -0.48), (0.17, -0.48), (0.17, -0.39)]
    leg = [(0.02, 0.0), (-0.09, 0.0), (0.05, -0.38)]
    canvas.fill(np.array(bar + leg), style.second)


def _band(canvas: Canvas, style: Style) -> None:
    top, bottom = -0.36, -0.1
    wide = half_width(style, -0.2)
    canvas.fill(rectangle(-wide, top, wide, bottom), style.second)
    canvas.fill(rectangle(-wide, top + 0.09, wide, bottom - 0.09), style.third)


GRAPHICS = {
    "bars": _bars, "disc": _disc, "star": _star, "heart": _heart, "picture": _picture, "number": _number, "band": _band,
}  # fmt: skip
