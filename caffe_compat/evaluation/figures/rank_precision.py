"""Fig. 8: how many of the labels that a score ranks first are wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from caffe_compat.arrays import BoolArray, FloatArray
from caffe_compat.evaluation.figures.spread import mean_and_deviation, runs
from caffe_compat.evaluation.figures.style import BAND, REFERENCE, line_style, new_figure, styled
from caffe_compat.evaluation.metrics import auroc, average_precision, rank_precision

_POINTS = 400  # of a curve; more cannot be seen
_MARKS = 9


@dataclass(frozen=True)
class Ranking:
    """One run's scores of N records by which they are ranked, and whether their labels are wrong.

    Attributes:
        scores: {name for the legend: (N,)}; the same names in every run.
        is_wrong: (N,) bool, some of each.
    """

    scores: Mapping[str, FloatArray]
    is_wrong: BoolArray


@styled
def draw_rank_precision(rankings: Sequence[Ranking], first: int = 500) -> Any:
    """Precision of "the label is wrong" by rank, among the ``first`` (as the paper draws it) and over all records.

    Several rankings are runs of one experiment: lines are means and bands ranges. Beside each score AP and AUROC, and
    the share of wrong labels, which is the precision of a score that says nothing.
    Raises: ValueError if there is no ranking, or one has no wrong or no right label.
    """
    if not rankings:
        raise ValueError("rankings: expected at least one, got none")
    records = min(len(each.is_wrong) for each in rankings)
    first = min(first, records)
    figure = new_figure(9.5, 4.6)
    axes = figure.subplots(1, 2, sharey=True)
    base = [float(np.mean(each.is_wrong)) for each in rankings]
    for number, name in enumerate(rankings[0].scores):
        curves = np.stack([rank_precision(each.scores[name], each.is_wrong)[:records] for each in rankings])
        label = f"{name}\nAP {_over(average_precision, rankings, name)}, AUROC {_over(auroc, rankings, name)}"
        for one, last in zip(axes, (first, records), strict=True):
            _draw_curve(one, curves, last, number, label)
    for one, last in zip(axes, (first, records), strict=True):
        one.axhline(float(np.mean(base)), **REFERENCE, label=f"all labels: {mean_and_deviation(base)} wrong")
        one.set_xlim(0, last)
        one.set_ylim(0, 1.03)
        one.set_xlabel("records, surest first")
    axes[0].set_ylabel("share of them with a wrong label")
    axes[0].set_title(f"the first {first:,}", loc="left")
    axes[1].set_title(f"all {records:,}; {runs(len(rankings))}", loc="left")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _draw_curve(axes: Any, curves: FloatArray, last: int, number: int, label: str) -> None:
    ranks = np.unique(np.linspace(1, last, min(_POINTS, last)).round().astype(int))
    shown = curves[:, ranks - 1]
    style = line_style(number)
    marks = {"markevery": max(1, len(ranks) // _MARKS)}
    axes.plot(ranks, shown.mean(axis=0), **style, **marks, label=label)
    if len(curves) > 1:
        axes.fill_between(ranks, shown.min(axis=0), shown.max(axis=0), color=style["color"], **BAND)


def _over(metric: Any, rankings: Sequence[Ranking], name: str) -> str:
    return mean_and_deviation([metric(each.scores[name], each.is_wrong) for each in rankings])
