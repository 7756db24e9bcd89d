"""The table of a recipe: test accuracy of each method at its last iteration, mean and deviation over seeds.

Where the recipe has a validation split, also the test accuracy at the iteration that is best there; never one that is
chosen by the test accuracy itself.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from caffe_compat.evaluation.experiments.jobs import recipe_messages
from caffe_compat.evaluation.experiments.markdown import line
from caffe_compat.evaluation.experiments.recipes import Recipe, Row, Stage
from caffe_compat.evaluation.experiments.results import Result

Results = Mapping[tuple[str, int], Result]  # by (stage, seed); a run that is missing has no entry
MISSING, LEFT_OUT = "missing", "left out"


@dataclass(frozen=True)
class Summary:
    """Values by seed (None: missing), their mean and their sample standard deviation (None below two values)."""

    values: dict[int, float | None]

    @property
    def known(self) -> list[float]:
        return [value for value in self.values.values() if value is not None]

    @property
    def mean(self) -> float | None:
        return statistics.fmean(self.known) if self.known else None

    @property
    def deviation(self) -> float | None:
        return statistics.stdev(self.known) if len(self.known) > 1 else None

    def as_json(self) -> dict[str, Any]:
        return {"by_seed": self.values, "mean": self.mean, "deviation": self.deviation}


@dataclass(frozen=True)
class Table:
    """A recipe's results, in percent.

    Attributes:
        left_out: stages without a result that were not to be run, because they start from weights that are not there.
    """

    recipe: Recipe
    results: Results
    seeds: Sequence[int]
    left_out: Sequence[str] = ()

    def accuracy(self, row: Row) -> Summary:
        """Test accuracy in percent by seed."""
        found = {seed: self.results.get((row.stage, seed)) for seed in self.seeds}
        return Summary({seed: None if result is None else 100 * result.accuracy for seed, result in found.items()})

    def accuracy_by_validation(self, row: Row) -> Summary:
        """Test accuracy in percent at the iteration that is best on the validation split, by seed."""
        found = {seed: self.results.get((row.stage, seed)) for seed in self.seeds}
        best = {seed: result.best_by_validation if result else None for seed, result in found.items()}
        return Summary({seed: 100 * pair[1] if pair else None for seed, pair in best.items()})

    def difference(self, first: str, second: str) -> Summary:
        """Of two methods, seed by seed, in points; missing where either is."""
        one, other = (self.accuracy(self._row(method)).values for method in (first, second))
        return Summary({seed: _minus(one[seed], other[seed]) for seed in self.seeds})

    def markdown(self) -> str:
        """The table, the paired differences, then the time of every stage, as Markdown."""
        seeds = [f"seed {seed}" for seed in self.seeds]
        heads = [
            "method",
            "trained on",
            "iterations",
            *self._published_head(),
            "mean",
            *seeds,
            *self._validation_head(),
        ]
        lines = [
            f"{self.recipe.title}: test accuracy (%) at the last iteration",
            "",
            line(heads),
            line(["---", "---", *("--:" for _ in heads[2:])]),
            *(self._row_line(row) for row in self.recipe.rows),
        ]
        for first, second in self.recipe.compare:
            difference = self.difference(first, second)
            absent = self._absent(*(self._row(method).stage for method in (first, second)))
            cells = [_mean(difference, absent, "+"), *_cells(difference, absent, "+")]
            gaps = ["" for _ in self._published_head()]
            lines.append(line([f"{first} - {second}", "", "", *gaps, *cells, *("" for _ in self._validation_head())]))
        return "\n".join([*lines, "", *self._notes(), self._stages()]) + "\n"

    def as_json(self) -> dict[str, Any]:
        return {
            "recipe": self.recipe.name,
            "seeds": list(self.seeds),
            "test_accuracy_percent": {row.method: self.accuracy(row).as_json() for row in self.recipe.rows},
            "by_validation_percent": {
                row.method: self.accuracy_by_validation(row).as_json() for row in self.recipe.rows
            }
            if self.recipe.validation
            else None,
            "differences": [
                {"of": [first, second], **self.difference(first, second).as_json()}
                for first, second in self.recipe.compare
            ],
            "left_out": list(self.left_out),
            "seconds_per_iteration": {
                stage.name: _median_seconds(self._of(stage.name)) for stage in self.recipe.stages
            },
        }

    def _row(self, method: str) -> Row:
        return next(row for row in self.recipe.rows if row.method == method)

    def _of(self, stage: str) -> list[Result]:
        return [self.results[stage, seed] for seed in self.seeds if (stage, seed) in self.results]

    def _published_head(self) -> list[str]:
        return [self.recipe.published] if self.recipe.published else []

    def _validation_head(self) -> list[str]:
        return ["best on validation"] if self.recipe.validation else []

    def _row_line(self, row: Row) -> str:
        summary = self.accuracy(row)
        published = ["" if row.published is None else f"{row.published:.2f}"] if self.recipe.published else []
        iterations = _iterations(self.recipe.stage(row.stage))
        absent = self._absent(row.stage)
        cells = [_mean(summary, absent), *_cells(summary, absent)]
        chosen = [_mean(self.accuracy_by_validation(row), absent)] if self.recipe.validation else []
        return line([row.method, row.labels, iterations, *published, *cells, *chosen])

    def _absent(self, *stages: str) -> str:
        """What stands where there is no value, for want of results of these stages."""
        return LEFT_OUT if any(stage in self.left_out for stage in stages) else MISSING

    def _notes(self) -> list[str]:
        if not self.left_out:
            return []
        stages = ", ".join(f"`{name}`" for name in self.left_out)
        return [f"Left out, for want of pre-trained weights (`--pretrained`): {stages}.", ""]

    def _stages(self) -> str:
        """Of every stage: what it starts from, its iterations, and the median speed and time of a run."""
        heads = ["stage", "starts from", "iterations", "s / iteration", "images / s", "minutes"]
        lines = [line(heads), line(["---", "---", *("--:" for _ in heads[2:])])]
        for stage in self.recipe.stages:
            results = self._of(stage.name)
            speed = _median_seconds(results), _median([result.images_per_second for result in results])
            whole = _median([result.seconds / 60 for result in results if result.resumed_at is None])
            absent = self._absent(stage.name)
            times = [
                _number(value, form, absent) for value, form in zip((*speed, whole), (".3f", ".0f", ".1f"), strict=True)
            ]
            lines.append(line([f"`{stage.name}`", _origin(stage), _iterations(stage), *times]))
        return "\n".join(lines)


def _iterations(stage: Stage) -> str:
    return f"{recipe_messages(stage)[0].max_iter:,}"


def _median_seconds(results: Sequence[Result]) -> float | None:
    return _median([result.seconds_per_iteration for result in results])


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _number(value: float | None, form: str, absent: str) -> str:
    return absent if value is None else format(value, form)


def _origin(stage: Stage) -> str:
    if stage.continues is not None:
        return f"{stage.continues}, its solver state"
    names = [start.stage for start in stage.starts] or ["pre-trained weights" if stage.pretrained else "random"]
    matrix = [f"the matrix of {stage.transition.stage}"] if stage.transition else []
    return " and ".join([*names, *matrix])


def _minus(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first - second


def _mean(summary: Summary, absent: str, sign: str = "") -> str:
    if summary.mean is None:
        return absent
    deviation = f" ± {summary.deviation:.2f}" if summary.deviation is not None else ""
    partly = f" ({len(summary.known)} of {len(summary.values)})" if len(summary.known) < len(summary.values) else ""
    return f"{summary.mean:{sign}.2f}{deviation}{partly}"


def _cells(summary: Summary, absent: str, sign: str = "") -> list[str]:
    return [absent if value is None else f"{value:{sign}.2f}" for value in summary.values.values()]
