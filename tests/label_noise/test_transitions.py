"""The baselines' p(noisy | true): closed forms, and a net that knows the truth gives the matrix back."""

import math

import numpy as np
import pytest

from caffe_compat.label_noise.confusion import count_pairs, estimate_from_counts
from caffe_compat.label_noise.transitions import (
    anchor_transition,
    counted_transition,
    gold_transition,
    noise_type_log_prior,
    noise_type_losses,
)

TRUE_MATRIX = np.array([[0.7, 0.1, 0.0], [0.3, 0.8, 0.05], [0.0, 0.1, 0.95]])  # [noisy, true]


def test_counted_by_hand():
    noisy, true = np.array([0, 1, 1, 1, 0, 2]), np.array([0, 0, 1, 1, 1, 1])
    matrix = counted_transition(count_pairs(noisy, true, 4))
    wanted = np.array([[0.5, 0.25, 0, 0], [0.5, 0.5, 0, 0], [0, 0.25, 1, 0], [0, 0, 0, 1]])
    np.testing.assert_array_equal(matrix, wanted)


def test_a_perfect_net_of_the_noisy_labels_gives_the_matrix_back():
    true = np.array([0, 1, 2, 2, 1, 0, 1])
    np.testing.assert_allclose(gold_transition(TRUE_MATRIX.T[true], true), TRUE_MATRIX, atol=1e-15)


def test_gold_is_the_mean_and_a_missing_class_keeps_its_labels():
    predicted = np.array([[0.6, 0.4, 0.0], [0.2, 0.8, 0.0], [0.1, 0.9, 0.0]])
    matrix = gold_transition(predicted, [0, 0, 1])
    np.testing.assert_allclose(matrix, [[0.4, 0.1, 0], [0.6, 0.9, 0], [0, 0, 1]], atol=1e-15)


def test_anchors_are_the_surest_images():
    mixtures = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0], [0.2, 0.2, 0.6]])
    np.testing.assert_allclose(anchor_transition(mixtures @ TRUE_MATRIX.T, quantile=1.0), TRUE_MATRIX, atol=1e-15)


def test_quantile_passes_over_outliers():
    sure = np.linspace(0.5, 0.9, 99)
    predicted = np.stack([np.append(sure, 1.0), 1 - np.append(sure, 1.0)], axis=1)
    assert anchor_transition(predicted, quantile=0.97)[0, 0] == pytest.approx(sure[96])


def test_log_prior_counts_types_and_one_more():
    counts = np.diag([50, 30, 17])
    np.testing.assert_allclose(np.exp(noise_type_log_prior(estimate_from_counts(counts))), [0.98, 0.01, 0.01])


def test_losses_of_the_frequencies_by_hand():
    """Class 0: 1 right, 3 called 1 (confusing); class 1: all 4 right; class 2 without samples."""
    counts = np.array([[1, 0, 0], [3, 4, 0], [0, 0, 0]])
    constant, of_class = noise_type_losses(estimate_from_counts(counts))
    assert constant == pytest.approx(-(5 * math.log(5 / 8) + 3 * math.log(3 / 8)) / 8)
    assert of_class == pytest.approx(-(math.log(1 / 4) + 3 * math.log(3 / 4)) / 8)


def test_no_loss_without_samples():
    assert noise_type_losses(estimate_from_counts(np.zeros((3, 3)))) == (0, 0)
