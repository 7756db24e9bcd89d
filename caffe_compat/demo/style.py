"""What one garment looks like, as numbers that can be moved towards another garment's."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

Colour = tuple[float, float, float]  # BGR, 0 to 255

# Lengths are in units of about half a torso: the neck sits at y = -0.8, the waist at 0, the wrist 1.15 from the
# shoulder. x grows to the right, y downwards. Widths are half-widths.


def _geometry(default: float) -> Any:
    return field(default=default, metadata={"geometry": True})


@dataclass(frozen=True)
class Style:
    """A garment. Geometry moves gradually from one garment to another; the other fields are one's or the other's."""

    neck_width: float = _geometry(0.2)
    neck_depth: float = _geometry(0.12)
    neck_v: float = _geometry(0.0)  # 0 a round neckline, 1 a V
    shoulder: float = _geometry(0.52)
    slope: float = _geometry(0.14)  # how far the shoulder tip lies below the neck
    armhole: float = _geometry(0.42)  # from the shoulder tip down to the underarm
    scoop: float = _geometry(0.05)  # how far the armhole bows inwards
    chest: float = _geometry(0.5)
    waist: float = _geometry(0.48)
    waist_y: float = _geometry(0.0)
    hem_width: float = _geometry(0.5)
    length: float = _geometry(0.6)  # y of the hem
    hem_drop: float = _geometry(0.03)  # how much lower the hem's middle is than its ends
    hem_wave: float = _geometry(0.0)
    sleeve: float = _geometry(1.0)  # 0 none, 1 to the wrist
    sleeve_width: float = _geometry(0.17)
    cuff_width: float = _geometry(0.11)
    puff: float = _geometry(0.0)  # outline swells between quilting seams
    midriff: float = _geometry(0.0)  # 0 one piece; 1 a bare belly between an upper and a lower piece
    leg_cut: float = _geometry(0.0)  # how high the legs are cut into the hem

    hood: float = 0.0
    fur: bool = False
    collar: float = 0.0  # a shirt's turned-down collar
    stand: float = 0.0  # a standing collar
    turtle: float = 0.0  # a rolled collar
    rib_neck: float = 0.0
    lapel: float = 0.0
    tie: str = "none"  # what shows in the lapels' V: none, shirt, tie
    bow: float = 0.0
    buttons: int = 0
    double_row: bool = False
    placket: bool = False
    zip: str = "none"  # none, full, half, slanted
    opening: float = 0.0  # the front stands open by so much
    kangaroo: bool = False
    flap_pockets: float = 0.0
    chest_pocket: bool = False
    hip_pockets: str = "none"  # none, patch, slit, welt
    rib_hem: float = 0.0
    cuffs: float = 0.0
    drawstring: bool = False
    ruffles: float = 0.0
    lace: float = 0.0
    fringe: float = 0.0
    belt: float = 0.0
    pleats: float = 0.0
    binding: float = 0.0  # contrasting edges of neck and armholes
    yoke: float = 0.0  # upper part in the second colour
    stitching: bool = False

    sheer: float = 0.0
    rib: float = 0.0
    knit: float = 0.0
    cable: float = 0.0
    quilt: float = 0.0  # pitch of the quilting seams; 0 none
    gloss: float = 0.0
    grain: float = 0.0
    folds: float = 0.5
    pattern: str = "plain"
    pattern_scale: float = 1.0
    graphic: str = "none"
    colour: Colour = (128.0, 128.0, 128.0)
    second: Colour = (255.0, 255.0, 255.0)
    third: Colour = (40.0, 40.0, 40.0)


def morph(style: Style, other: Style, amount: float, rng: np.random.Generator) -> Style:
    """Move ``style`` towards ``other``: its shape by ``amount``, and that share of its details over to the other's.

    Args: amount: in [0, 1]; 0 returns ``style``, 1 ``other``. For one state of ``rng`` it moves steadily.
    """
    changes: dict[str, Any] = {}
    details = []
    for item in fields(Style):
        mine, theirs = getattr(style, item.name), getattr(other, item.name)
        if item.metadata.get("geometry"):
            changes[item.name] = mine + amount * (theirs - mine)
        elif mine != theirs:
            details.append((item.name, theirs))
    switched = rng.permutation(len(details))[: round(amount * len(details))]
    changes.update(details[position] for position in switched)
    return replace(style, **changes)
