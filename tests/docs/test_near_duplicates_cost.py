"""docs/results/near_duplicates.md has the numbers of the measured cost beside it."""

from __future__ import annotations

import json
from pathlib import Path

RESULTS = Path(__file__).parents[2] / "docs" / "results"
COLUMNS = (
    "noisy", "clean", "processor_seconds", "peak_mib", "hashing_seconds", "comparing_seconds", "looking_seconds",
    "planted", "dropped",
)  # fmt: skip


def test_the_cost_is_that_of_the_measurement() -> None:
    result = json.loads((RESULTS / "near_duplicates" / "cost.json").read_text(encoding="utf-8"))
    text = (RESULTS / "near_duplicates.md").read_text(encoding="utf-8")
    table = text.partition("| noisy pictures |")[2].partition("\n\n")[0].splitlines()[2:]
    expected = [[f"{run[column]:,}" for column in COLUMNS] for run in result["runs"]]
    assert [[cell.strip() for cell in line.strip("|").split("|")] for line in table] == expected
    assert result["processes"] == 1 and result["machine"]["processor"].startswith("Intel(R) Xeon(R)")
