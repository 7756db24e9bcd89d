"""The tables of measured costs have the numbers of the JSON that the bench left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"
RESULTS = DOCS / "results"
NEAR_DUPLICATES = (
    "noisy", "clean", "processor_seconds", "peak_mib", "hashing_seconds", "comparing_seconds", "looking_seconds",
    "planted", "dropped",
)  # fmt: skip


def read(result: str) -> dict[str, Any]:
    return json.loads((RESULTS / result).read_text(encoding="utf-8"))


def table(document: Path, first_column: str) -> list[list[str]]:
    """The cells below the heads."""
    text = document.read_text(encoding="utf-8").partition(f"| {first_column} |")[2]
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.partition("\n\n")[0].splitlines()[2:]
    ]


def test_near_duplicates() -> None:
    result = read("near_duplicates/cost.json")
    expected = [[f"{run[column]:,}" for column in NEAR_DUPLICATES] for run in result["runs"]]
    assert table(RESULTS / "near_duplicates.md", "noisy pictures") == expected
    assert result["processes"] == 1 and result["machine"]["processor"].startswith("Intel(R) Xeon(R)")


def test_label_scores() -> None:
    result = read("label_scores/cost.json")
    expected = [
        [f"{run['rows']:,}"] + [f"{step['processor_seconds']}, {step['peak_mib']}" for step in steps]
        for run in result["runs"]
        for steps in [[run["score"], run["lists"], run["report"]]]
    ]
    assert table(DOCS / "labels.md", "rows") == expected
    assert result["machine"]["processor"].startswith("Intel(R) Xeon(R)")
