"""The table of a recipe: test accuracy of each method at its last iteration, mean and deviation over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from caffe_compat.evaluation.jobs import recipe_messages
from caffe_compat.evaluation.recipes import Recipe, Row, Stage
from caffe_compat.evaluation.results import Result

Results = Mapping[tuple[str, int], Result]  # by (stage, seed); a run that is missing has no entry
MISSING = "missing"


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
    """A recipe's results, in percent."""

    recipe: Recipe
    results: Results
    seeds: Sequence[int]

    def accuracy(self, row: Row) -> Summary:
        """Test accuracy in percent by seed."""
        found = {seed: self.results.get((row.stage, seed)) for seed in self.seeds}
        return Summary({seed: None if result is None else 100 * result.accuracy for seed, result in found.items()})

    def difference(self) -> Summary:
        """Of the two methods the recipe compares, seed by seed, in points; missing where either is."""
        first, second = (self.accuracy(self._row(method)).values for method in self.recipe.compare)
        return Summary({seed: _minus(first[seed], second[seed]) for seed in self.seeds})

    def markdown(self) -> str:
        """The table, then the paired difference, then what was trained before, as Markdown."""
        seeds = [f"seed {seed}" for seed in self.seeds]
        lines = [
            f"{self.recipe.title}: test accuracy (%) at the last iteration",
            "",
            _line(["method", "trained on", "iterations", "mean", *seeds]),
            _line(["---", "---", "--:", "--:", *("--:" for _ in seeds)]),
        ]
        for row in self.recipe.rows:
            summary = self.accuracy(row)
            lines.append(
                _line(
                    [
                        row.method,
                        row.labels,
                        _iterations(self.recipe.stage(row.stage)),
                        _mean(summary),
                        *_cells(summary),
                    ]
                )
            )
        first, second = self.recipe.compare
        difference = self.difference()
        lines.append(_line([f"{first} - {second}", "", "", _mean(difference, "+"), *_cells(difference, "+")]))
        return "\n".join([*lines, "", self._pretraining()]) + "\n"

    def as_json(self) -> dict[str, Any]:
        return {
            "recipe": self.recipe.name,
            "seeds": list(self.seeds),
            "test_accuracy_percent": {row.method: self.accuracy(row).as_json() for row in self.recipe.rows},
            "difference": {"of": list(self.recipe.compare), **self.difference().as_json()},
            "seconds_per_iteration": {
                stage.name: _median_seconds(self._of(stage.name)) for stage in self.recipe.stages
            },
        }

    def _row(self, method: str) -> Row:
        return next(row for row in self.recipe.rows if row.method == method)

    def _of(self, stage: str) -> list[Result]:
        return [self.results[stage, seed] for seed in self.seeds if (stage, seed) in self.results]

    def _pretraining(self) -> str:
        """Iterations and time of every stage, and what it starts from."""
        lines = [_line(["stage", "starts from", "iterations", "s / iteration"]), _line(["---", "---", "--:", "--:"])]
        for stage in self.recipe.stages:
            starts = " and ".join(start.stage for start in stage.starts) or "random"
            seconds = _median_seconds(self._of(stage.name))
            time = f"{seconds:.3f}" if seconds else MISSING
            lines.append(_line([f"`{stage.name}`", starts, _iterations(stage), time]))
        return "\n".join(lines)


def _iterations(stage: Stage) -> str:
    return f"{recipe_messages(stage)[0].max_iter:,}"


def _median_seconds(results: Sequence[Result]) -> float | None:
    known = [result.seconds_per_iteration for result in results if result.seconds_per_iteration is not None]
    return statistics.median(known) if known else None


def _minus(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first - second


def _mean(summary: Summary, sign: str = "") -> str:
    if summary.mean is None:
        return MISSING
    deviation = f" ± {summary.deviation:.2f}" if summary.deviation is not None else ""
    partly = f" ({len(summary.known)} of {len(summary.values)})" if len(summary.known) < len(summary.values) else ""
    return f"{summary.mean:{sign}.2f}{deviation}{partly}"


def _cells(summary: Summary, sign: str = "") -> list[str]:
    return [MISSING if value is None else f"{value:{sign}.2f}" for value in summary.values.values()]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
