"""Estimating C: brute force over all subsets, the counts of CIFAR-10N, the rules for ties and empty classes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest

from caffe_compat.label_noise.confusion import count_pairs, estimate_confusion, estimate_from_counts

# CIFAR-10N, `worse` labels of all 50,000 training images: rows clean, columns noisy.
CIFAR10N_WORSE = np.array(
    [
        [3251, 328, 359, 96, 97, 114, 94, 83, 423, 155],
        [215, 2961, 76, 132, 87, 77, 68, 68, 79, 1237],
        [277, 183, 3160, 229, 297, 238, 249, 166, 118, 83],
        [198, 172, 396, 2436, 213, 1028, 235, 119, 106, 97],
        [197, 163, 350, 201, 2441, 532, 195, 758, 105, 58],
        [165, 141, 264, 915, 202, 2901, 137, 147, 61, 67],
        [190, 191, 420, 379, 254, 288, 2968, 143, 102, 65],
        [199, 140, 121, 110, 256, 309, 115, 3608, 87, 55],
        [409, 364, 109, 72, 105, 93, 82, 109, 3417, 240],
        [208, 1410, 87, 103, 88, 88, 60, 72, 131, 2753],
    ]
)


def column_objective(wrong_counts: Sequence[int], kept: Sequence[int]) -> float:
    """Eq. 10 for one column when exactly the labels in ``kept`` are explained by C, with the best C for them."""
    alpha = 1 / (len(wrong_counts) - 1)
    mass = sum(wrong_counts[i] for i in kept)
    return sum(
        count * (math.log(count / mass) if i in kept else math.log(alpha))
        for i, count in enumerate(wrong_counts)
        if count
    )


def best_by_brute_force(wrong_counts: Sequence[int]) -> float:
    seen = [i for i, count in enumerate(wrong_counts) if count]
    subsets = itertools.chain.from_iterable(itertools.combinations(seen, size) for size in range(len(seen) + 1))
    return max(column_objective(wrong_counts, subset) for subset in subsets)


def column_of(true: int, wrong_counts: Sequence[int]) -> np.ndarray:
    """Counts of a data set in which only class ``true`` is ever mislabelled."""
    counts = np.diag([50] * len(wrong_counts))
    counts[:, true] += wrong_counts
    return counts


@pytest.mark.parametrize("num_classes", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("highest", [2, 9, 400])
def test_objective_is_the_best_over_all_subsets(num_classes: int, highest: int) -> None:
    rng = np.random.default_rng(num_classes * highest)
    for _ in range(25):
        counts = rng.integers(0, highest, (num_classes, num_classes))
        estimate = estimate_from_counts(counts)
        for true in range(num_classes):
            wrong = [int(count) * (noisy != true) for noisy, count in enumerate(counts[:, true])]
            assert estimate.objective[true] == pytest.approx(best_by_brute_force(wrong), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_objective_is_that_of_the_returned_matrix_and_types(seed: int) -> None:
    """E and C come from one formula each; Eq. 9 evaluated sample by sample ties them together."""
    rng = np.random.default_rng(seed)
    true, noisy = rng.integers(0, 5, 300), rng.integers(0, 5, 300)
    estimate = estimate_confusion(noisy, true, 5)
    total = 0.0
    for i, y, kind in zip(noisy, true, estimate.noise_types, strict=True):
        assert (kind == 0) == (i == y)
        if kind == 1:
            total += math.log(1 / 4)
        elif kind == 2:
            total += math.log(estimate.confusion[i, y])
    assert estimate.objective.sum() == pytest.approx(total, rel=1e-12)


def test_cifar10n_worse_labels() -> None:
    estimate = estimate_from_counts(CIFAR10N_WORSE.T)
    assert estimate.k_star.tolist() == [3, 1, 3, 2, 2, 1, 3, 2, 2, 1]
    assert estimate.noise_type_counts().sum(axis=0).tolist() == [29_896, 9_470, 10_634]
    assert estimate.confusion[:, 0] == pytest.approx([0, 328 / 1110, 359 / 1110, 0, 0, 0, 0, 0, 423 / 1110, 0])
    assert estimate.mass_kept[1] == pytest.approx(1237 / (5000 - 2961))


def test_pairs_give_what_their_counts_give() -> None:
    true, noisy = (labels.ravel() for labels in np.indices((10, 10)))
    times = (CIFAR10N_WORSE // 10).ravel()
    true, noisy = np.repeat(true, times), np.repeat(noisy, times)
    from_pairs, from_counts = estimate_confusion(noisy, true, 10), estimate_from_counts(CIFAR10N_WORSE.T // 10)
    confusion, k_star, noise_types = from_pairs
    np.testing.assert_array_equal(confusion, from_counts.confusion)
    np.testing.assert_array_equal(k_star, from_counts.k_star)
    np.testing.assert_array_equal(from_pairs.counts, CIFAR10N_WORSE.T // 10)
    assert np.bincount(noise_types).tolist() == from_counts.noise_type_counts().sum(axis=0).tolist()


@pytest.mark.parametrize("seed", range(5))
def test_lemma_1_and_theorem_2(seed: int) -> None:
    counts = np.random.default_rng(seed).geometric(0.05, (7, 7))
    estimate = estimate_from_counts(counts)
    off_diagonal = ~np.eye(7, dtype=bool)
    assert np.all((estimate.confusion == 0) | (estimate.confusion > 1 / 6))
    np.testing.assert_array_equal((estimate.noise_type_table == 2), estimate.confusion > 1 / 6)
    np.testing.assert_array_equal((estimate.noise_type_table != 0), off_diagonal)
    np.testing.assert_allclose(estimate.confusion.sum(axis=0), 1)
    np.testing.assert_array_equal((estimate.confusion > 0).sum(axis=0), estimate.k_star)


@pytest.mark.parametrize("rest", [(0, 0), (1, 0), (1, 1), (2, 1)])
@pytest.mark.parametrize("count", [4, 9, 10, 12_345_678])
def test_equal_objectives_keep_the_larger_k(count: int, rest: tuple[int, int]) -> None:
    """Two equal counts, five classes: k = 1 gives m log(1/4), k = 2 gives 2 m log(1/2), the same number, whatever the
    two other counts add to both; in floating point they differ in the last digits."""
    estimate = estimate_from_counts(column_of(0, [0, count, count, *rest]))
    assert estimate.k_star[0] == 2
    assert estimate.confusion[:, 0].tolist() == [0, 0.5, 0.5, 0, 0]


def test_among_equal_counts_the_higher_class_index_comes_first() -> None:
    # Four classes, three equal counts: k = 1 is best (log 3 against 2 log 1.5 and 0), so one of the three stays.
    estimate = estimate_from_counts(column_of(1, [7, 0, 7, 7]))
    assert estimate.k_star[1] == 1
    assert estimate.confusion[:, 1].tolist() == [0, 0, 0, 1]
    assert estimate.noise_type_table[:, 1].tolist() == [1, 0, 1, 2]


@pytest.mark.parametrize("samples", [0, 9], ids=["no sample", "no mislabelled sample"])
def test_a_class_without_noise_has_an_all_zero_column(samples: int) -> None:
    counts = np.array([[5, 2, 0], [1, 6, 0], [2, 0, samples]])
    estimate = estimate_from_counts(counts)
    assert estimate.confusion[:, 2].tolist() == [0, 0, 0]
    assert (estimate.k_star[2], estimate.mass_kept[2], estimate.objective[2]) == (0, 0, 0)
    assert estimate.confusion[:, :2].sum(axis=0).tolist() == [1, 1]
    assert estimate.noise_type_table[:, 2].tolist() == [1, 1, 0]


def test_no_pairs_at_all() -> None:
    estimate = estimate_confusion([], [], 4)
    assert not estimate.confusion.any() and not estimate.k_star.any() and estimate.noise_types.shape == (0,)


def test_with_two_classes_every_wrong_label_is_random() -> None:
    estimate = estimate_confusion(noisy=[0, 1, 1, 0], true=[0, 0, 1, 1], num_classes=2)
    assert estimate.confusion.tolist() == [[0, 1], [1, 0]]
    assert estimate.noise_types.tolist() == [0, 1, 0, 1]


def test_rows_are_noisy_and_columns_true() -> None:
    estimate = estimate_confusion(noisy=[2, 2, 2], true=[0, 0, 0], num_classes=3)
    assert estimate.confusion[2, 0] == 1 and estimate.confusion.sum() == 1
    assert count_pairs(np.array([2]), np.array([0]), 3)[2, 0] == 1


@pytest.mark.parametrize(
    ("noisy", "true", "num_classes", "message"),
    [
        ([0, 3], [0, 1], 3, r"noisy\[1\]: expected a whole number in \[0, 3\), got 3"),
        ([0, 1], [0, -1], 3, r"true\[1\]: expected a whole number in \[0, 3\), got -1"),
        ([0.5], [0], 3, r"noisy\[0\]: .* got 0.5"),
        ([float("nan")], [0], 3, r"noisy\[0\]: .* got nan"),
        ([0, 1], [0], 3, r"expected one shape, got \(2,\) and \(1,\)"),
        ([[0]], [[0]], 3, r"noisy: expected shape \(N,\), got \(1, 1\)"),
        ([0], [0], 1, "num_classes: expected at least 2, got 1"),
    ],
)
def test_wrong_labels_are_refused(noisy: list, true: list, num_classes: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        estimate_confusion(noisy, true, num_classes)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([[1, 2, 3], [4, 5, 6]], r"expected shape \(L, L\) with L >= 2, got \(2, 3\)"),
        ([[5]], r"got \(1, 1\)"),
        ([[1, -2], [3, 4]], "whole numbers >= 0"),
        ([[1, 0.5], [3, 4]], "whole numbers >= 0"),
    ],
)
def test_wrong_counts_are_refused(counts: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        estimate_from_counts(counts)
