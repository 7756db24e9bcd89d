"""Test accuracy and losses over the iterations, method by method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from caffe_compat.evaluation.figures.style import BAND, line_style, new_figure, styled

Points = Mapping[int, float]  # by iteration
_MARKS = 8
_MARGIN = 0.05  # above and below, of the panel's range
_LEGEND_WIDTH = 100  # letters in a line


@styled
def draw_training(panels: Mapping[str, Mapping[str, Sequence[Points]]]) -> Any:
    """One panel below another over the same iterations, each as high as what comes after iteration 0.

    Args:
        panels: {axis label: {method: the points of each of its runs}}. A method's line is the mean over the runs at the
            iterations that all of them have, the band their range; it looks the same in every panel.
    Raises: ValueError if there is no panel.
    """
    if not panels:
        raise ValueError("panels: expected at least one, got none")
    methods = list(dict.fromkeys(method for lines in panels.values() for method in lines))
    figure = new_figure(7.5, 0.8 + 2.5 * len(panels))
    all_axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (label, lines) in zip(all_axes, panels.items(), strict=True):
        for method, runs in lines.items():
            _draw_line(axes, method, runs, methods.index(method))
        axes.set_ylabel(label)
        values = [value for runs in lines.values() for run in runs for at, value in run.items() if at > 0]
        if trained := [value for value in values if np.isfinite(value)]:  # a loss that diverged has no place
            margin = _MARGIN * (max(trained) - min(trained)) or _MARGIN
            axes.set_ylim(min(trained) - margin, max(trained) + margin)
    all_axes[-1].set_xlabel("iteration")
    handles = {label: line for axes in all_axes for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    columns = max(1, _LEGEND_WIDTH // max(map(len, handles), default=_LEGEND_WIDTH))
    figure.legend(handles.values(), handles.keys(), loc="outside upper left", ncols=columns)
    return figure


def _draw_line(axes: Any, method: str, runs: Sequence[Points], number: int) -> None:
    iterations = sorted(set.intersection(*(set(points) for points in runs)))
    if not iterations:
        return
    values = np.array([[points[iteration] for iteration in iterations] for points in runs])
    style = line_style(number)
    label = method if len(runs) == 1 else f"{method} ({len(runs)} seeds)"
    mean = values.mean(axis=0)
    axes.plot(iterations, mean, **style, markevery=max(1, len(iterations) // _MARKS), label=label)
    if len(runs) > 1:
        axes.fill_between(iterations, values.min(axis=0), values.max(axis=0), color=style["color"], **BAND)
