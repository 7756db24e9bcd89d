"""Label scores as lists to work through, one for each pair of given and suggested label, the surest error first.

A folder of lists holds ``index.csv`` (a line per list), ``names.txt``, and ``<noisy>_<suggested>.csv`` for every pair
that occurs. Its column ``decision`` is empty: whoever looks at the images fills in the right label there. And
``random_sample.csv``, images drawn from all of them, to calibrate by: it says nothing of what the net thinks.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from caffe_compat.datasets import layout
from caffe_compat.datasets.samples import NO_LABEL
from caffe_compat.evaluation.label_quality.scores_file import ScoresFile
from caffe_compat.files import atomic_directory

INDEX, RANDOM_SAMPLE, DECISION = "index.csv", "random_sample.csv", "decision"
SAMPLE_SIZE = 500  # unless something else is asked for
_COLUMNS = (
    "key", "noisy", "suggested", "p_wrong", "q_suggested", "q_noisy",
    "true_1", "p_true_1", "true_2", "p_true_2", "truth",
)  # fmt: skip
_HEADER = (*_COLUMNS[:3], DECISION, *_COLUMNS[3:])
_INDEX_HEADER = ("noisy", "suggested", "noisy_name", "suggested_name", "records", "expected_wrong", "file")


@dataclass(frozen=True)
class Pair:
    """The records of one given and one suggested label.

    Attributes:
        rows: (M,) their places in the file, the surest error first.
        expected_wrong: the sum of p_wrong.
    """

    noisy: int
    suggested: int
    rows: np.ndarray
    expected_wrong: float

    @property
    def file(self) -> str:
        return f"{self.noisy}_{self.suggested}.csv"


def pairs_of(scores: ScoresFile) -> list[Pair]:
    """All pairs that occur, those whose labels are to be changed first, by expected number of wrong labels.

    Images whose clean label is known are left out: nobody needs to look at them. Holds a few numbers a record.
    """
    columns = scores.arrays(["noisy", "suggested", "q_noisy", "p_wrong", "clean"])
    noisy, suggested = columns["noisy"], columns["suggested"]
    order = np.lexsort((columns["q_noisy"], suggested, noisy))  # p_wrong rounds to 1 where q_noisy still tells
    order = order[columns["clean"][order] == NO_LABEL]
    ends = np.flatnonzero(np.diff(noisy[order]) | np.diff(suggested[order])) + 1
    pairs = [
        Pair(int(noisy[rows[0]]), int(suggested[rows[0]]), rows, float(columns["p_wrong"][rows].sum(dtype=np.float64)))
        for rows in np.split(order, ends)
        if len(rows)
    ]
    return sorted(pairs, key=lambda pair: (pair.noisy == pair.suggested, -pair.expected_wrong))


def write_lists(folder: str | os.PathLike[str], scores: ScoresFile, sample_size: int = SAMPLE_SIZE) -> int:
    """Write a folder of lists; returns how many. Holds the lists' columns in memory, 100 bytes or so a record.

    Args:
        sample_size: records in the random sample.
    Raises: FileExistsError if the folder exists: there may be decisions in it.
    """
    pairs, names = pairs_of(scores), scores.info.class_names
    table = scores.table(_COLUMNS)
    with atomic_directory(folder) as part:
        (part / layout.NAMES).write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
        _write(part / INDEX, _INDEX_HEADER, (_index_row(pair, names) for pair in pairs))
        for pair in pairs:
            _write(part / pair.file, _HEADER, _rows(table.take(pair.rows)))
        sample = table.select(["key", "noisy"]).take(_random_rows(pairs)[:sample_size])
        _write(part / RANDOM_SAMPLE, ("key", "noisy", DECISION), ([*row.values(), ""] for row in sample.to_pylist()))
    return len(pairs)


def _random_rows(pairs: Sequence[Pair]) -> np.ndarray:
    """Places of all records in an order that is always the same; any first part of it is a random sample."""
    rows = np.sort(np.concatenate([pair.rows for pair in pairs])) if pairs else np.empty(0, np.int64)
    return np.random.default_rng(0).permutation(rows)


def _index_row(pair: Pair, names: list[str]) -> list[object]:
    both = [pair.noisy, pair.suggested, names[pair.noisy], names[pair.suggested]]
    return [*both, len(pair.rows), f"{pair.expected_wrong:.2f}", pair.file]


def _rows(table: Any) -> Iterator[list[object]]:
    for values in zip(*(column.to_pylist() for column in table.columns), strict=True):
        texts = ["" if v is None else f"{v:.6g}" if isinstance(v, float) else v for v in values]
        yield [*texts[:3], "", *texts[3:]]


def _write(path: Path, header: tuple[str, ...], rows: Iterator[list[object]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
