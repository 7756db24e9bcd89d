"""docs/results/label_quality.md has the numbers of the files beside it, all of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

RESULTS = Path(__file__).parents[2] / "docs" / "results"
FILES = ("cifar10n_seed_1", "cifar10n_seed_2", "cifar10n_seed_3", "demo_seed_1")


def test_tables_are_those_of_the_results() -> None:
    results = [json.loads((RESULTS / "label_quality" / f"{name}.json").read_text()) for name in FILES]
    expected: dict[str, list[str]] = {}
    first = results[0]
    for name, row in first["rankings"].items():
        for measure in row:
            expected[f"{measure}, {name}"] = [percent(result["rankings"][name][measure]) for result in results]
    for name, row in first["answers"].items():
        for measure in row:
            values = [result["answers"][name][measure] for result in results]
            shown = [f"{value:,}" for value in values] if measure == "found" else [percent(v) for v in values]
            expected[f"{name}: {measure}"] = shown
    for title in ("right labels", "calibration error"):
        for name in first[title]:
            expected[f"{title}, {name}"] = [percent(result[title][name]) for result in results]
    calibrations = [json.loads((RESULTS / "label_quality" / f"calibration_{name}.json").read_text()) for name in FILES]
    expected |= calibration_rows(calibrations)
    rows = [cells_of(line) for line in (RESULTS / "label_quality.md").read_text().splitlines()
            if line.startswith("| ") and "---" not in line and "seed 1" not in line]  # fmt: skip
    assert {name: shown for name, *shown in rows} == expected


def calibration_rows(results: list[dict]) -> dict[str, list[str]]:
    as_it_is = [result["as it is"] for result in results]
    rows = {
        "calibration error as it is": [percent(result["calibration error"]) for result in as_it_is],
        "samples of 100, of 10, by which it is refused": [
            str(result["calibrated by"]["100"]["left as it was"]) for result in results
        ],
        "share of wrong labels, true": [percent(result["share wrong"]) for result in results],
        "share of wrong labels, mean p(wrong) as it is": [percent(result["mean p(wrong)"]) for result in as_it_is],
    }
    for size in results[0]["calibrated by"]:
        found = [result["calibrated by"][size] for result in results]
        rows[f"calibration error, {int(size):,} labels looked at: mean (largest)"] = [
            f"{percent(one['calibration error, mean'])} ({percent(one['calibration error, largest'])})" for one in found
        ]
        assert all(one["samples"] == 10 for one in found)
        if size == "500":
            rows["share of wrong labels, mean p(wrong), 500 labels looked at"] = [
                f"{percent(one['mean p(wrong), mean'])} ± {percent(one['mean p(wrong), deviation'])}" for one in found
            ]
    return rows


def test_the_text_has_what_calibrating_by_other_images_gave() -> None:
    found = json.loads((RESULTS / "label_quality/calibration_demo_seed_1.json").read_text())[
        "calibrated by other images"
    ]
    text = " ".join((RESULTS / "label_quality.md").read_text().split())
    assert f"Calibrated by the {found['images']:,} validation images of the demo" in text
    assert f"the error on its training images is {percent(found['calibration error'])} points" in text


def cells_of(row: str) -> list[str]:
    """As GitHub splits it: a bar in a cell has a backslash in front."""
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def percent(share: float) -> str:
    return f"{share * 100:.2f}"
