"""Fig. 7: images with their noisy label, what the net says of image and noise, and what follows for the true label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from caffe_compat.arrays import FloatArray
from caffe_compat.evaluation.figures.style import COLOURS, DARK, HATCHES, SMALL, new_figure, styled
from caffe_compat.evaluation.label_quality.scores_file import TYPES

_BLOCK_WIDTH, _BLOCK_HEIGHT = 3.0, 1.7  # inches
_SIDE = 0.5  # the picture's share of a block
_LOWEST = 10.6  # bars and headings of a block that has all of them: 3 headings, 3 + 3 + 2 bars
_LEGEND = "hatched: from the image alone; solid: with the noisy label known; bold: the true label"
_PRIOR = {"color": "white", "hatch": HATCHES[1]}
_POSTERIOR = {"color": COLOURS[2]}


@dataclass(frozen=True)
class Example:
    """One image.

    Attributes:
        image: (H, W, 3) uint8, RGB.
        noisy: its label; truth: the true one, None if not known.
        p_true: the most probable (label, p(y|x)), first to last.
        p_type, q_type: (3,) p(z|x) and the posterior of the noise types.
        q_true: (label, posterior) of the labels worth telling: the suggested one, and the noisy one if it is another.
    """

    image: npt.NDArray[np.uint8]
    noisy: int
    truth: int | None
    p_true: Sequence[tuple[int, float]]
    p_type: FloatArray
    q_type: FloatArray
    q_true: Sequence[tuple[int, float]]


@styled
def draw_predictions(groups: Sequence[tuple[str, Sequence[Example]]], names: Sequence[str]) -> Any:
    """A row of images for each (title, examples); beside each image bars of p(y|x), p(z|x) and the posterior.

    Raises: ValueError if there is no example.
    """
    columns = max((len(examples) for _, examples in groups), default=0)
    if not columns:
        raise ValueError("groups: expected at least one example, got none")
    figure = new_figure(_BLOCK_WIDTH * columns, (_BLOCK_HEIGHT + 0.25) * len(groups) + 0.4)
    figure.suptitle(_LEGEND, fontsize=SMALL, x=0.995, ha="right")
    rows = figure.subfigures(len(groups), 1, squeeze=False, hspace=0.02)[:, 0]
    for row, (title, examples) in zip(rows, groups, strict=True):
        row.suptitle(title, fontsize=9.5, fontweight="bold", x=0.005, ha="left")
        axes = row.subplots(1, 2 * columns, squeeze=False, gridspec_kw={"width_ratios": [_SIDE, 1 - _SIDE] * columns})
        for place in range(columns):
            picture, bars = axes[0, 2 * place : 2 * place + 2]
            if place < len(examples):
                _draw_picture(picture, examples[place], names)
                _draw_bars(bars, examples[place], names)
            else:
                picture.set_axis_off()
                bars.set_axis_off()
    return figure


def _draw_picture(axes: Any, example: Example, names: Sequence[str]) -> None:
    axes.imshow(example.image, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(True)
    lines = [f"noisy: {names[example.noisy]}"]
    if example.truth is not None:
        lines.append(f"true: {names[example.truth]}")
    axes.set_xlabel("\n".join(lines), fontsize=SMALL - 0.5, loc="left")


def _draw_bars(axes: Any, example: Example, names: Sequence[str]) -> None:
    """Three groups of bars from top to bottom; a noise type has two half bars, p(z|x) above and the posterior below."""
    ticks: list[tuple[float, str]] = []
    at = _heading(axes, 0.0, "p(y|x)")
    for label, value in example.p_true:
        _bar(axes, at, 0.72, value, _PRIOR)
        _value(axes, at, value, f"{value:.2f}")
        ticks.append((at, names[label]))
        at += 1
    at = _heading(axes, at, "p(z|x), posterior below")
    for name, prior, posterior in zip(TYPES, example.p_type, example.q_type, strict=True):
        _bar(axes, at - 0.2, 0.4, prior, _PRIOR)
        _bar(axes, at + 0.2, 0.4, posterior, _POSTERIOR)
        _value(axes, at, max(prior, posterior), f"{prior:.2f}, {posterior:.2f}")
        ticks.append((at, name))
        at += 1
    at = _heading(axes, at, "posterior of y")
    for label, value in example.q_true:
        _bar(axes, at, 0.72, value, _POSTERIOR)
        _value(axes, at, value, f"{value:.2f}")
        ticks.append((at, names[label]))
        at += 1
    places, labels = zip(*ticks, strict=True)
    axes.set_yticks(places, labels, fontsize=SMALL - 0.5)
    axes.tick_params(axis="y", length=0, pad=2)
    for tick in axes.get_yticklabels():
        if example.truth is not None and tick.get_text() == names[example.truth]:
            tick.set_fontweight("bold")
    axes.set(xlim=(0, 1.6), ylim=(_LOWEST, -0.6), xticks=[])
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)


def _heading(axes: Any, at: float, text: str) -> float:
    """Write it at this height, and return the height of the first bar below."""
    axes.text(0.02, at, text, fontsize=SMALL - 1, fontstyle="italic", va="center")
    return at + 1


def _bar(axes: Any, at: float, height: float, value: float, style: dict[str, str]) -> None:
    axes.barh(at, value, height, edgecolor=DARK, linewidth=0.5, **style)


def _value(axes: Any, at: float, right_of: float, text: str) -> None:
    axes.text(right_of + 0.04, at, text, fontsize=SMALL - 1, va="center")
