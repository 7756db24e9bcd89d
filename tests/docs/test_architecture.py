"""docs/architecture.md: every part of the library has a row, and imports only from rows below its own."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "caffe_compat"
PARTS = {path.stem for path in PACKAGE.iterdir() if (path / "__init__.py").is_file() or path.suffix == ".py"}
PARTS.remove("__init__")


def rows() -> list[list[str]]:
    """The parts that each row names, from the top."""
    table = (ROOT / "docs/architecture.md").read_text(encoding="utf-8").partition("| --- | --- |\n")[2]
    return [re.findall(r"`(\w+)`", line.split("|")[1]) for line in table.partition("\n\n")[0].splitlines()]


def imported(path: Path) -> Iterator[str]:
    """The parts that a file imports, in functions and for type checks too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for package, *rest in (name.split(".") for name in names):
            if package == "caffe_compat" and rest and rest[0] in PARTS:
                yield rest[0]


def test_every_part_has_one_row() -> None:
    named = [part for row in rows() for part in row]
    assert sorted(named) == sorted(PARTS)


@pytest.mark.parametrize("part", sorted(PARTS))
def test_a_part_imports_from_below_alone(part: str) -> None:
    row_of = {name: number for number, row in enumerate(rows()) for name in row}
    own = PACKAGE / part
    for path in own.rglob("*.py") if own.is_dir() else [own.with_suffix(".py")]:
        above = {name for name in imported(path) if name != part and row_of[name] <= row_of[part]}
        assert not above, f"{path.relative_to(ROOT)} imports {', '.join(sorted(above))}"
