"""docs/deviations.md: every row names tests, and they exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "deviations.md").read_text(encoding="utf-8")
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ") and not line.endswith("| test |")]
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_there_are_rows() -> None:
    assert len(ROWS) > 15


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:40])
def test_every_row_ends_with_a_test(row: str) -> None:
    assert TEST.search(row.split("|")[-2]), row


@pytest.mark.parametrize(("file", "name"), sorted(set(TEST.findall(TEXT))))
def test_the_tests_exist(file: str, name: str) -> None:
    assert re.search(rf"^def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)


def test_every_field_of_ours_has_a_row() -> None:
    schema = (ROOT / "tests" / "proto" / "test_schema.py").read_text(encoding="utf-8")
    fields = re.findall(r'^    "(\w+)\.(\w+)": \d+,', schema, re.MULTILINE)
    assert len(fields) > 5
    listed = TEXT.partition("## Reading")[0]
    missing = [each for each in fields if f"{each[0]}." not in listed or f"{each[1]}`" not in listed]
    assert missing == []


def test_every_row_is_in_a_table_and_every_heading_is_there_once() -> None:
    """A blank line ends a table: rows behind it are shown as text."""
    lines = TEXT.splitlines()
    pairs = zip(lines, lines[1:], strict=False)
    loose = [line for before, line in pairs if line in ROWS and not before.startswith("|")]
    headings = [line for line in lines if line.startswith("#")]
    assert loose == [] and len(set(headings)) == len(headings)
