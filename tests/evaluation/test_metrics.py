"""Ranking and calibration numbers against plain loops, closed forms and scikit-learn where it is installed."""

from itertools import permutations

import numpy as np
import pytest

from caffe_compat.evaluation.metrics import (
    auroc,
    average_precision,
    expected_calibration_error,
    rank_precision,
    reliability,
)

TIED = ([3, 1, 3, 2, 1, 3], [True, False, False, True, True, False])


@pytest.fixture(params=[0, 1, 2])
def ranked(request):
    """Scores of which many are equal, and what they should find."""
    random = np.random.default_rng(request.param)
    return random.integers(0, 25, 211) / 25, random.random(211) < 0.3


def test_rank_precision_without_ties():
    assert rank_precision([0.1, 0.9, 0.5, 0.7], [True, True, False, True]) == pytest.approx([1, 1, 2 / 3, 3 / 4])


def test_rank_precision_is_the_mean_over_the_orders_of_ties():
    scores, positive = TIED
    curves = [
        np.cumsum([positive[i] for i in order]) / np.arange(1, 7)
        for order in permutations(range(6))
        if all(scores[a] >= scores[b] for a, b in zip(order, order[1:], strict=False))
    ]
    assert len(curves) == 12
    assert rank_precision(scores, positive) == pytest.approx(np.mean(curves, axis=0))


def test_rank_precision_does_not_depend_on_the_order_of_records(ranked):
    scores, positive = ranked
    order = np.random.default_rng(9).permutation(len(scores))
    assert np.array_equal(rank_precision(scores, positive), rank_precision(scores[order], positive[order]))


def test_a_score_that_says_nothing_has_the_base_rate_everywhere():
    assert rank_precision(np.zeros(8), np.arange(8) < 2) == pytest.approx(np.full(8, 0.25))
    assert average_precision(np.zeros(8), np.arange(8) < 2) == 0.25
    assert auroc(np.zeros(8), np.arange(8) < 2) == 0.5


def test_perfect_and_perfectly_wrong_scores():
    positive = np.arange(10) >= 7
    assert average_precision(np.arange(10), positive) == auroc(np.arange(10), positive) == 1
    assert auroc(-np.arange(10), positive) == 0
    assert average_precision(-np.arange(10), positive) == pytest.approx((1 / 8 + 2 / 9 + 3 / 10) / 3)


def test_average_precision_equals_a_loop_over_thresholds(ranked):
    scores, positive = ranked
    expected, recall_above = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        reached = [hit for score, hit in zip(scores, positive, strict=True) if score >= threshold]
        recall = sum(reached) / positive.sum()
        expected += (recall - recall_above) * sum(reached) / len(reached)
        recall_above = recall
    assert average_precision(scores, positive) == pytest.approx(expected, abs=1e-12)


def test_auroc_equals_a_loop_over_pairs(ranked):
    scores, positive = ranked
    wins = [(a > b) + (a == b) / 2 for a in scores[positive] for b in scores[~positive]]
    assert auroc(scores, positive) == pytest.approx(sum(wins) / len(wins), abs=1e-12)


def test_scikit_learn_agrees(ranked):
    metrics = pytest.importorskip("sklearn.metrics")
    scores, positive = ranked
    assert average_precision(scores, positive) == pytest.approx(metrics.average_precision_score(positive, scores))
    assert auroc(scores, positive) == pytest.approx(metrics.roc_auc_score(positive, scores))


@pytest.mark.parametrize("equal, strategy", [("width", "uniform"), ("mass", "quantile")])
def test_scikit_learn_bins_alike(equal, strategy):
    calibration = pytest.importorskip("sklearn.calibration")
    random = np.random.default_rng(4)
    probabilities = random.random(400)
    right = random.random(400) < probabilities**2
    accuracy, confidence = calibration.calibration_curve(right, probabilities, n_bins=8, strategy=strategy)
    binned = reliability(probabilities, right, 8, equal)
    assert binned.accuracy == pytest.approx(accuracy)
    assert binned.confidence == pytest.approx(confidence)


def test_equal_width_bins_by_hand():
    binned = reliability([0.0, 0.1, 0.25, 0.6, 1.0], [False, True, True, False, True], bins=4)
    assert binned.edges.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert binned.count.tolist() == [2, 1, 1, 1]
    assert binned.confidence == pytest.approx([0.05, 0.25, 0.6, 1])
    assert binned.accuracy == pytest.approx([0.5, 1, 0, 1])
    assert expected_calibration_error(binned) == pytest.approx((2 * 0.45 + 0.75 + 0.6 + 0) / 5)


def test_empty_bins_have_no_means_and_no_weight():
    binned = reliability([0.9, 0.9], [True, False], bins=3)
    assert binned.count.tolist() == [0, 0, 2]
    assert np.isnan(binned.accuracy).tolist() == [True, True, False]
    assert expected_calibration_error(binned) == pytest.approx(0.4)


def test_equal_mass_bins_hold_equally_many_and_keep_equal_values_together():
    random = np.random.default_rng(2)
    assert set(reliability(random.random(103), np.ones(103, bool), 10, "mass").count) == {10, 11}
    tied = reliability([0.5, 0.5, 0.5, 0.5, 0.7, 0.9], np.ones(6, bool), 3, "mass")
    assert tied.count.tolist() == [4, 2]
    assert reliability([0.3] * 5, np.ones(5, bool), 3, "mass").count.tolist() == [5]


@pytest.mark.parametrize("equal", ["width", "mass"])
def test_reliability_equals_a_loop(equal, ranked):
    probabilities, right = ranked
    binned = reliability(probabilities, right, 7, equal)
    error = 0.0
    for number, (low, high) in enumerate(zip(binned.edges, binned.edges[1:], strict=False)):
        last = number == len(binned.count) - 1
        inside = [i for i, p in enumerate(probabilities) if low <= p and (p < high or last)]
        assert binned.count[number] == len(inside)
        confidence = sum(probabilities[i] for i in inside) / len(inside)
        accuracy = sum(right[i] for i in inside) / len(inside)
        assert (binned.confidence[number], binned.accuracy[number]) == pytest.approx((confidence, accuracy))
        error += len(inside) * abs(accuracy - confidence)
    assert binned.count.sum() == len(probabilities)
    assert expected_calibration_error(binned) == pytest.approx(error / len(probabilities))


def test_calibrated_probabilities_have_almost_no_error():
    random = np.random.default_rng(7)
    probabilities = random.random(100_000)
    right = random.random(100_000) < probabilities
    assert expected_calibration_error(reliability(probabilities, right, 15)) < 0.01
    assert expected_calibration_error(reliability(probabilities, ~right, 15)) > 0.4


@pytest.mark.parametrize("function", [rank_precision, average_precision, auroc, reliability])
@pytest.mark.parametrize(
    "scores, flags, message",
    [
        ([0.5], [True, False], r"expected one shape \(N,\) with N >= 1, got \(1,\) and \(2,\)"),
        ([], [], r"expected one shape \(N,\) with N >= 1, got \(0,\) and \(0,\)"),
        ([0.5, 0.1], [1, 0], "expected bool, got int64"),
        ([0.5, float("nan")], [True, False], r"\[1\]: expected a finite number, got nan"),
    ],
)
def test_wrong_arrays(function, scores, flags, message):
    with pytest.raises(ValueError, match=message):
        function(scores, flags)


def test_what_has_no_answer():
    with pytest.raises(ValueError, match="at least one positive, got none"):
        average_precision([1, 2], [False, False])
    with pytest.raises(ValueError, match="at least one negative, got none"):
        auroc([1, 2], [True, True])
    with pytest.raises(ValueError, match=r"probabilities\[1\]: expected a number in \[0, 1\], got 1.5"):
        reliability([0.5, 1.5], [True, False])
    with pytest.raises(ValueError, match="bins: expected at least 1, got 0"):
        reliability([0.5], [True], bins=0)
