"""The labels come from the paper's model, and from nothing else."""

import numpy as np
import pytest

from caffe_compat.demo.noise import (
    CONFUSING,
    LABEL_ACCURACY,
    NOISE_FREE,
    PURE_RANDOM,
    draw_label,
    draw_noisy,
    noise_type_probabilities,
)
from caffe_compat.demo.taxonomy import CLASS_NAMES, LOOK_ALIKES, NUM_CLASSES, true_confusion
from caffe_compat.label_noise.confusion import estimate_confusion

COUNT = 20_000


@pytest.fixture(scope="module")
def labels():
    rng = np.random.default_rng(3)
    drawn = [draw_label(rng) for _ in range(COUNT)]
    fields = ("true", "noise_type", "hardness", "look_alike", "noisy")
    return {field: np.array([getattr(label, field) for label in drawn]) for field in fields}


def test_true_matrix_is_a_confusion_matrix():
    matrix = true_confusion()
    assert matrix.shape == (NUM_CLASSES, NUM_CLASSES)
    np.testing.assert_allclose(matrix.sum(axis=0), 1)
    assert (np.diag(matrix) == 0).all()
    assert ((matrix > 0).sum(axis=0) <= 3).all(), "sparse"
    assert matrix[matrix > 0].min() > 1 / (NUM_CLASSES - 1)
    assert matrix[CLASS_NAMES.index("Chiffon"), CLASS_NAMES.index("Shirt")] == LOOK_ALIKES["Shirt"]["Chiffon"]


def test_about_61_and_a_half_percent_are_right(labels):
    assert pytest.approx(0.615, abs=0.001) == LABEL_ACCURACY
    assert np.mean(labels["noisy"] == labels["true"]) == pytest.approx(LABEL_ACCURACY, abs=0.015)


def test_noise_types_follow_the_hardness(labels):
    edges = np.linspace(0, 1, 6)
    shares = []
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        inside = (labels["hardness"] >= low) & (labels["hardness"] < high)
        types = np.bincount(labels["noise_type"][inside], minlength=3) / inside.sum()
        expected = np.mean([noise_type_probabilities(h) for h in np.linspace(low, high, 101)], axis=0)
        np.testing.assert_allclose(types, expected, atol=0.03)
        shares.append(types[CONFUSING])
    assert shares == sorted(shares)
    assert shares[0] < 0.05 and shares[-1] > 0.6


@pytest.mark.parametrize("hardness", [0.0, 0.5, 1.0])
def test_noise_type_probabilities_sum_to_one(hardness):
    probabilities = noise_type_probabilities(hardness)
    assert probabilities.sum() == pytest.approx(1)
    assert (probabilities >= 0).all()


def test_noisy_label_by_type():
    rng = np.random.default_rng(4)
    true = CLASS_NAMES.index("Hoodie")
    assert {draw_noisy(true, NOISE_FREE, rng) for _ in range(20)} == {true}
    random = np.bincount([draw_noisy(true, PURE_RANDOM, rng) for _ in range(13_000)], minlength=NUM_CLASSES)
    assert random[true] == 0
    np.testing.assert_allclose(np.delete(random, true), 1000, atol=130)
    confusing = np.bincount([draw_noisy(true, CONFUSING, rng) for _ in range(4000)], minlength=NUM_CLASSES)
    np.testing.assert_allclose(confusing / 4000, true_confusion()[:, true], atol=0.03)


def test_given_truth_and_type_the_label_does_not_depend_on_the_look_alike(labels):
    confusing = labels["noise_type"] == CONFUSING
    matrix = true_confusion()
    agree = np.mean((labels["noisy"] == labels["look_alike"])[confusing])
    assert agree == pytest.approx((matrix**2).sum(axis=0).mean(), abs=0.03)


def test_the_estimator_finds_who_is_confused_with_whom(labels):
    estimate = estimate_confusion(labels["noisy"], labels["true"], NUM_CLASSES)
    assert (estimate.confusion[true_confusion() > 0] > 0).all()
    assert np.abs(estimate.confusion - true_confusion()).max() < 0.15
