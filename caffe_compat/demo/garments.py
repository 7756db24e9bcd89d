"""One garment on the canvas: hood and sleeves, body, and whatever is sewn on, from back to front."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caffe_compat.demo import closures, collars, trims
from caffe_compat.demo.canvas import Canvas, Frame
from caffe_compat.demo.fabrics import Cloth
from caffe_compat.demo.shapes import Arm, body, curve, half_width, mirrored, neckline, sleeve
from caffe_compat.demo.style import Style

LEFT = np.array([-1.0, 1.0])  # multiplied with points of the right side
_SHORTEST_SLEEVE = 0.06


@dataclass(frozen=True)
class Garment:
    """A style with its cloth and the way its arms hang (left, right)."""

    style: Style
    cloth: Cloth
    arms: tuple[Arm, Arm]

    @property
    def opacity(self) -> float:
        return 1 - 0.42 * self.style.sheer

    def sides(self) -> list[tuple[Arm, np.ndarray]]:
        """Each arm with the factor that takes the right side's points to its own side."""
        return [(self.arms[0], LEFT), (self.arms[1], np.ones(2))]

    def outlines(self) -> list[np.ndarray]:
        """The polygons that the garment covers: for shadows, folds and the camera."""
        found = body_pieces(self.style)
        if self.style.sleeve > _SHORTEST_SLEEVE:
            found += [sleeve(self.style, arm) * side for arm, side in self.sides()]
        if self.style.hood:
            found.append(collars.hood_outline(self.style))
        return found


def body_pieces(style: Style) -> list[np.ndarray]:
    """The body's outline: one polygon, or an upper and a lower one with a bare belly between."""
    if style.midriff < 0.05:
        return [body(style)]
    underarm = -0.8 + style.slope + style.armhole
    middle = 0.5 * (underarm + style.length)
    top = underarm + 0.1 + (middle - underarm - 0.1) * (1 - style.midriff)
    bottom = style.length - 0.3 - (style.length - 0.3 - middle) * (1 - style.midriff)
    whole = body(style)
    right = whole[: len(whole) // 2]
    upper = np.concatenate([right[right[:, 1] <= underarm + 1e-9], _under_edge(style, top)])
    hem = right[-14:]
    waist = np.array([(0, bottom + 0.03), (float(half_width(style, bottom)), bottom)])
    return [mirrored(_middle_first(upper)), mirrored(_middle_first(np.concatenate([waist, hem])))]


def _under_edge(style: Style, y: float) -> np.ndarray:
    width = float(half_width(style, y))
    return curve([(width, y), (0.55 * width, y + 0.06), (0.12 * width, y - 0.03), (0, y - 0.04)], 4)


def _middle_first(right: np.ndarray) -> np.ndarray:
    right = right.copy()
    right[0, 0] = right[-1, 0] = 0.0
    return right


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
    _draw_sleeves(canvas, garment)
    _draw_body(canvas, garment)
    trims.draw(canvas, garment)
    closures.draw(canvas, garment)
    collars.draw(canvas, garment)


def _draw_sleeves(canvas: Canvas, garment: Garment) -> None:
    style, cloth = garment.style, garment.cloth
    if style.sleeve <= _SHORTEST_SLEEVE:
        return
    sleeve_paint = cloth.paint(in_second=style.yoke < 0)
    for arm, side in garment.sides():
        joint, elbow, _ = arm.path(style) * side
        along = (elbow - joint) / np.linalg.norm(elbow - joint)
        frame = Frame(tuple(joint), tuple(along))
        canvas.paint(sleeve(style, arm) * side, sleeve_paint, frame, garment.opacity, roundness=0.75)
        if style.cuffs and style.sleeve > 0.15:
            cuff = sleeve(style, arm, 1 - style.cuffs / style.sleeve, 1.0, -0.015 if style.rib_hem else 0.01) * side
            canvas.paint(cuff, cloth.paint(ribbed=bool(style.rib_hem), darker=0.9), frame, garment.opacity, 0.6)


def _draw_body(canvas: Canvas, garment: Garment) -> None:
    style, cloth = garment.style, garment.cloth
    seam = tuple(0.55 * value for value in style.colour)
    for outline in body_pieces(style):
        canvas.paint(outline, cloth.paint(), Frame(), garment.opacity, roundness=0.55)
    if style.sleeve > _SHORTEST_SLEEVE and style.sheer < 0.5:
        right = body(style)
        hole = right[7:15]
        canvas.lines([hole, hole * LEFT], seam, 0.012)
