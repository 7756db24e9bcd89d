"""What a garment is shown on: a hanger, a tailor's dummy, a person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caffe_compat.demo.canvas import Canvas, Frame, Paint
from caffe_compat.demo.colours import colour, shade
from caffe_compat.demo.shapes import LEFT, NECK_Y, SIDES, Arm, curve, ellipse, mirrored, rectangle, sleeve
from caffe_compat.demo.style import Colour, Style

HANGER, FLAT, DUMMY, WORN = "hanger", "flat", "dummy", "worn"
_SHOWN = (HANGER, FLAT, DUMMY, WORN)
_ARM_ANGLES = {HANGER: (0.12, 0.3), FLAT: (0.25, 0.95), DUMMY: (0.12, 0.25), WORN: (0.12, 0.4)}


@dataclass(frozen=True)
class Figure:
    """How the garment is shown. skin is the person's or the dummy's colour; hair, trousers the person's."""

    shown: str
    arms: tuple[Arm, Arm]
    skin: Colour
    hair: Colour
    trousers: Colour


def random_figure(rng: np.random.Generator) -> Figure:
    """A random way of showing a garment."""
    shown = str(rng.choice(_SHOWN, p=(0.3, 0.27, 0.18, 0.25)))
    low, high = _ARM_ANGLES[shown]
    angle = rng.uniform(low, high)
    arms = tuple(_arm(rng, shown, angle) for _ in range(2))
    skin = colour(rng, "skin") if shown == WORN else colour(rng, "nude", "white", "black", "grey")
    hair, trousers = colour(rng, "black", "dark", "earth"), colour(rng, "denim", "dark", "grey")
    return Figure(shown, (arms[0], arms[1]), skin, hair, trousers)


def _arm(rng: np.random.Generator, shown: str, angle: float) -> Arm:
    upper = angle + rng.normal(0, 0.05)
    bend = rng.choice((-0.25, 0.05, -1.9), p=(0.6, 0.3, 0.1)) if shown == WORN else rng.normal(0, 0.06)
    return Arm(upper, upper + float(bend))


def _skin_paint(skin: Colour) -> Paint:
    return lambda u, v: (np.array(skin, np.float32), np.ones_like(u))


def draw_behind(canvas: Canvas, figure: Figure, style: Style) -> None:
    """What the garment covers: hanger, dummy, or the person's body, arms and legs."""
    if figure.shown == HANGER:
        _hanger(canvas, figure, style)
    elif figure.shown == DUMMY:
        _stand(canvas)
        _torso(canvas, figure)
        _neck(canvas, figure, NECK_Y - 0.2)
    elif figure.shown == WORN:
        _legs(canvas, figure, style)
        _torso(canvas, figure)
        _arms(canvas, figure, style)


def draw_head(canvas: Canvas, figure: Figure) -> None:
    """A person's neck and head, in front of a hood and behind a collar."""
    _neck(canvas, figure, NECK_Y - 0.25)
    _face(canvas, figure)


def _hanger(canvas: Canvas, figure: Figure, style: Style) -> None:
    bar = figure.hair
    end = (style.shoulder - 0.05, NECK_Y + style.slope + 0.04)
    right = curve([(0.0, NECK_Y - 0.03), (0.5 * end[0], NECK_Y + 0.3 * style.slope), end], 5)
    canvas.lines([right, right * LEFT], bar, 0.045)
    hook = np.array([(0.0, -0.03), (0.0, -0.16), (0.07, -0.22), (0.05, -0.31), (-0.04, -0.31)]) + (0.0, NECK_Y)
    canvas.line(curve(hook, 5), (150, 152, 155), 0.022)


def _stand(canvas: Canvas) -> None:
    canvas.line(np.array([(0.0, 0.4), (0.0, 1.6)]), (70, 72, 75), 0.05)
    canvas.fill(ellipse((0.0, 1.6), (0.3, 0.06)), (60, 62, 65))


def _torso(canvas: Canvas, figure: Figure) -> None:
    shoulder = [(0.0, NECK_Y), (0.14, NECK_Y - 0.02), (0.3, -0.74), (0.46, -0.66)]
    flank = [(0.44, -0.4), (0.41, -0.25), (0.34, 0.0), (0.44, 0.35), (0.42, 0.52), (0.0, 0.6)]
    canvas.paint(mirrored(curve(shoulder + flank, 4)), _skin_paint(figure.skin), Frame(), roundness=0.7)


def _neck(canvas: Canvas, figure: Figure, top: float) -> None:
    right = curve([(0.0, top), (0.115, top), (0.115, NECK_Y - 0.08), (0.19, NECK_Y + 0.02), (0.0, NECK_Y + 0.2)], 4)
    canvas.paint(mirrored(right), _skin_paint(figure.skin), Frame(), roundness=0.6)
    if figure.shown == DUMMY:
        canvas.fill(ellipse((0.0, top), (0.11, 0.03)), shade(figure.skin, 0.6))


def _face(canvas: Canvas, figure: Figure) -> None:
    canvas.fill(ellipse((0.0, NECK_Y - 0.45), (0.25, 0.33)), figure.hair)
    canvas.paint(ellipse((0.0, NECK_Y - 0.38), (0.18, 0.25)), _skin_paint(figure.skin), Frame(), roundness=0.4)
    mouth = curve([(-0.06, NECK_Y - 0.25), (0.0, NECK_Y - 0.235), (0.06, NECK_Y - 0.25)], 4)
    canvas.line(mouth, shade(figure.skin, 0.6), 0.022)
    for x in (-0.08, 0.08):
        canvas.dot((x, NECK_Y - 0.42), 0.02, (40, 40, 40))


def _arms(canvas: Canvas, figure: Figure, style: Style) -> None:
    """Arms are skin-tight sleeves as long as the garment's would be."""
    shoulder = max(style.shoulder, 0.47) if style.sleeve else 0.47
    skin = Style(shoulder=shoulder, slope=max(style.slope, 0.13), armhole=0.28, chest=shoulder - 0.08,
                 sleeve=1.1, sleeve_width=0.105, cuff_width=0.055)  # fmt: skip
    for arm, side in zip(figure.arms, SIDES, strict=True):
        canvas.paint(sleeve(skin, arm) * side, _skin_paint(figure.skin), Frame(), roundness=0.7)
        _, elbow, wrist = arm.path(skin)
        x, y = (wrist + 0.1 * (wrist - elbow)) * side
        canvas.paint(ellipse((x, y), (0.07, 0.1), 12), _skin_paint(figure.skin), Frame(), roundness=0.5)


def _legs(canvas: Canvas, figure: Figure, style: Style) -> None:
    bare = style.length > 0.8 or style.leg_cut > 0.1
    leg = np.array([(0.02, 0.45), (0.43, 0.4), (0.4, 0.8), (0.3, 1.3), (0.27, 1.9), (0.1, 1.9), (0.08, 1.2)])
    for side in SIDES:
        canvas.paint(leg * side, _skin_paint(figure.skin if bare else figure.trousers), Frame(), roundness=0.7)
    if not bare:
        canvas.fill(rectangle(-0.43, 0.3, 0.43, 0.6), figure.trousers)
