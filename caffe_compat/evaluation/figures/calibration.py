"""Are probabilities what they say: reliability diagrams with the expected calibration error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from caffe_compat.arrays import BoolArray, FloatArray
from caffe_compat.evaluation.figures.spread import mean_and_deviation
from caffe_compat.evaluation.figures.style import BAND, COLOURS, REFERENCE, line_style, new_figure, styled
from caffe_compat.evaluation.metrics import expected_calibration_error, reliability

BINS = 15


@dataclass(frozen=True)
class Claim:
    """Probabilities of one kind, and whether what they speak of is so, in one or more runs.

    Attributes:
        name: for the panel's title.
        event: what the probability is of, for the axis.
        probabilities, is_so: per run, (N,) in [0, 1] and (N,) bool.
    """

    name: str
    event: str
    probabilities: Sequence[FloatArray]
    is_so: Sequence[BoolArray]


@styled
def draw_calibration(claims: Sequence[Claim], bins: int = BINS) -> Any:
    """A panel per claim: how often it is so, by probability, in bins of equal width and of equal mass; below, how often
    each probability is given.

    Several runs: lines are of their records together, the band is the runs' range in the bins of equal width; ECE is
    the mean over runs with its deviation.
    Raises: ValueError if there is no claim; as ``metrics.reliability`` for wrong arrays.
    """
    if not claims:
        raise ValueError("claims: expected at least one, got none")
    figure = new_figure(3.4 * len(claims) + 0.4, 4.8)
    panels = figure.subplots(2, len(claims), sharex=True, squeeze=False, gridspec_kw={"height_ratios": [3, 1]})
    for (diagram, histogram), claim in zip(panels.T, claims, strict=True):
        _draw_claim(diagram, histogram, claim, bins)
    panels[1, 0].set_ylabel("records (%)")
    runs = claims[0].probabilities
    of_runs = f" of {len(runs)} runs; band: their range" if len(runs) > 1 else ""
    figure.suptitle(f"{sum(map(len, runs)):,} records{of_runs}", fontsize=9, x=0.01, ha="left")
    return figure


def _draw_claim(diagram: Any, histogram: Any, claim: Claim, bins: int) -> None:
    diagram.plot([0, 1], [0, 1], **REFERENCE, label="as often as it says")
    _draw_line(diagram, claim, bins, "width", 0)
    _draw_line(diagram, claim, bins, "mass", 1)
    _draw_range(diagram, claim, bins)
    diagram.set(xlim=(0, 1), ylim=(0, 1.02), ylabel=f"{claim.event} in fact")
    diagram.set_title(claim.name, loc="left")
    diagram.legend(loc="upper left")
    binned = reliability(np.concatenate(claim.probabilities), np.concatenate(claim.is_so), bins)
    shares, left = 100 * binned.count / binned.count.sum(), binned.edges[:-1]
    histogram.bar(left, shares, 1 / bins, align="edge", color="0.75", edgecolor=COLOURS[0], linewidth=0.5)
    histogram.set_xlabel("probability given")


def _draw_line(axes: Any, claim: Claim, bins: int, equal: Literal["width", "mass"], number: int) -> None:
    pairs = zip(claim.probabilities, claim.is_so, strict=True)
    errors = [expected_calibration_error(reliability(p, so, bins, equal)) for p, so in pairs]
    binned = reliability(np.concatenate(claim.probabilities), np.concatenate(claim.is_so), bins, equal)
    used = binned.count > 0
    label = f"equal {equal}: ECE {mean_and_deviation(errors)}"
    axes.plot(binned.confidence[used], binned.accuracy[used], **line_style(number), label=label)


def _draw_range(axes: Any, claim: Claim, bins: int) -> None:
    pairs = list(zip(claim.probabilities, claim.is_so, strict=True))
    if len(pairs) < 2:
        return
    binned = [reliability(p, so, bins) for p, so in pairs]
    everywhere = np.all([each.count > 0 for each in binned], axis=0)
    confidence = np.mean([each.confidence[everywhere] for each in binned], axis=0)
    accuracies = np.stack([each.accuracy[everywhere] for each in binned])
    axes.fill_between(confidence, accuracies.min(axis=0), accuracies.max(axis=0), color=COLOURS[0], **BAND)
