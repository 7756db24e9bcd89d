"""A random garment of each of the fourteen kinds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from caffe_compat.demo.colours import colour, contrast
from caffe_compat.demo.style import Style
from caffe_compat.demo.taxonomy import CLASS_NAMES

Rng = np.random.Generator
_JITTER = {"neck_width": 0.06, "shoulder": 0.05, "chest": 0.05, "waist": 0.07, "hem_width": 0.07, "length": 0.08,
           "neck_depth": 0.12, "sleeve_width": 0.08, "cuff_width": 0.1, "armhole": 0.06}  # fmt: skip


def dress_up(label: int, rng: Rng) -> Style:
    """A random garment of class ``label``."""
    style = _MAKERS[label](rng)
    changes = {name: getattr(style, name) * (1 + share * rng.uniform(-1, 1)) for name, share in _JITTER.items()}
    return replace(style, **changes, folds=rng.uniform(0.3, 1.0) * style.folds)


def _pick(rng: Rng, options: Sequence[Any], weights: Sequence[float] | None = None) -> Any:
    return options[int(rng.choice(len(options), p=weights))]


def _chance(rng: Rng, share: float) -> bool:
    return bool(rng.random() < share)


def _coloured(rng: Rng, *palettes: str) -> dict[str, Any]:
    base = colour(rng, *palettes)
    return {"colour": base, "second": contrast(rng, base), "third": contrast(rng, base)}


def _t_shirt(rng: Rng) -> Style:
    v = _chance(rng, 0.25)
    pattern = _pick(rng, ("plain", "stripes", "blocks"), (0.75, 0.18, 0.07))
    prints = ("bars", "disc", "star", "heart", "picture", "number", "band")
    return Style(
        **_coloured(rng, "white", "bright", "bright", "muted", "grey", "black", "pastel"),
        neck_width=0.19, neck_depth=0.3 if v else 0.16, neck_v=0.9 if v else 0.0, rib_neck=0.045,
        sleeve=rng.uniform(0.26, 0.4), sleeve_width=0.21, cuff_width=0.2, cuffs=0.03, armhole=0.42,
        pattern=pattern, pattern_scale=rng.uniform(0.8, 1.5),
        graphic=_pick(rng, prints) if pattern == "plain" and _chance(rng, 0.8) else "none",
    )  # fmt: skip


def _shirt(rng: Rng) -> Style:
    short = _chance(rng, 0.2)
    return Style(
        **_coloured(rng, "white", "white", "pastel", "denim", "muted", "bright") | {"third": (225.0, 225.0, 222.0)},
        neck_width=0.19, neck_depth=0.13, neck_v=1.0, collar=rng.uniform(0.9, 1.3), placket=True,
        buttons=int(rng.integers(6, 8)), chest_pocket=_chance(rng, 0.65), hem_drop=0.14, length=0.58, waist=0.47,
        sleeve=0.4 if short else 1.0, sleeve_width=0.19 if short else 0.16, cuff_width=0.19 if short else 0.11,
        cuffs=0.0 if short else 0.09,
        pattern=_pick(rng, ("plain", "checks", "pinstripes", "windowpane"), (0.3, 0.35, 0.2, 0.15)),
        pattern_scale=rng.uniform(0.8, 1.6),
    )  # fmt: skip


def _knitwear(rng: Rng) -> Style:
    is_open = _chance(rng, 0.45)
    return Style(
        **_coloured(rng, "earth", "muted", "pastel", "grey", "red"),
        neck_width=0.18, neck_depth=rng.uniform(0.5, 0.72), neck_v=1.0, sleeve_width=0.16, cuff_width=0.115,
        length=rng.uniform(0.55, 0.95), waist=0.47, rib=0.22, knit=0.1, rib_hem=0.09, cuffs=0.1,
        opening=rng.uniform(0.1, 0.2) if is_open else 0.035, buttons=int(rng.integers(4, 7)),
        hip_pockets=_pick(rng, ("none", "patch"), (0.5, 0.5)),
        pattern=_pick(rng, ("plain", "stripes"), (0.8, 0.2)), pattern_scale=rng.uniform(1.0, 2.0),
    )  # fmt: skip


def _chiffon(rng: Rng) -> Style:
    bell = rng.uniform(0.16, 0.26)
    bow = _chance(rng, 0.55)
    return Style(
        **_coloured(rng, "pastel", "pastel", "white", "nude", "bright"),
        neck_width=0.2, neck_depth=rng.uniform(0.14, 0.3), neck_v=0.4, sheer=rng.uniform(0.6, 1.0),
        sleeve=_pick(rng, (0.5, 0.75, 1.0)), sleeve_width=0.19, cuff_width=bell, waist=0.46,
        hem_width=rng.uniform(0.58, 0.7), length=rng.uniform(0.45, 0.65), hem_wave=0.035, hem_drop=0.05,
        bow=rng.uniform(0.9, 1.3) if bow else 0.0, ruffles=0.0 if bow and _chance(rng, 0.5) else rng.uniform(0.3, 1.0),
        pleats=0.14, pattern=_pick(rng, ("plain", "flowers", "dots"), (0.5, 0.3, 0.2)),
        pattern_scale=rng.uniform(0.8, 1.4), folds=0.8,
    )  # fmt: skip


def _sweater(rng: Rng) -> Style:
    turtle = _chance(rng, 0.5)
    pattern = _pick(rng, ("plain", "fair_isle", "argyle", "stripes"), (0.4, 0.32, 0.15, 0.13))
    return Style(
        **_coloured(rng, "earth", "muted", "white", "red", "navy", "bright"),
        neck_width=0.18, neck_depth=0.12, turtle=rng.uniform(0.2, 0.28) if turtle else 0.0, rib_neck=0.08,
        chest=0.53, waist=0.53, hem_width=0.5, length=0.58, sleeve_width=0.19, cuff_width=0.13,
        knit=0.16, cable=0.32 if pattern == "plain" else 0.0, rib_hem=0.14, cuffs=0.12,
        pattern=pattern, pattern_scale=rng.uniform(0.8, 1.3),
    )  # fmt: skip


def _hoodie(rng: Rng) -> Style:
    zipped = _chance(rng, 0.3)
    return Style(
        **_coloured(rng, "grey", "bright", "muted", "black", "navy", "red"),
        neck_width=0.22, neck_depth=0.14, hood=rng.uniform(0.9, 1.15), drawstring=True, kangaroo=True,
        zip="full" if zipped else "none", chest=0.54, waist=0.54, hem_width=0.5, length=0.6, sleeve_width=0.19,
        cuff_width=0.12, rib_hem=0.11, cuffs=0.1, folds=0.8,
        graphic=_pick(rng, ("none", "bars", "number", "star"), (0.5, 0.2, 0.15, 0.15)) if not zipped else "none",
    )  # fmt: skip


def _windbreaker(rng: Rng) -> Style:
    return Style(
        **_coloured(rng, "bright", "bright", "red", "navy", "black"),
        neck_width=0.2, neck_depth=0.08, stand=rng.uniform(0.14, 0.2), hood=_pick(rng, (0.0, 0.85), (0.55, 0.45)),
        zip="full", chest=0.55, waist=0.54, hem_width=0.5, length=rng.uniform(0.55, 0.7), sleeve_width=0.19,
        cuff_width=0.12, cuffs=0.05, gloss=rng.uniform(0.14, 0.24), folds=1.2, yoke=rng.uniform(0.26, 0.42),
        hip_pockets="slit", drawstring=_chance(rng, 0.3), pattern=_pick(rng, ("plain", "blocks"), (0.65, 0.35)),
    )  # fmt: skip


def _jacket(rng: Rng) -> Style:
    if _chance(rng, 0.5):
        style = Style(
            **_coloured(rng, "denim", "denim", "khaki") | {"third": (70.0, 150.0, 205.0)},
            stitching=True, buttons=6, placket=True, grain=0.1, flap_pockets=1.0,
        )  # fmt: skip
    else:
        style = Style(
            **_coloured(rng, "black", "earth", "dark") | {"third": (205.0, 205.0, 200.0)},
            gloss=0.2, zip="slanted", hip_pockets="slit", flap_pockets=_pick(rng, (0.0, 0.8)),
            lapel=rng.uniform(0.0, 0.5),
        )  # fmt: skip
    return replace(
        style, neck_width=0.2, neck_depth=0.2, neck_v=1.0, collar=rng.uniform(1.2, 1.5), chest=0.52, waist=0.5,
        hem_width=0.47, length=rng.uniform(0.38, 0.5), hem_drop=0.0, sleeve_width=0.175, cuff_width=0.12, cuffs=0.08,
        rib_hem=0.0, belt=0.0,
    )  # fmt: skip


def _downcoat(rng: Rng) -> Style:
    hooded = _chance(rng, 0.6)
    return Style(
        **_coloured(rng, "bright", "red", "black", "navy", "muted", "khaki") | {"third": colour(rng, "earth", "grey")},
        neck_width=0.21, neck_depth=0.08, stand=rng.uniform(0.16, 0.22), hood=1.15 if hooded else 0.0,
        fur=hooded and _chance(rng, 0.7), zip="full", chest=0.6, waist=0.59, hem_width=0.6,
        length=rng.uniform(0.55, 1.05), sleeve_width=0.23, cuff_width=0.165, puff=0.035, quilt=rng.uniform(0.16, 0.24),
        gloss=0.08, folds=0.3, hip_pockets=_pick(rng, ("slit", "none")), armhole=0.46,
    )  # fmt: skip


def _suit(rng: Rng) -> Style:
    double = _chance(rng, 0.25)
    return Style(
        **_coloured(rng, "navy", "black", "grey", "dark")
        | {"third": colour(rng, "red", "navy", "bright", "black"), "second": colour(rng, "grey")},
        neck_width=0.18, neck_depth=rng.uniform(0.62, 0.78), neck_v=1.0, lapel=rng.uniform(0.85, 1.15),
        tie=_pick(rng, ("tie", "shirt"), (0.75, 0.25)), shoulder=0.56, chest=0.52, waist=0.47, hem_width=0.53,
        length=rng.uniform(0.7, 0.82), sleeve_width=0.16, cuff_width=0.115, buttons=2, double_row=double,
        hip_pockets="welt", slope=0.11, pattern=_pick(rng, ("plain", "pinstripes", "windowpane"), (0.6, 0.25, 0.15)),
        pattern_scale=0.8, folds=0.35,
    )  # fmt: skip


def _shawl(rng: Rng) -> Style:
    pattern = _pick(rng, ("plain", "paisley", "checks", "fair_isle", "flowers"), (0.2, 0.25, 0.25, 0.15, 0.15))
    return Style(
        **_coloured(rng, "earth", "muted", "red", "bright", "grey"),
        neck_width=rng.uniform(0.2, 0.28), neck_depth=rng.uniform(0.3, 0.5), neck_v=1.0, shoulder=0.5, slope=0.2,
        armhole=0.3, scoop=-0.12, chest=0.78, waist=0.9, waist_y=0.05, hem_width=0.92, length=0.22,
        hem_drop=rng.uniform(0.4, 0.65), sleeve=0.0, fringe=rng.uniform(0.18, 0.28), knit=0.1, folds=1.2,
        opening=_pick(rng, (0.0, 0.03)), pattern=pattern, pattern_scale=rng.uniform(0.9, 1.5),
    )  # fmt: skip


def _dress(rng: Rng) -> Style:
    sleeve = _pick(rng, (0.0, 0.25), (0.6, 0.4))
    return Style(
        **_coloured(rng, "bright", "pastel", "red", "black", "muted"),
        neck_width=0.22, neck_depth=rng.uniform(0.16, 0.34), neck_v=_pick(rng, (0.0, 0.9)), shoulder=0.42, slope=0.1,
        armhole=0.4, scoop=0.08, chest=0.42, waist=0.32, waist_y=-0.02, hem_width=rng.uniform(0.62, 0.88),
        length=rng.uniform(0.95, 1.35), hem_drop=0.05, hem_wave=0.03, sleeve=sleeve, sleeve_width=0.17, cuff_width=0.17,
        belt=_pick(rng, (0.0, 0.09), (0.4, 0.6)), pleats=0.24,
        pattern=_pick(rng, ("plain", "flowers", "dots"), (0.45, 0.35, 0.2)), pattern_scale=rng.uniform(0.9, 1.5),
    )  # fmt: skip


def _vest(rng: Rng) -> Style:
    pattern = _pick(rng, ("plain", "stripes", "camouflage"), (0.72, 0.18, 0.1))
    return Style(
        **_coloured(rng, "white", "grey", "black", "bright", "bright", "muted"),
        neck_width=0.21, neck_depth=rng.uniform(0.36, 0.5), shoulder=0.32, slope=0.07, armhole=0.52, scoop=0.12,
        chest=0.46, waist=0.44, hem_width=0.45, length=rng.uniform(0.52, 0.68), sleeve=0.0,
        binding=_pick(rng, (0.0, 0.045), (0.3, 0.7)), rib=_pick(rng, (0.0, 0.12)), pattern=pattern,
        graphic=_pick(rng, ("none", "number", "bars"), (0.55, 0.3, 0.15)) if pattern == "plain" else "none",
    )  # fmt: skip


def _underwear(rng: Rng) -> Style:
    return Style(
        **_coloured(rng, "nude", "black", "pastel", "red", "white")
        | {"third": colour(rng, "white", "pastel", "black")},
        neck_width=0.25, neck_depth=rng.uniform(0.42, 0.52), neck_v=0.6, shoulder=0.3, slope=0.04, armhole=0.42,
        scoop=0.03, chest=0.42, waist=0.37, hem_width=0.45, length=0.52, hem_drop=0.02, sleeve=0.0,
        midriff=rng.uniform(0.85, 1.0), leg_cut=rng.uniform(0.2, 0.32), lace=rng.uniform(0.7, 1.2),
        folds=0.2, gloss=_pick(rng, (0.0, 0.1)), pattern=_pick(rng, ("plain", "dots", "flowers"), (0.65, 0.2, 0.15)),
    )  # fmt: skip


_BY_NAME: dict[str, Callable[[Rng], Style]] = {
    "T-Shirt": _t_shirt, "Shirt": _shirt, "Knitwear": _knitwear, "Chiffon": _chiffon, "Sweater": _sweater,
    "Hoodie": _hoodie, "Windbreaker": _windbreaker, "Jacket": _jacket, "Downcoat": _downcoat, "Suit": _suit,
    "Shawl": _shawl, "Dress": _dress, "Vest": _vest, "Underwear": _underwear,
}  # fmt: skip
_MAKERS = [_BY_NAME[name] for name in CLASS_NAMES]
