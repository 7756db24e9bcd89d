"""Which record comes when: an index, a new random order every round, every S-th record for one of S solvers."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caffe_compat.errors import DataError, expected_got
from caffe_compat.npy_files import map_npy


def load_index(path: str | os.PathLike[str], num_records: int) -> np.ndarray:
    """The reading order in ``path``: (N,) int64 positions in [0, num_records), memory-mapped.

    Raises: DataError naming the file.
    """
    if not Path(path).is_file():
        raise _bad_index(path, "no index there; tools/mix_datasets.py makes one")
    try:
        index = map_npy(path)
    except OSError as exc:
        raise _bad_index(path, f"cannot be read: {exc.strerror}") from exc
    except ValueError as exc:
        raise _bad_index(path, str(exc)) from exc
    if index.dtype != np.int64 or index.ndim != 1 or index.size == 0:
        raise _bad_index(path, expected_got("int64 of shape (N,), N > 0", f"{index.dtype} of shape {index.shape}"))
    least, most = int(index.min()), int(index.max())
    if least < 0 or most >= num_records:
        raise _bad_index(path, expected_got(f"positions in [0, {num_records})", f"[{least}, {most}]"))
    return index


def _bad_index(path: str | os.PathLike[str], problem: str) -> DataError:
    return DataError(problem, path=os.fspath(path), field="data_param.index")


@dataclass(frozen=True)
class Share:
    """Which records a solver reads of those that several solvers read together: every ``solver_count``-th.

    Source: DataLayer::Skip, src/caffe/layers/data_layer.cpp.
    """

    solver_rank: int = 0
    solver_count: int = 1


ALL_RECORDS = Share()


@functools.lru_cache(maxsize=4)  # a batch may end one round and begin the next
def shuffled(num_records: int, seed: int, number: int) -> np.ndarray:
    """The order of round ``number``: (num_records,) int64, a permutation."""
    return np.random.default_rng([seed, number]).permutation(num_records)
