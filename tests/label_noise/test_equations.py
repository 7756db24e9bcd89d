"""The specification itself: numbers worked out by hand, and what the equations say of one another."""

import math

import numpy as np
import pytest

from caffe_compat.label_noise import equations as eq
from caffe_compat.label_noise import estimate_confusion

# Three classes. True label 0 is confused with 1 or 2, true label 1 with 2 only, true label 2 never.
C = [[0.0, 0.0, 0.0], [0.25, 0.0, 0.0], [0.75, 1.0, 0.0]]
P = [0.5, 0.3, 0.2]
T = [0.6, 0.1, 0.3]


def test_joint_by_hand() -> None:
    """Observed 1. z = 0: only y = 1: 0.3 * 0.6. z = 1: y = 0, 2: p / 2 * 0.1. z = 2: row 1 of C: 0.25 * 0.5 * 0.3."""
    joint = [[eq.eq2_joint(1, y, z, P, T, C) for z in range(3)] for y in range(3)]
    np.testing.assert_allclose(joint, [[0, 0.025, 0.0375], [0.18, 0, 0], [0, 0.01, 0]], rtol=1e-15)
    assert eq.likelihood(1, P, T, C) == pytest.approx(0.2525, rel=1e-15)


def test_posterior_and_gradient_by_hand() -> None:
    posterior = eq.eq5_posterior(1, P, T, C)
    np.testing.assert_allclose(
        posterior, np.array([[0, 0.025, 0.0375], [0.18, 0, 0], [0, 0.01, 0]]) / 0.2525, rtol=1e-15
    )
    grad_y, grad_z = eq.eq7_gradient(posterior, P, T)
    np.testing.assert_allclose(grad_y, [0.5 - 0.0625 / 0.2525, 0.3 - 0.18 / 0.2525, 0.2 - 0.01 / 0.2525], rtol=1e-14)
    np.testing.assert_allclose(grad_z, [0.6 - 0.18 / 0.2525, 0.1 - 0.035 / 0.2525, 0.3 - 0.0375 / 0.2525], rtol=1e-14)


def test_q_by_hand() -> None:
    posterior = eq.eq5_posterior(1, P, T, C)
    q = sum(w / 0.2525 * math.log(w) for w in (0.025, 0.0375, 0.18, 0.01))
    assert eq.eq6_q(posterior, 1, P, T, C) == pytest.approx(q, rel=1e-14)


def test_noisy_labels_sum_to_one() -> None:
    """Eq. 3 is a distribution over noisy labels for every true label that C knows of."""
    for y in (0, 1):
        assert sum(eq.eq3_noisy_given_true(i, y, T, C) for i in range(3)) == pytest.approx(1, rel=1e-15)


def test_likelihood_is_equation_3_averaged() -> None:
    for i in range(3):
        averaged = sum(P[y] * eq.eq3_noisy_given_true(i, y, T, C) for y in range(3))
        assert eq.likelihood(i, P, T, C) == pytest.approx(averaged, rel=1e-15)


def test_lower_bound_touches_at_the_posterior_only() -> None:
    posterior = eq.eq5_posterior(2, P, T, C)
    log_s = math.log(eq.likelihood(2, P, T, C))
    assert eq.eq4_lower_bound(posterior, 2, P, T, C) == pytest.approx(log_s, rel=1e-14)
    other = [[(cell + 0.1 * (cell > 0)) for cell in row] for row in posterior]
    total = sum(map(sum, other))
    assert eq.eq4_lower_bound([[cell / total for cell in row] for row in other], 2, P, T, C) < log_s - 1e-3
    assert eq.eq4_lower_bound([[1 / 9] * 3] * 3, 2, P, T, C) == -math.inf  # excluded cells


def test_fishers_identity() -> None:
    """Eq. 7 equals finite differences of -log S, and not those of -Q with the posterior moving along."""
    a, b, step = [0.3, -1.2, 0.7], [0.1, 0.4, -0.5], 1e-6

    def nll(scores_y: list[float], scores_z: list[float]) -> float:
        return -math.log(eq.likelihood(1, eq.softmax(scores_y), eq.softmax(scores_z), C))

    def moved(scores: list[float], k: int, by: float) -> list[float]:
        return [score + by * (k == j) for j, score in enumerate(scores)]

    p, t = eq.softmax(a), eq.softmax(b)
    grad_y, grad_z = eq.eq7_gradient(eq.eq5_posterior(1, p, t, C), p, t)
    for k in range(3):
        in_y = (nll(moved(a, k, step), b) - nll(moved(a, k, -step), b)) / (2 * step)
        in_z = (nll(a, moved(b, k, step)) - nll(a, moved(b, k, -step))) / (2 * step)
        assert (in_y, in_z) == pytest.approx((grad_y[k], grad_z[k]), abs=1e-9)


def test_loss_values_differ_by_the_posteriors_entropy() -> None:
    posterior = eq.eq5_posterior(1, P, T, C)
    entropy = -sum(eq.x_log_y(cell, cell) for row in posterior for cell in row)
    neg_q = -eq.eq6_q(posterior, 1, P, T, C)
    assert neg_q == pytest.approx(-math.log(eq.likelihood(1, P, T, C)) + entropy, rel=1e-14)


NOISY, TRUE = [0, 1, 1, 2, 1, 0, 2, 2, 1], [0, 0, 0, 0, 1, 1, 1, 1, 2]


def test_objectives_agree() -> None:
    """Eq. 8 with types by Eq. 12 = Eq. 9 over mislabelled samples = Eq. 10 summed over columns."""
    estimate = estimate_confusion(NOISY, TRUE, 3)
    matrix = estimate.confusion.tolist()
    types = estimate.noise_types.tolist()
    t = [int(z == 1) for z in types]
    by_columns = 0.0
    for y in range(3):
        wrong = [(int(estimate.counts[i, y]), matrix[i][y], int(matrix[i][y] <= 0.5)) for i in range(3) if i != y]
        by_columns += eq.eq10_objective(*(list(column) for column in zip(*wrong, strict=True)), alpha=0.5)
    assert eq.eq8_objective(NOISY, TRUE, types, matrix) == pytest.approx(by_columns, rel=1e-14)
    assert eq.eq9_objective(NOISY, TRUE, t, matrix) == pytest.approx(by_columns, rel=1e-14)
    assert by_columns == pytest.approx(estimate.objective.sum(), rel=1e-12)


def test_best_column_keeps_counts_in_proportion() -> None:
    """Eq. 14 beats every other column that Eq. 13 admits, and is ordered as Eq. 11 says."""
    counts, best = [6, 3, 1], eq.eq14_column([6, 3, 1], 2)
    assert best == pytest.approx([2 / 3, 1 / 3, 0])
    assert eq.eq12_types(2, 3) == [0, 0, 1]
    value = eq.eq13_objective(counts, best, 2)
    for first in np.linspace(0.01, 0.99, 99):
        assert eq.eq13_objective(counts, [first, 1 - first, 0], 2) <= value + 1e-12
    alpha = 1 / 3
    assert eq.eq11_is_ordered(best, alpha) and not eq.eq11_is_ordered([0.4, 0.6, 0], alpha)
    whole = eq.eq10_objective(counts, best, eq.eq12_types(2, 3), alpha)
    assert whole == pytest.approx(value + math.log(alpha))


def test_excluded_labels_have_no_finite_objective() -> None:
    assert eq.eq8_objective([0], [2], [2], C) == -math.inf
    assert eq.eq9_objective([0], [2], [0], C) == -math.inf
    assert eq.eq10_objective([1], [0.0], [0], 0.5) == -math.inf
