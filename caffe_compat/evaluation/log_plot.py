"""Curves of training logs: losses, and what else the test net reports. matplotlib is imported where it is used."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caffe_compat.errors import CaffeCompatError, DataError, expected_got
from caffe_compat.evaluation.figures.style import MARKERS, in_style, line_style, new_figure
from caffe_compat.files import atomic_path
from caffe_compat.solver.log_parser import Run, join_resumed, parse_log

SUFFIXES = (".png", ".svg", ".pdf")

_MOST_LINES_INSIDE = 4  # in a legend inside the axes; a longer one stands beside them
_WIDE_RANGE = 100  # losses that differ by more are shown on a logarithmic axis


@dataclass(frozen=True)
class Series:
    """A run with the name it has in the legend; those that were resumed from it are in it."""

    name: str
    run: Run


@dataclass(frozen=True)
class Curve:
    """One line of the picture. ``test`` counts the test outputs of its panel; None for the training loss."""

    label: str
    points: dict[int, float]
    series: int
    test: int | None


def read_series(paths: Sequence[str | os.PathLike[str]]) -> list[Series]:
    """The runs of the logs, named after their files (with the folders where those are alike), and numbered where one
    file has several.

    Raises: DataError for a log without any numbers.
    """
    found = []
    alike = len({Path(path).stem for path in paths}) < len(paths)
    for path in paths:
        runs = [run for run in join_resumed(parse_log(path)) if run.losses or run.tests]
        if not runs:
            raise DataError("no losses and no test outputs in it: not a log of caffe train?", path=os.fspath(path))
        name = os.fspath(path) if alike else Path(path).stem
        found += [Series(f"{name}, run {n}" if len(runs) > 1 else name, run) for n, run in enumerate(runs, start=1)]
    return found


def curves(series: Sequence[Series]) -> tuple[list[Curve], list[Curve]]:
    """The losses, and the other outputs of test nets, such as accuracies."""
    losses, others = [], []
    for number, each in enumerate(series):
        prefix = f"{each.name}: " if len(series) > 1 else ""
        if each.run.losses:
            losses.append(Curve(f"{prefix}training loss", each.run.losses, number, None))
        tests = list(_test_outputs(each.run))
        of_loss = [(name, points) for name, points, is_loss in tests if is_loss]
        of_others = [(name, points) for name, points, is_loss in tests if not is_loss]
        losses += [Curve(f"{prefix}test {name}", points, number, n) for n, (name, points) in enumerate(of_loss)]
        others += [Curve(f"{prefix}test {name}", points, number, n) for n, (name, points) in enumerate(of_others)]
    return losses, others


def _test_outputs(run: Run) -> Iterator[tuple[str, dict[int, float], bool]]:
    """Each output of each test net: its name, its values by iteration, and whether it is part of the loss."""
    for net, rows in run.tests.items():
        for name in dict.fromkeys(name for row in rows for name in row.outputs):
            points = {row.iteration: row.outputs[name] for row in rows if name in row.outputs}
            yield f"{name} (#{net})" if len(run.tests) > 1 else name, points, any(name in row.losses for row in rows)


def plot_series(series: Sequence[Series], path: str | os.PathLike[str]) -> None:
    """Draw all runs into one picture, .png, .svg or .pdf.

    Raises: CaffeCompatError if matplotlib is not installed, or for another kind of file.
    """
    final = Path(path)
    if final.suffix not in SUFFIXES:
        problem = expected_got(f"a name that ends in {', '.join(SUFFIXES)}", final.suffix or "none")
        raise CaffeCompatError(problem, path=os.fspath(path))
    panels = [(title, lines) for title, lines in zip(("loss", "test"), curves(series), strict=True) if lines]
    with in_style():
        figure = new_figure(8, 1 + 3.2 * len(panels))
        all_axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (title, lines) in zip(all_axes, panels, strict=True):
            _draw_panel(axes, title, lines)
        all_axes[-1].set_xlabel("iteration")
        with atomic_path(final) as part:
            figure.savefig(part, format=final.suffix[1:])


def _draw_panel(axes: Any, title: str, lines: Sequence[Curve]) -> None:
    for curve in lines:
        xs = sorted(curve.points)
        axes.plot(xs, [curve.points[x] for x in xs], label=curve.label, **_style(curve))
    values = [value for curve in lines for value in curve.points.values()]
    if min(values) > 0 and max(values) > _WIDE_RANGE * min(values):
        axes.set_yscale("log")
    axes.set_ylabel(title)
    beside = {"loc": "upper left", "bbox_to_anchor": (1, 1)} if len(lines) > _MOST_LINES_INSIDE else {}
    axes.legend(**beside)


def _style(curve: Curve) -> dict[str, Any]:
    """A run has one colour and one kind of dash everywhere; tests have marks, training a thin line without."""
    style = line_style(curve.series)
    if curve.test is None:
        return {**style, "linewidth": 1, "marker": ""}
    return {**style, "marker": MARKERS[(curve.series + curve.test) % len(MARKERS)]}
