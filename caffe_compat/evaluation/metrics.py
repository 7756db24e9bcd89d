"""How well scores rank (precision by rank, AP, AUROC), and whether probabilities mean what they say (ECE)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from caffe_compat.arrays import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Reliability:
    """Records sorted into bins by probability. K is the number of bins; an empty bin has NaN for its two means.

    Attributes:
        edges: (K + 1,) float64, rising; bin k holds edges[k] <= probability < edges[k + 1], the last one both ends.
        count: (K,) int64, the records of each bin.
        confidence: (K,) float64, the mean probability.
        accuracy: (K,) float64, the share that is right.
    """

    edges: FloatArray
    count: IntArray
    confidence: FloatArray
    accuracy: FloatArray


def rank_precision(scores: npt.ArrayLike, is_positive: npt.ArrayLike) -> FloatArray:
    """The share of positives among the records down to each rank, highest score first (the paper's Fig. 8).

    Equal scores have no order of their own: each rank among them gets the mean over all their orders, so the curve
    does not depend on how the records happen to lie.

    Shapes: scores (N,) any finite numbers; is_positive (N,) bool. Result (N,) in [0, 1]; entry r - 1 is rank r.
    Raises: ValueError if the shapes differ or are empty, a score is not finite, or is_positive is not bool.
    """
    values, positive = _checked(scores, is_positive, "scores", "is_positive")
    last, hits = _thresholds(values, positive)
    records_at, hits_at = np.r_[0, last], np.r_[0, hits]
    ranks = np.arange(1, len(values) + 1)
    return np.interp(ranks, records_at, hits_at) / ranks  # hits grow evenly within a group of equal scores


def average_precision(scores: npt.ArrayLike, is_positive: npt.ArrayLike) -> float:
    """AP = sum over thresholds of (recall gained there) * (precision there); equal scores are one threshold.

    Shapes and errors as :func:`rank_precision`; ValueError also without any positive.
    """
    values, positive = _checked(scores, is_positive, "scores", "is_positive")
    last, hits = _thresholds(values, positive)
    _at_least_one(hits[-1], "positive")
    return float(np.sum(np.diff(hits, prepend=0) / hits[-1] * (hits / last)))


def auroc(scores: npt.ArrayLike, is_positive: npt.ArrayLike) -> float:
    """The probability that a positive scores above a negative, both drawn at random; equal scores count half.

    Shapes and errors as :func:`rank_precision`; ValueError also without any positive or without any negative.
    """
    values, positive = _checked(scores, is_positive, "scores", "is_positive")
    last, hits = _thresholds(values, positive)
    misses = last - hits
    _at_least_one(hits[-1], "positive")
    _at_least_one(misses[-1], "negative")
    hits_above = hits - np.diff(hits, prepend=0) / 2
    return float(np.sum(np.diff(misses, prepend=0) * hits_above) / (hits[-1] * misses[-1]))


def reliability(
    probabilities: npt.ArrayLike,
    is_right: npt.ArrayLike,
    bins: int = 10,
    equal: Literal["width", "mass"] = "width",
) -> Reliability:
    """How often records of each probability are right.

    Args:
        bins: how many, at least 1.
        equal: "width" cuts [0, 1] into equal lengths; "mass" into bins of equally many records, as far as equal
            probabilities, which always share a bin, allow: there may then be fewer bins than asked for.
    Shapes: probabilities (N,) in [0, 1]; is_right (N,) bool.
    Raises: ValueError if the shapes differ or are empty, a probability is out of range, or bins < 1.
    """
    values, right = _checked(probabilities, is_right, "probabilities", "is_right")
    outside = np.flatnonzero((values < 0) | (values > 1))
    if len(outside):
        raise ValueError(f"probabilities[{outside[0]}]: expected a number in [0, 1], got {values[outside[0]]:g}")
    if bins < 1:
        raise ValueError(f"bins: expected at least 1, got {bins}")
    edges = np.linspace(0, 1, bins + 1) if equal == "width" else _equal_mass_edges(values, bins)
    of_record = np.searchsorted(edges[1:-1], values, side="right")
    count = np.bincount(of_record, minlength=len(edges) - 1)
    divisor = np.where(count > 0, count, np.nan)
    confidence = np.bincount(of_record, values, minlength=len(count)) / divisor
    accuracy = np.bincount(of_record, right, minlength=len(count)) / divisor
    return Reliability(edges, count, confidence, accuracy)


def expected_calibration_error(binned: Reliability) -> float:
    """ECE = sum over bins of count / N * |accuracy - confidence|, in [0, 1]."""
    used = binned.count > 0
    gap = np.abs(binned.accuracy[used] - binned.confidence[used])
    return float(np.sum(binned.count[used] * gap) / binned.count.sum())


def _thresholds(values: FloatArray, positive: BoolArray) -> tuple[IntArray, IntArray]:
    """At each different score, highest first: how many records reach it, and how many positives among them."""
    order = np.argsort(-values, kind="stable")
    ends = np.flatnonzero(np.diff(values[order], append=-np.inf))
    return ends + 1, np.cumsum(positive[order], dtype=np.int64)[ends]


def _equal_mass_edges(values: FloatArray, bins: int) -> FloatArray:
    """0, the values at which a new bin begins, 1."""
    rising = np.sort(values)
    begins = rising[np.arange(1, bins) * len(rising) // bins]
    return np.r_[0.0, np.unique(begins[begins > rising[0]]), 1.0]


def _checked(
    values: npt.ArrayLike, flags: npt.ArrayLike, values_name: str, flags_name: str
) -> tuple[FloatArray, BoolArray]:
    numbers, truths = np.asarray(values, dtype=np.float64), np.asarray(flags)
    if numbers.ndim != 1 or numbers.shape != truths.shape or not len(numbers):
        expected = f"{values_name} and {flags_name}: expected one shape (N,) with N >= 1"
        raise ValueError(f"{expected}, got {numbers.shape} and {truths.shape}")
    if truths.dtype != np.bool_:
        raise ValueError(f"{flags_name}: expected bool, got {truths.dtype}")
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if len(wrong):
        raise ValueError(f"{values_name}[{wrong[0]}]: expected a finite number, got {numbers[wrong[0]]}")
    return numbers, truths


def _at_least_one(count: int, kind: str) -> None:
    if not count:
        raise ValueError(f"is_positive: expected at least one {kind}, got none")
