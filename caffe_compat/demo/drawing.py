"""One garment on the canvas: hood and sleeves, body, and whatever is sewn on, from back to front."""

from __future__ import annotations

import numpy as np

from caffe_compat.demo import closures, collars, trims
from caffe_compat.demo.canvas import Canvas, Frame
from caffe_compat.demo.colours import shade
from caffe_compat.demo.garment import Garment
from caffe_compat.demo.shapes import LEFT, armhole, curve, neckline, sleeve


def draw_back(canvas: Canvas, garment: Garment) -> None:
    """What is seen through an empty neck: the inside of the back."""
    style = garment.style
    right = neckline(style)
    low = right[-1, 1] + 0.3 * style.neck_depth
    back = curve([right[-1], (0.7 * style.neck_width, 0.3 * right[-1, 1] + 0.7 * low), (0.0, low)], 5)
    inside = np.concatenate([right, back])
    outline = np.concatenate([inside, (inside * LEFT)[::-1]])
    canvas.paint(outline, garment.cloth.paint(darker=0.5), Frame(), garment.opacity, roundness=0.2)


def draw_hood(canvas: Canvas, garment: Garment) -> None:
    """The hood, if any; it stands behind the neck and the head."""
    if garment.style.hood:
        collars.draw_hood(canvas, garment)


def draw_front(canvas: Canvas, garment: Garment) -> None:
    """Sleeves, body and details."""
    if garment.has_sleeves:
        _draw_sleeves(canvas, garment)
    _draw_body(canvas, garment)
    trims.draw(canvas, garment)
    closures.draw(canvas, garment)
    collars.draw(canvas, garment)


def _draw_sleeves(canvas: Canvas, garment: Garment) -> None:
    style, cloth = garment.style, garment.cloth
    for outline, (arm, side) in zip(garment.sleeves, garment.sides(), strict=True):
        joint, elbow, _ = arm.path(style) * side
        along = (elbow - joint) / np.linalg.norm(elbow - joint)
        frame = Frame(tuple(joint), tuple(along))
        canvas.paint(outline, cloth.paint(), frame, garment.opacity, roundness=0.75)
        if style.cuffs and style.sleeve > 0.15:
            cuff = sleeve(style, arm, 1 - style.cuffs / style.sleeve, 1.0, -0.015 if style.rib_hem else 0.01) * side
            canvas.paint(cuff, cloth.paint(ribbed=bool(style.rib_hem), darker=0.9), frame, garment.opacity, 0.6)


def _draw_body(canvas: Canvas, garment: Garment) -> None:
    style, cloth = garment.style, garment.cloth
    for outline in garment.body:
        canvas.paint(outline, cloth.paint(), Frame(), garment.opacity, roundness=0.55)
    if garment.has_sleeves and style.sheer < 0.5:
        seam = armhole(style)
        canvas.lines([seam, seam * LEFT], shade(style.colour, 0.55), 0.012)
