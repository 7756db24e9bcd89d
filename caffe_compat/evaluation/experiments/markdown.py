"""Lines of Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence


def escaped(cell: str) -> str:
    """The text as it stands in a cell: a bar would end it."""
    return cell.replace("|", "\\|")


def line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(escaped(cell) for cell in cells) + " |"
