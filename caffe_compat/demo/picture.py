"""One image of the demo data: garment, place, camera."""

from __future__ import annotations

import numpy as np

from caffe_compat.demo import rooms, scene
from caffe_compat.demo.canvas import Canvas
from caffe_compat.demo.drawing import draw_back, draw_front, draw_hood
from caffe_compat.demo.fabrics import Cloth
from caffe_compat.demo.figure import WORN, draw_behind, draw_head, random_figure
from caffe_compat.demo.garment import Garment
from caffe_compat.demo.style import morph
from caffe_compat.demo.wardrobe import dress_up

MOST_MORPHED = 0.75
_SUPERSAMPLING = 2


def morph_amount(hardness: float) -> float:
    """How far a garment has moved towards its look-alike: 0.75 h^2, the same growth as the chance of confusion."""
    return MOST_MORPHED * hardness**2


def draw_picture(true: int, look_alike: int, hardness: float, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a garment of class ``true`` that resembles ``look_alike`` the more the larger ``hardness``.

    Args: hardness: in [0, 1]. size: of the picture, in pixels.
    Returns: uint8 (size, size, 3), BGR.
    """
    figure = random_figure(rng)
    style = morph(dress_up(true, rng), dress_up(look_alike, rng), morph_amount(hardness), rng)
    garment = Garment(style, Cloth(style, rng.standard_normal((12, 12))), figure.arms)
    outlines = garment.outlines()
    large = size * _SUPERSAMPLING
    matrix = scene.camera(outlines, figure.shown, large, rng)
    canvas = Canvas(rooms.background(figure.shown, large, 0.12 + 0.25 * hardness, rng), matrix)
    covered = scene.coverage(canvas, outlines)
    scene.cast_shadow(canvas, covered, rng.uniform(0.15, 0.45), rng)
    draw_behind(canvas, figure, style)
    draw_hood(canvas, garment)
    if figure.shown == WORN:
        draw_head(canvas, figure)
    else:
        draw_back(canvas, garment)
    draw_front(canvas, garment)
    scene.crease(canvas, covered, style.folds, rng)
    if rng.random() < 0.12 + 0.15 * hardness:
        scene.stick_on(canvas.image, rng)
    return scene.photograph(canvas.image, size, 0.5 * hardness * rng.random(), rng)
