"""From candidates to duplicates, laid over each other: much alike, or near in the fine hash and somewhat alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from caffe_compat.datasets.near_duplicates.alignment import Pair, correlate_files
from caffe_compat.datasets.near_duplicates.candidates import Candidates
from caffe_compat.datasets.near_duplicates.sides import Side
from caffe_compat.datasets.near_duplicates.thresholds import Thresholds
from caffe_compat.datasets.workers import Rate, in_processes


@dataclass(frozen=True)
class Matches:
    """M pairs of a clean image (query) and a noisy one (base) that are one picture.

    Attributes:
        pairs: (M,) CANDIDATE.
        correlation: (M,) float64 in [-1, 1], of the pair laid over each other, as ``alignment`` has it.
    """

    pairs: Candidates
    correlation: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.pairs)

    def best_of_each(self) -> Matches:
        """Of each noisy image its nearest clean one: (K,), by rising position of the noisy image."""
        order = np.lexsort((self.pairs["query"], -self.correlation, self.pairs["fine"], self.pairs["base"]))
        base = self.pairs["base"][order]
        first = order[np.r_[True, np.diff(base) != 0][: len(base)]]
        return Matches(self.pairs[first], self.correlation[first])


def match(found: Candidates, clean: Side, noisy: Side, thresholds: Thresholds, processes: int) -> Matches:
    """Lay every candidate pair over each other, in worker processes, and keep the duplicates."""
    rate = Rate("Laid over each other", len(found), "pairs")
    files = (
        Pair(
            clean.path_of(clean.keys[pair["query"]]),
            noisy.path_of(noisy.keys[pair["base"]]),
            bool(pair["mirrored"]),
        )
        for pair in found
    )
    correlation = np.zeros(len(found))
    for position, value in enumerate(in_processes(correlate_files, files, processes, chunk=16)):
        correlation[position] = value
        rate.add(1)
    is_near = (found["fine"] <= thresholds.fine) & (correlation >= thresholds.least_correlation)
    is_same = is_near | (correlation >= thresholds.correlation)
    return Matches(found[is_same], correlation[is_same])
