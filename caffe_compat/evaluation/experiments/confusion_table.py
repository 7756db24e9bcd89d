"""The estimated C beside the one the labels were drawn from, class by class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from caffe_compat.evaluation.experiments.markdown import escaped


def confusion_table(estimated: np.ndarray, true: np.ndarray, names: Sequence[str]) -> str:
    """Two columns as Markdown: of each true class, what it is taken for and how often, most frequent first.

    Shapes: estimated and true (L, L), indexed [noisy, true]; names L.
    """
    names = [escaped(name) for name in names]
    rows = [
        (f"{name} ({number})", _column(estimated[:, number], names), _column(true[:, number], names))
        for number, name in enumerate(names)
    ]
    header = ("true class", "taken for, estimated C", "taken for, true C")
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(3)]
    lines = [header, tuple("-" * width for width in widths), *rows]
    table = "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )
    error = np.abs(estimated - true).max()
    return f"{table}\n\nLargest difference between the two: {error:.3f}\n"


def _column(column: np.ndarray, names: Sequence[str]) -> str:
    order = [number for number in np.argsort(-column, kind="stable") if column[number] > 0]
    return ", ".join(f"{names[number]} {column[number]:.2f}" for number in order)
