"""Where the code says which equation it is: ``[E5]`` in csrc/ and in the Python of ``label_noise/``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from caffe_compat.label_noise.audit.building import CSRC, REPOSITORY

_TAG = re.compile(r"\[([ELTN]\d+)\]")
_CPP_FUNCTION = re.compile(r"(?:HOST_DEVICE|__device__|__global__|\btemplate <).*?\b(\w+)\(|^\w[\w<>:*& ]* \**(\w+)\(")
_PYTHON = ("equations.py", "confusion.py")


@dataclass(frozen=True)
class Place:
    """A tagged line, and the function around it, which goes from line ``first`` to ``last``; "" in an introduction."""

    tag: str
    path: str
    line: int
    function: str
    first: int
    last: int
    code: str


def tagged_places() -> list[Place]:
    """Every tag in the code, in the order of the files."""
    sources = [*sorted(CSRC.glob("*.h")), *sorted(CSRC.glob("*.c*"))]
    python = [Path(__file__).parents[1] / name for name in _PYTHON]
    return [place for path in (*sources, *python) for place in _places(path)]


def _places(path: Path) -> Iterable[Place]:
    text = path.read_text()
    functions = _python_functions(text) if path.suffix == ".py" else _cpp_functions(text)
    for number, line in enumerate(text.split("\n"), 1):
        for match in _TAG.finditer(line):
            function, extent = functions[number - 1], _extent(functions, number)
            yield Place(match[1], str(path.relative_to(REPOSITORY)), number, function, *extent, line.strip())


def _extent(functions: list[str], line: int) -> tuple[int, int]:
    """The first and the last of the lines around ``line`` that are in the same function, all counted from 1."""
    first = last = line
    while first > 1 and functions[first - 2] == functions[line - 1]:
        first -= 1
    while last < len(functions) and functions[last] == functions[line - 1]:
        last += 1
    return first, last


def _python_functions(text: str) -> list[str]:
    names = [""] * (text.count("\n") + 1)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            for number in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                names[number - 1] = node.name
    return names


def _cpp_functions(text: str) -> list[str]:
    """The function around each line, by the formatter's habits: a signature opens a block, ``}`` alone closes it."""
    names, current, closing = [], "", ""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        opening = " ".join(lines[number : number + 3])
        found = _CPP_FUNCTION.search(line)
        if found and not line.startswith(("//", "#", "  return", "  const")) and "{" in opening:
            current, closing = found[1] or found[2], " " * (len(line) - len(line.lstrip())) + "}"
        names.append(current)
        if line == closing or (found and line.endswith("}")):  # the last line, or the only one
            current = ""
    return _with_comments_above(lines, names)


def _with_comments_above(lines: list[str], names: list[str]) -> list[str]:
    """A comment belongs to the function that it stands above."""
    for number in range(len(lines) - 2, -1, -1):
        stands_above = lines[number].startswith(("//", "template"))
        if stands_above and not names[number] and lines[number + 1].startswith(("//", "template", "HOST_DEVICE")):
            names[number] = names[number + 1]
    return names


def unmatched(rows: Iterable[str], places: Iterable[Place]) -> list[str]:
    """A sentence for every tag without a row and every row without a tag."""
    known = set(rows)
    found: dict[str, Place] = {}
    for place in places:
        found.setdefault(place.tag, place)
    tags = [
        f"{place.path}:{place.line}: [{tag}] has no row in the ledger"
        for tag, place in found.items()
        if tag not in known
    ]
    return tags + [f"ledger: no code carries the tag [{row}]" for row in known if row not in found]
