"""Images that are one picture, as groups: duplicates of duplicates belong together."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from caffe_compat.datasets.near_duplicates.candidates import Candidates
from caffe_compat.datasets.near_duplicates.matching import Matches
from caffe_compat.datasets.near_duplicates.sides import Side

GROUPS_HEADER = ("group", "key", "side", "distance", "score", "nearest", "mirrored")
CLUSTERS_HEADER = ("cluster", "key")


def write_groups(path: Path, matches: Matches, clean: Side, noisy: Side) -> int:
    """Write ``groups.csv``, in place, and return the number of groups: their clean images, then their noisy ones.

    Of a noisy image: ``distance`` to its nearest clean image, in bits of 256; ``score``, the correlation with it;
    ``nearest``, its key; ``mirrored``, 1 where it is that one's mirror image. Of a clean one these are empty.
    """
    best = matches.best_of_each()
    kept = np.unique(matches.pairs["query"])
    group_of = _components(matches.pairs["query"], matches.pairs["base"] + len(clean), len(clean) + len(noisy))
    rows: list[tuple[int, int, tuple[object, ...]]] = [
        (group_of[query], 0, (clean.keys[query], "clean", "", "", "", "")) for query in kept.tolist()
    ]
    for pair, score in zip(best.pairs, best.correlation.tolist(), strict=True):
        nearest = clean.keys[pair["query"]]
        row = (noisy.keys[pair["base"]], "noisy", int(pair["fine"]), f"{score:.4f}", nearest, int(pair["mirrored"]))
        rows.append((group_of[int(pair["base"]) + len(clean)], 1, row))
    return _write(path, GROUPS_HEADER, rows)


def write_clusters(path: Path, pairs: Candidates, side: Side) -> int:
    """Write clusters inside one side, ``cluster,key``, in place; returns how many there are."""
    group_of = _components(pairs["query"], pairs["base"], len(side))
    members = np.unique(np.concatenate([pairs["query"], pairs["base"]])).tolist()
    return _write(path, CLUSTERS_HEADER, [(group_of[member], 0, (side.keys[member],)) for member in members])


def _components(one: npt.NDArray[np.int64], other: npt.NDArray[np.int64], count: int) -> list[int]:
    """Of every node its component's number, for edges between ``one`` and ``other``."""
    from scipy.sparse import coo_array  # ImageHash brings scipy
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(len(one), np.int8), (one, other)), shape=(count, count))
    return list(connected_components(edges, directed=False)[1].tolist())


def _write(path: Path, header: tuple[str, ...], rows: list[tuple[int, int, tuple[object, ...]]]) -> int:
    """Rows as (group, place in it, fields), groups numbered from 0 in order of appearance."""
    numbers: dict[int, int] = {}
    for group, *_ in rows:
        numbers.setdefault(group, len(numbers))
    with open(path, "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(_numbered(rows, numbers))
    return len(numbers)


def _numbered(rows: list[tuple[int, int, tuple[object, ...]]], numbers: dict[int, int]) -> Iterator[tuple[object, ...]]:
    for group, _, fields in sorted(rows, key=lambda row: (numbers[row[0]], row[1])):
        yield numbers[group], *fields
