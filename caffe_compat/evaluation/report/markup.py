"""Small pieces of HTML that the report's sections share. What comes from data is escaped here."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

import numpy as np


def escaped(value: object) -> str:
    return html.escape(str(value))


def class_name(names: Sequence[str], label: int) -> str:
    return escaped(names[label])


def share_of(part: float, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "–"


def percent(probability: float) -> str:
    """Never 100% for what is not certain."""
    return "> 99.9%" if probability > 0.999 else f"{probability:.1%}"


def bar(value: float, most: float, as_share: bool = False) -> str:
    """A bar as long as ``value`` is of ``most``, and the number."""
    text = f"{value:.1%}" if as_share else f"{value:,.1f}"
    return (
        f'<span class="bar"><i style="width:{np.clip(value / (most or 1), 0, 1) * 100:.2f}%"></i><b>{text}</b></span>'
    )


def table(header: Sequence[str], rows: Iterable[Sequence[str]], first_number: int, end: int = 99) -> str:
    """Cells are HTML; columns from ``first_number`` up to ``end`` hold numbers."""

    def cells(kind: str, texts: Sequence[str]) -> str:
        return "".join(
            f"<{kind}{' class=number' * (first_number <= place < end)}>{text}</{kind}>"
            for place, text in enumerate(texts)
        )

    head = f"<thead><tr>{cells('th', header)}</tr></thead>" if any(header) else ""
    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f'<div class="wide" tabindex="0"><table>{head}<tbody>{body}</tbody></table></div>'
