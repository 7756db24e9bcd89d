"""A garment as the drawing code passes it around."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from caffe_compat.demo.fabrics import Cloth
from caffe_compat.demo.shapes import SIDES, Arm, body_pieces, hood_outline, sleeve
from caffe_compat.demo.style import Style

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

    @property
    def has_sleeves(self) -> bool:
        return self.style.sleeve > _SHORTEST_SLEEVE

    @cached_property
    def body(self) -> list[np.ndarray]:
        """The body's outlines, one or two."""
        return body_pieces(self.style)

    @cached_property
    def sleeves(self) -> list[np.ndarray]:
        """The sleeves' outlines: left and right, or none."""
        return [sleeve(self.style, arm) * side for arm, side in self.sides()] if self.has_sleeves else []

    def sides(self) -> list[tuple[Arm, np.ndarray]]:
        """Each arm with the factor that takes the right side's points to its own side."""
        return list(zip(self.arms, SIDES, strict=True))

    def outlines(self) -> list[np.ndarray]:
        """The polygons that the garment covers: for shadows, folds and the camera."""
        hood = [hood_outline(self.style)] if self.style.hood else []
        return [*self.body, *self.sleeves, *hood]
