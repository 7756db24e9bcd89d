"""The estimated C against what was counted, and against the matrix the labels were drawn from where that is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe_compat.arrays import FloatArray, IntArray
from caffe_compat.evaluation.figures.style import (
    COLOURS,
    DIVERGING,
    MARKERS,
    REFERENCE,
    SMALL,
    new_figure,
    styled,
    text_colour,
)

_LEAST_SHOWN = 0.02  # smaller differences have no number


def counted_confusion(counts: IntArray) -> FloatArray:
    """p(noisy | true, the label is wrong) as counted: off-diagonal shares, columns of sum 1, 0 without a wrong label.

    Shapes: counts (L, L) indexed [noisy, true], as the result.
    """
    wrong = counts * (1 - np.eye(len(counts), dtype=np.int64))
    shares: FloatArray = wrong / np.maximum(wrong.sum(axis=0), 1)
    return shares


@styled
def draw_confusion_estimate(
    estimated: FloatArray, counts: IntArray, names: Sequence[str], true: FloatArray | None = None
) -> Any:
    """Entry by entry: a scatter with the line of equality, and a heat map of the differences from each.

    Shapes: estimated, counts and true (L, L), indexed [noisy, true]; names L.
    Raises: ValueError if their shapes differ.
    """
    others = {"counted": counted_confusion(counts), **({} if true is None else {"true": true})}
    for name, other in others.items():
        if other.shape != estimated.shape:
            raise ValueError(f"{name}: expected shape {estimated.shape} as C has, got {other.shape}")
    size = max(4.2, 0.36 * len(names))
    figure = new_figure(4.4 + (size + 0.6) * len(others), size + 0.9)
    axes = figure.subplots(1, 1 + len(others), gridspec_kw={"width_ratios": [4.4, *[size + 0.6] * len(others)]})
    _draw_scatter(axes[0], estimated, others)
    differences = {name: estimated - other for name, other in others.items()}
    largest = max(np.abs(difference).max() for difference in differences.values()) or 1.0
    for number, (name, difference) in enumerate(differences.items(), start=1):
        image = _draw_differences(axes[number], difference, names, largest)
        axes[number].set_title(f"estimated C minus {name}, in hundredths", loc="left")
        axes[number].tick_params(axis="y", labelleft=number == 1)
    axes[1].set_ylabel("noisy label")
    figure.colorbar(image, ax=axes[-1], fraction=0.046, pad=0.02)
    return figure


def _draw_scatter(axes: Any, estimated: FloatArray, others: dict[str, FloatArray]) -> None:
    least = 1 / (len(estimated) - 1)
    off_diagonal = ~np.eye(len(estimated), dtype=bool)
    axes.plot([0, 1], [0, 1], **REFERENCE)
    axes.axhline(least, color="0.35", linewidth=0.8, linestyle="--", label=f"1/(L-1) = {least:.3f}, least entry kept")
    for number, (name, other) in enumerate(others.items()):
        x, y = other[off_diagonal], estimated[off_diagonal]
        error = np.abs(x - y).max()
        style = {"marker": MARKERS[number], "edgecolors": COLOURS[2 * number], "facecolors": "none", "linewidths": 1}
        axes.scatter(x, y, s=22, **style, label=f"against {name}: largest difference {error:.2f}")
    axes.set(xlabel=f"p(noisy | clean, wrong) as {' or '.join(others)}", ylabel="estimated C")
    top = 1.05 * max(estimated.max(), *(other.max() for other in others.values()))
    axes.set(xlim=(-0.02, top), ylim=(-0.02, top))
    axes.set_title("entry by entry", loc="left")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13))


def _draw_differences(axes: Any, difference: FloatArray, names: Sequence[str], largest: float) -> Any:
    image = axes.imshow(difference, cmap=DIVERGING, vmin=-largest, vmax=largest, aspect="auto")
    classes = np.arange(len(names))
    axes.set_xticks(classes, names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(classes, names)
    axes.set_xlabel("clean label")
    axes.grid(visible=False)
    for noisy, true in np.argwhere(np.abs(difference) >= _LEAST_SHOWN):
        value = difference[noisy, true]
        number = f"{100 * value:+.0f}"
        colour = text_colour(image.cmap(image.norm(value)))
        axes.text(true, noisy, number, ha="center", va="center", color=colour, fontsize=SMALL - 0.5)
    return image
