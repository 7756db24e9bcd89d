"""The table: means, deviations, paired differences, and holes where a run is missing."""

import dataclasses
import json

import pytest

from caffe_compat.evaluation.experiments import RECIPES
from caffe_compat.evaluation.results import Result
from caffe_compat.evaluation.table import Table

RECIPE = RECIPES["cifar10n"]


def result(stage: str, seed: int, accuracy: float) -> Result:
    blank = {field.name: None for field in dataclasses.fields(Result)}
    return Result(
        **{**blank, "stage": stage, "seed": seed, "test": {"accuracy": accuracy}, "seconds_per_iteration": 0.05}
    )


def table(**accuracies: list[float | None]) -> Table:
    results = {
        (stage, seed): result(stage, seed, value)
        for stage, values in accuracies.items()
        for seed, value in enumerate(values, 1)
        if value is not None
    }
    return Table(RECIPE, results, seeds=[1, 2, 3])


def cells(markdown: str, method: str) -> list[str]:
    line = next(line for line in markdown.splitlines() if line.startswith(f"| {method} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_mean_and_sample_deviation():
    markdown = table(clean=[0.60, 0.62, 0.67]).markdown()
    assert cells(markdown, "clean only")[3:] == ["63.00 ± 3.61", "60.00", "62.00", "67.00"]


def test_missing_runs_are_printed_as_missing():
    markdown = table(clean=[0.60, None, 0.62]).markdown()
    assert cells(markdown, "clean only")[3:] == ["61.00 ± 1.41 (2 of 3)", "60.00", "missing", "62.00"]
    assert cells(markdown, "ours")[3:] == ["missing"] * 4


def test_difference_is_paired_by_seed():
    both = table(noisy_as_truth=[0.65, 0.67, None], ours=[0.66, 0.69, 0.90])
    assert both.difference("ours", "noisy as truth").values == {1: pytest.approx(1), 2: pytest.approx(2), 3: None}
    assert cells(both.markdown(), "ours - noisy as truth")[3:] == ["+1.50 ± 0.71 (2 of 3)", "+1.00", "+2.00", "missing"]


def test_single_seed_has_no_deviation():
    assert cells(Table(RECIPE, {("clean", 1): result("clean", 1, 0.5)}, [1]).markdown(), "clean only")[3] == "50.00"


def test_json_says_the_same():
    content = json.loads(json.dumps(table(clean=[0.60, None, 0.62], ours=[0.7, None, None]).as_json()))
    clean = content["test_accuracy_percent"]["clean only"]
    assert clean["by_seed"] == {"1": 60.0, "2": None, "3": 62.0} and clean["mean"] == 61.0
    assert content["test_accuracy_percent"]["noisy as truth"]["mean"] is None
    assert content["seconds_per_iteration"] == {"clean": 0.05, "noisy_as_truth": None, "ntype": None, "ours": 0.05}
