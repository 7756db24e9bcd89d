"""The table: means, deviations, paired differences, and holes where a run is missing."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from caffe_compat.evaluation.experiments.catalogue import RECIPES
from caffe_compat.evaluation.experiments.chain import Chain
from caffe_compat.evaluation.experiments.results import Result
from caffe_compat.evaluation.experiments.table import Table

RECIPE = RECIPES["cifar10n"]


def result(stage: str, seed: int, accuracy: float) -> Result:
    blank = {field.name: None for field in dataclasses.fields(Result)}
    known = {"stage": stage, "seed": seed, "test": {"accuracy": accuracy}, "seconds_per_iteration": 0.05}
    return Result(**{**blank, **known, "seconds": 90.0, "images_per_second": 2000.0, "validation_history": {}})


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
    seconds = content["seconds_per_iteration"]
    assert {stage for stage, value in seconds.items() if value == 0.05} == {"clean", "ours"}
    assert set(seconds.values()) == {0.05, None}


def test_speed_and_time_of_a_stage():
    markdown = table(clean=[0.60, 0.62, None]).markdown()
    assert "| `clean` | random | 5,000 | 0.050 | 2000 | 1.5 |" in markdown
    assert "| `ours` | clean and ntype | 6,000 | missing | missing | missing |" in markdown


def test_best_by_validation_is_chosen_on_the_validation_split():
    tests = {0: {"accuracy": 0.9}, 250: {"accuracy": 0.5}, 500: {"accuracy": 0.6}}
    validations = {0: {"accuracy": 0.1}, 250: {"accuracy": 0.8}, 500: {"accuracy": 0.8}}
    best = dataclasses.replace(result("clean", 1, 0.6), test_history=tests, validation_history=validations)
    assert best.best_by_validation == (250, 0.5)
    demo = Table(RECIPES["demo"], {("clean", 1): best}, [1])
    assert cells(demo.markdown(), "clean only")[-2:] == ["60.00", "50.00"]
    assert cells(demo.markdown(), "ours")[-1] == "missing"


def test_published_figures_stand_beside_ours():
    markdown = Table(RECIPES["cifar10"], {("clean", 1): result("clean", 1, 0.61)}, [1]).markdown()
    assert cells(markdown, "method")[3] == "authors' log"
    assert cells(markdown, "clean only")[3:] == ["62.04", "61.00", "61.00"]
    assert cells(markdown, "bottom-up")[3] == ""


def test_rows_without_pretrained_weights_are_left_out_by_name():
    recipe = RECIPES["clothing1m"]
    chain = Chain(recipe, Path("data"), Path("out"))
    assert "clean" not in chain.left_out() and {"clean_pretrained", "bottom_up", "ntype", "ours"} <= set(
        chain.left_out()
    )
    markdown = Table(recipe, {}, [1], chain.left_out()).markdown()
    assert cells(markdown, "ours")[3:] == ["78.24", "left out", "left out", "left out"]
    assert cells(markdown, "clean only")[3:6] == ["64.54", "missing", "missing"]
    assert set(cells(markdown, "ours - bottom-up")[3:]) == {"", "left out"}
    mixed = dataclasses.replace(recipe, compare=(("ours", "clean only"),))
    found = Table(mixed, {}, [1], chain.left_out()).markdown()
    assert set(cells(found, "ours - clean only")[3:]) == {"", "left out"}, "for want of one of the two"
    assert cells(markdown, "`ours`")[3:] == ["left out", "left out", "left out"]
    assert cells(markdown, "`clean`")[3:] == ["missing", "missing", "missing"]
    assert "for want of pre-trained weights (`--pretrained`): `clean_pretrained`" in markdown
    assert Chain(recipe, Path("data"), Path("out"), pretrained=Path("W")).left_out() == []


def test_a_bar_does_not_end_a_cell():
    lines = Table(RECIPES["cifar10n_ablations"], {}, [1]).markdown().splitlines()
    columns = {len(re.split(r"(?<!\\)\|", line)) for line in lines[2 : lines.index("", 2)]}
    assert len(columns) == 1 and any(line.startswith(r"| ours, p(z\|x) constant |") for line in lines)
