"""The rows of the layers that work element by element."""

from __future__ import annotations

import numpy as np
from nets import inputs, layer_text, one_layer_text
from option_table import Changes, NoEffect, Observation, Row

MESSAGES = (
    "SigmoidParameter",
    "TanHParameter",
    "ELUParameter",
    "SwishParameter",
    "ExpParameter",
    "LogParameter",
    "PowerParameter",
    "ClipParameter",
    "ThresholdParameter",
    "PReLUParameter",
)

ENGINE = "it picks among implementations of one function, of which there is one here"


def pair(type_name: str, base: str, changed: str) -> tuple[str, str]:
    """The layer with two sets of options in its own message."""
    message = f"{type_name.lower()}_param"
    made = [one_layer_text(type_name, f"{message} {{ {text} }}", x=(3, 4)) for text in (base, changed)]
    return made[0], made[1]


def threshold(options: str) -> str:
    """Without a gradient, which this layer refuses."""
    return inputs(x=(3, 4)) + layer_text("Threshold", "x", "y", f"threshold_param {{ {options} }}")


def tops(base_formula, changed_formula):  # type: ignore[no-untyped-def]
    """The two tops are these functions of the bottom."""

    def check(base: Observation, changed: Observation) -> None:
        for seen, formula in ((base, base_formula), (changed, changed_formula)):
            np.testing.assert_allclose(seen["blob y"], formula(seen["blob x"].astype(np.float64)), rtol=1e-5, atol=1e-6)

    return check


def elu(alpha: float):  # type: ignore[no-untyped-def]
    return lambda x: np.where(x > 0, x, alpha * np.expm1(x))


def swish(beta: float):  # type: ignore[no-untyped-def]
    return lambda x: x / (1 + np.exp(-beta * x))


def prelu(slope: float):  # type: ignore[no-untyped-def]
    return lambda x: np.where(x > 0, x, slope * x)


def one_slope_for_all(base: Observation, changed: Observation) -> None:
    assert base["param layer[0]"].shape == (4,) and changed["param layer[0]"].shape == ()
    np.testing.assert_allclose(changed["gradient of layer[0]"], base["gradient of layer[0]"].sum(), rtol=1e-5)


ROWS: list[Row] = [
    NoEffect("SigmoidParameter.engine", ENGINE, *pair("Sigmoid", "", "engine: CUDNN")),
    NoEffect("TanHParameter.engine", ENGINE, *pair("TanH", "", "engine: CUDNN")),
    Changes("ELUParameter.alpha", *pair("ELU", "", "alpha: 0.5"), expect=tops(elu(1), elu(0.5))),
    Changes("SwishParameter.beta", *pair("Swish", "", "beta: 3"), expect=tops(swish(1), swish(3))),
    Changes("ExpParameter.base", *pair("Exp", "", "base: 2"), expect=tops(np.exp, lambda x: 2**x)),
    Changes("ExpParameter.scale", *pair("Exp", "", "scale: 2"), expect=tops(np.exp, lambda x: np.exp(2 * x))),
    Changes("ExpParameter.shift", *pair("Exp", "", "shift: 2"), expect=tops(np.exp, lambda x: np.exp(x + 2))),
    Changes(
        "LogParameter.base",
        *pair("Log", "shift: 5", "shift: 5 base: 10"),
        expect=tops(lambda x: np.log(x + 5), lambda x: np.log10(x + 5)),
    ),
    Changes(
        "LogParameter.scale",
        *pair("Log", "shift: 5", "shift: 5 scale: 0.5"),
        expect=tops(lambda x: np.log(x + 5), lambda x: np.log(x / 2 + 5)),
    ),
    Changes(
        "LogParameter.shift",
        *pair("Log", "shift: 5", "shift: 6"),
        expect=tops(lambda x: np.log(x + 5), lambda x: np.log(x + 6)),
    ),
    Changes(
        "PowerParameter.power",
        *pair("Power", "shift: 5", "shift: 5 power: -1.5"),
        expect=tops(lambda x: x + 5, lambda x: (x + 5) ** -1.5),
    ),
    Changes("PowerParameter.scale", *pair("Power", "", "scale: -3"), expect=tops(lambda x: x, lambda x: -3 * x)),
    Changes("PowerParameter.shift", *pair("Power", "", "shift: 2"), expect=tops(lambda x: x, lambda x: x + 2)),
    Changes(
        "ClipParameter.min",
        *pair("Clip", "min: -0.5 max: 0.5", "min: 0 max: 0.5"),
        expect=tops(lambda x: np.clip(x, -0.5, 0.5), lambda x: np.clip(x, 0, 0.5)),
    ),
    Changes(
        "ClipParameter.max",
        *pair("Clip", "min: -0.5 max: 0.5", "min: -0.5 max: 1"),
        expect=tops(lambda x: np.clip(x, -0.5, 0.5), lambda x: np.clip(x, -0.5, 1)),
    ),
    Changes(
        "ThresholdParameter.threshold",
        threshold(""),
        threshold("threshold: 0.5"),
        expect=tops(lambda x: x > 0, lambda x: x > 0.5),
    ),
    Changes(
        "PReLUParameter.filler",
        *pair("PReLU", "", "filler { value: -1 }"),
        along=("FillerParameter.value",),
        expect=tops(prelu(0.25), prelu(-1)),
    ),
    Changes("PReLUParameter.channel_shared", *pair("PReLU", "", "channel_shared: true"), expect=one_slope_for_all),
]
