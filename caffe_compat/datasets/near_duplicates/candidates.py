"""Pairs of images whose coarse hashes are near each other: exactly all of them, by comparing each with each.

faiss' flat index compares a few hundred million pairs of 64 bits a second on one core. Its hash tables
(IndexBinaryHash, IndexBinaryMultiHash) were slower wherever they, too, found all pairs, see
docs/results/near_duplicates.md.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from caffe_compat.datasets.near_duplicates.hashing import COARSE_BITS
from caffe_compat.datasets.workers import Rate
from caffe_compat.errors import DataError

_QUERIES_AT_ONCE = 512

# query, base: positions; coarse, fine: Hamming distances; mirrored: whether to the mirror image of the query.
CANDIDATE = np.dtype([("query", np.int64), ("base", np.int64), ("coarse", np.int16), ("fine", np.int16),
                      ("mirrored", np.bool_)])  # fmt: skip

Candidates = npt.NDArray[np.void]
_Bytes = npt.NDArray[np.uint8]


def find_candidates(
    queries: npt.NDArray[np.void], base: npt.NDArray[np.void], coarse_radius: int, fine_radius: int, processes: int = 1
) -> Candidates:
    """All pairs within both radii (inclusive), of a query or its mirror image and an image of ``base``, sorted.

    Shapes: queries (Q,), base (N,) FINGERPRINT. Returns (M,) CANDIDATE; a pair that agrees both ways comes once, with
        the smaller fine distance. ``processes``: threads.
    Raises: DataError if faiss is not installed.
    """
    faiss = faiss_library()
    faiss.omp_set_num_threads(processes)
    index = faiss.IndexBinaryFlat(COARSE_BITS)
    index.add(np.ascontiguousarray(base["coarse"]))
    rate = Rate("Compared", len(queries), f"images with {len(base)}")
    found = []
    for start in range(0, len(queries), _QUERIES_AT_ONCE):
        block = queries[start : start + _QUERIES_AT_ONCE]
        for mirrored in (False, True):
            some = _search(index, block, base, coarse_radius, mirrored)
            some = some[some["fine"] <= fine_radius]
            some["query"] += start
            found.append(some)
        rate.add(len(block))
    return _once_each(np.concatenate(found) if found else np.zeros(0, CANDIDATE))


def _search(
    index: Any, block: npt.NDArray[np.void], base: npt.NDArray[np.void], radius: int, mirrored: bool
) -> Candidates:
    suffix = "_mirrored" if mirrored else ""
    hashes = np.ascontiguousarray(block["coarse" + suffix])
    limits, distances, positions = index.range_search(hashes, radius + 1)  # faiss leaves out what is just as far
    some = np.zeros(len(positions), CANDIDATE)
    some["query"] = np.repeat(np.arange(len(block)), np.diff(limits.astype(np.int64)))
    some["base"], some["coarse"], some["mirrored"] = positions, distances, mirrored
    some["fine"] = hamming(block["fine" + suffix][some["query"]], base["fine"][some["base"]])
    return some


def hamming(one: _Bytes, other: _Bytes) -> npt.NDArray[np.int64]:
    """Bits that differ, (M,), between rows of (M, bytes)."""
    return np.bitwise_count(one ^ other).sum(axis=1, dtype=np.int64)


def _once_each(found: Candidates) -> Candidates:
    ordered = found[np.lexsort((found["mirrored"], found["fine"], found["base"], found["query"]))]
    if not len(ordered):
        return ordered
    is_first = np.ones(len(ordered), bool)
    is_first[1:] = (np.diff(ordered["query"]) != 0) | (np.diff(ordered["base"]) != 0)
    return ordered[is_first]


def without_itself(found: Candidates) -> Candidates:
    """Of a set compared with itself: each pair once, and no image with itself."""
    return found[found["query"] < found["base"]]


def faiss_library() -> ModuleType:
    """The package. Raises: DataError if it is not installed."""
    try:
        import faiss
    except ImportError as exc:
        raise DataError("near duplicates need the Python package faiss (pip install faiss-cpu)") from exc
    return faiss
