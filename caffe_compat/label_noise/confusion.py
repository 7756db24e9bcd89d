"""Estimating C, the matrix of confusing noise, from samples that carry both labels (Eq. 8-14).

The objective separates into one problem per true class (a column of C), and within a column only the counts
m_1 >= m_2 >= ... of its wrong labels matter. For each k the best column keeps the k most frequent wrong labels in
proportion to their counts and calls every other wrong label pure random noise; the best k is k*.

Rules where the paper leaves a choice:

- Equal counts: the higher class index comes first. Equal E: the larger k*. (As the authors' release does.)
- A true class with no mislabelled sample, or with no sample at all: an all-zero column ("never confused with
  anything"), k* = 0, E = 0.
- Two classes: alpha = 1, so E is 0 whatever k; the column is the one wrong label, C = 1 = alpha, which is not
  greater than alpha, so a wrong label is pure random noise (type 1). Theorem 2 needs three classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from caffe_compat.arrays import FloatArray, IntArray

NOISE_FREE, PURE_RANDOM, CONFUSING = 0, 1, 2
NOISE_TYPE_NAMES = ("noise free", "pure random", "confusing")


# E per sample is computed from fractions, to a few 1e-15; candidates closer than this are the same number.
_SAME_OBJECTIVE = 1e-12


@dataclass(frozen=True)
class ConfusionEstimate:
    """What the counts of (noisy, true) pairs determine. L is the number of classes.

    Attributes:
        confusion: C, (L, L) float64 indexed [noisy, true]; columns sum to 1 or are all zero; zero diagonal.
        k_star: (L,) int64, the number of wrong labels kept in each column, 0 for a class without mislabelled samples.
        counts: (L, L) int64 indexed [noisy, true], the samples of each pair, diagonal included.
        mass_kept: (L,) float64 in [0, 1], the share of a class's mislabelled samples that the kept labels cover;
            0 for a class without mislabelled samples.
        objective: (L,) float64, the best E of Eq. 10 for each column, natural log, at most 0.
        noise_type_table: (L, L) int64 indexed [noisy, true]: 0 noise free, 1 pure random, 2 confusing.
    """

    confusion: FloatArray
    k_star: IntArray
    counts: IntArray
    mass_kept: FloatArray
    objective: FloatArray
    noise_type_table: IntArray

    def noise_type_counts(self) -> IntArray:
        """Samples of each noise type for each true class, (L, 3) indexed [true, noise type]."""
        by_type = [np.where(self.noise_type_table == kind, self.counts, 0).sum(axis=0) for kind in range(3)]
        return np.stack(by_type, axis=1)


@dataclass(frozen=True)
class PairsEstimate(ConfusionEstimate):
    """A :class:`ConfusionEstimate` with the noise type of every pair, (N,) int64, in the order given.

    Unpacks as ``confusion, k_star, noise_types = estimate_confusion(...)``.
    """

    noise_types: IntArray

    def __iter__(self) -> Iterator[npt.NDArray[np.generic]]:
        return iter((self.confusion, self.k_star, self.noise_types))


def estimate_confusion(noisy: npt.ArrayLike, true: npt.ArrayLike, num_classes: int) -> PairsEstimate:
    """Estimate C, k* and the noise types from N pairs of labels.

    Shapes: noisy, true (N,), whole numbers in [0, num_classes).
    Raises: ValueError if the shapes differ, a label is out of range (its index is named), or num_classes < 2.
    Source: Xiao et al., CVPR 2015, Eq. 8-14. Time O(N + L^2) up to the sort of each column.
    """
    noisy_labels = _labels("noisy", noisy, num_classes)
    true_labels = _labels("true", true, num_classes)
    if noisy_labels.shape != true_labels.shape:
        raise ValueError(f"noisy and true: expected one shape, got {noisy_labels.shape} and {true_labels.shape}")
    estimate = estimate_from_counts(count_pairs(noisy_labels, true_labels, num_classes))
    types = estimate.noise_type_table[noisy_labels, true_labels]  # [E8] z of every sample; [T1] equal for equal pairs
    return PairsEstimate(**vars(estimate), noise_types=types)


def count_pairs(noisy: IntArray, true: IntArray, num_classes: int) -> IntArray:
    """Count the pairs: (num_classes, num_classes) int64 indexed [noisy, true]. Labels must be in range."""
    flat = np.bincount(noisy * num_classes + true, minlength=num_classes * num_classes)  # [E9] only counts matter
    return flat.reshape(num_classes, num_classes).astype(np.int64)


def estimate_from_counts(counts: npt.ArrayLike) -> ConfusionEstimate:
    """As :func:`estimate_confusion`, from the (L, L) counts indexed [noisy, true] alone.

    Raises: ValueError if ``counts`` is not a square matrix (L >= 2) of whole numbers >= 0.
    """
    pairs = _checked_counts(counts)
    num_classes = len(pairs)
    wrong = pairs * (1 - np.eye(num_classes, dtype=np.int64))
    confusion = np.zeros((num_classes, num_classes))
    noise_types = np.where(np.eye(num_classes, dtype=bool), NOISE_FREE, PURE_RANDOM).astype(np.int64)
    k_star = np.zeros(num_classes, dtype=np.int64)
    mass_kept, objective = np.zeros(num_classes), np.zeros(num_classes)
    for true in range(num_classes):  # [E10] column by column
        order = _by_falling_count(wrong[:, true])
        k_star[true], objective[true] = _best_k(wrong[order, true], num_classes)
        kept = order[: k_star[true]]  # [E12]
        mass = wrong[kept, true].sum()
        if mass:
            confusion[kept, true] = wrong[kept, true] / mass  # [E14]
            mass_kept[true] = mass / wrong[:, true].sum()
            # [T2] C > alpha, in whole numbers: m_i / mass > 1 / (L - 1); [L1] with L >= 3 that is every label kept
            noise_types[kept[wrong[kept, true] * (num_classes - 1) > mass], true] = CONFUSING
    return ConfusionEstimate(confusion, k_star, pairs, mass_kept, objective, noise_types)


def _by_falling_count(counts: IntArray) -> IntArray:
    """Class indices by falling count; among equal counts the higher index first."""
    highest_first = np.arange(len(counts))[::-1]
    return highest_first[np.argsort(-counts[::-1], kind="stable")]  # [E11]


def _best_k(falling: IntArray, num_classes: int) -> tuple[int, float]:
    """k* and E of one column, given its off-diagonal counts in falling order (Eq. 10-14).

    With f_i = m_i / M and s_k = f_1 + ... + f_k, putting Eq. 14 into Eq. 10 gives
    E_k / M = sum_{i<=k} f_i log f_i - s_k log s_k + (1 - s_k) log alpha: running sums, O(L) for all k together.
    """
    counts = falling[falling > 0]  # a label never seen cannot be kept: C would be 0 there
    if not len(counts):
        return 0, 0.0
    total = counts.sum()
    fraction = counts / total
    kept = np.cumsum(counts) / total
    kept_part = np.cumsum(fraction * np.log(fraction)) - kept * np.log(kept)  # [E13] at its best, [E14]
    objective = kept_part - (1 - kept) * np.log(num_classes - 1)  # [E10]
    k = int(np.flatnonzero(objective >= objective.max() - _SAME_OBJECTIVE)[-1])
    return k + 1, float(total * objective[k])


def _labels(name: str, labels: npt.ArrayLike, num_classes: int) -> IntArray:
    if num_classes < 2:
        raise ValueError(f"num_classes: expected at least 2, got {num_classes}")
    given = np.asarray(labels)
    if given.ndim != 1:
        raise ValueError(f"{name}: expected shape (N,), got {given.shape}")
    wrong = np.flatnonzero(~((given >= 0) & (given < num_classes) & (given == np.floor(given))))
    if len(wrong):
        raise ValueError(f"{name}[{wrong[0]}]: expected a whole number in [0, {num_classes}), got {given[wrong[0]]}")
    return given.astype(np.int64)


def _checked_counts(counts: npt.ArrayLike) -> IntArray:
    given = np.asarray(counts)
    if given.ndim != 2 or given.shape[0] != given.shape[1] or len(given) < 2:
        raise ValueError(f"counts: expected shape (L, L) with L >= 2, got {given.shape}")
    if not np.all((given >= 0) & (given == np.floor(given))):
        raise ValueError("counts: expected whole numbers >= 0")
    return given.astype(np.int64)
