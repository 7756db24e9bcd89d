"""Labels as text files have them."""

from __future__ import annotations

_MOST_DIGITS = 18  # what int64 holds whatever the digits are; Python refuses thousands of them


def whole_number(text: str) -> int | None:
    """The number that ``text`` is if it is written in digits alone, at most 18 of them; None for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else None


def signed_number(text: str) -> int | None:
    """As :func:`whole_number`, with or without a minus sign."""
    size = whole_number(text.removeprefix("-"))
    return -size if size is not None and text.startswith("-") else size
