"""Fig. 6: which noisy labels the images of each class carry, and how frequent both kinds of labels are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from caffe_compat.arrays import IntArray
from caffe_compat.evaluation.figures.style import (
    COLOURS,
    DARK,
    HATCHES,
    LIGHT,
    SEQUENTIAL,
    SMALL,
    new_figure,
    styled,
    text_colour,
)

_LEAST_SHOWN = 0.01  # smaller shares have no number, as in the paper
_MOST_WITH_NUMBERS = 25  # classes
_INCHES_PER_CLASS = 0.46


@dataclass(frozen=True)
class Confused:
    """Images of class ``true`` labelled ``noisy``: ``share`` of the class in (0, 1]."""

    true: int
    noisy: int
    share: float


def worst_pairs(counts: IntArray, how_many: int) -> list[Confused]:
    """The wrong labels that take the largest shares of their classes; counts (L, L) indexed [noisy, true]."""
    shares = _shares(counts) * (1 - np.eye(len(counts)))
    worst = np.argsort(-shares, axis=None, kind="stable")[:how_many]
    noisy, true = np.unravel_index(worst, shares.shape)
    return [Confused(int(t), int(n), float(shares[n, t])) for n, t in zip(noisy, true, strict=True) if shares[n, t] > 0]


@styled
def draw_label_confusion(counts: IntArray, names: Sequence[str], worst: int = 5) -> Any:
    """p(noisy | true) as a heat map, the frequencies of both labels on top, the ``worst`` pairs framed and named.

    Shapes: counts (L, L) whole numbers indexed [noisy, true]; names L.
    Raises: ValueError if there is no image.
    """
    counts = np.asarray(counts)
    if not counts.sum():
        raise ValueError("counts: expected at least one image, got none")
    size = max(3.6, _INCHES_PER_CLASS * len(names))
    figure = new_figure(size + 2.0, size + 2.4)
    frequencies, heat = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [1.3, _rows(len(names))]})
    _draw_frequencies(frequencies, counts)
    image = _draw_heat(heat, _shares(counts), names)
    pairs = worst_pairs(counts, worst)
    _frame(heat, pairs)
    figure.colorbar(image, ax=heat, fraction=0.045, pad=0.02, label="share of the class, p(noisy | clean)")
    right = np.trace(counts) / counts.sum()
    frequencies.set_title(f"{counts.sum():,} images, {right:.2%} of the noisy labels right", loc="left")
    if pairs:
        named = [f"{names[p.true]} labelled {names[p.noisy]} {p.share:.0%}" for p in pairs]
        lines = [",  ".join(named[at : at + 2]) for at in range(0, len(named), 2)]
        text = "framed, the most frequent errors (share of the clean class):\n" + "\n".join(lines)
        figure.supxlabel(text, fontsize=8, x=0.02, ha="left")
    return figure


def _shares(counts: IntArray) -> np.ndarray:
    """p(noisy | true), columns of sum 1; 0 for a class without images."""
    return counts / np.maximum(counts.sum(axis=0), 1)


def _rows(num_classes: int) -> float:
    return max(3.6, _INCHES_PER_CLASS * num_classes)


def _draw_frequencies(axes: Any, counts: IntArray) -> None:
    classes = np.arange(len(counts))
    width = 0.38
    kinds = (("clean", counts.sum(axis=0), COLOURS[2], HATCHES[0]), ("noisy", counts.sum(axis=1), "white", HATCHES[1]))
    for side, (kind, frequency, colour, hatch) in zip((-0.5, 0.5), kinds, strict=True):
        share = 100 * frequency / counts.sum()
        at = classes + side * width
        axes.bar(at, share, width, color=colour, hatch=hatch, edgecolor=DARK, linewidth=0.6, label=f"{kind} label")
    axes.set_ylabel("frequency (%)")
    axes.grid(axis="x", visible=False)
    axes.margins(y=0.3)
    axes.legend(ncols=2, loc="upper right")
    axes.tick_params(axis="x", length=0, labelbottom=False)


def _draw_heat(axes: Any, shares: np.ndarray, names: Sequence[str]) -> Any:
    from matplotlib.colors import PowerNorm

    # The square root: otherwise all but the diagonal would look alike.
    image = axes.imshow(shares, cmap=SEQUENTIAL, norm=PowerNorm(0.5, 0, 1), aspect="auto")
    classes = np.arange(len(names))
    axes.set_xticks(classes, names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(classes, names)
    axes.set_xlabel("clean label")
    axes.set_ylabel("noisy label")
    axes.grid(visible=False)
    if len(names) <= _MOST_WITH_NUMBERS:
        for noisy, true in np.argwhere(shares >= _LEAST_SHOWN):
            colour = text_colour(image.cmap(image.norm(shares[noisy, true])))
            number = f"{100 * shares[noisy, true]:.0f}"
            axes.text(true, noisy, number, ha="center", va="center", color=colour, fontsize=SMALL)
    return image


def _frame(axes: Any, pairs: Sequence[Confused]) -> None:
    from matplotlib.patches import Rectangle

    for pair in pairs:
        corner = (pair.true - 0.5, pair.noisy - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=LIGHT, linewidth=1.8))
