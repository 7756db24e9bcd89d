"""Platt's fit against his formulas in plain Python, where it must be found again, and where there is nothing to fit."""

from __future__ import annotations

import math

import numpy as np
import pytest

from caffe_compat.evaluation.label_quality.calibration import FEWEST, Calibration, fit_calibration


def drawn(slope: float, offset: float, records: int) -> tuple[np.ndarray, np.ndarray]:
    """Posteriors that are off by exactly this, and labels that are wrong as often as that says."""
    rng = np.random.default_rng(1)
    odds = rng.normal(0, 3, records)
    wrong = rng.random(records) < 1 / (1 + np.exp(-(slope * odds + offset)))
    return 1 / (1 + np.exp(odds)), wrong


def log_likelihood(q_noisy: np.ndarray, wrong: np.ndarray, slope: float, offset: float) -> float:
    """Of Platt's targets, in plain loops; wrong labels are his positive class."""
    hits = sum(bool(each) for each in wrong)
    misses = len(wrong) - hits
    total = 0.0
    for q, is_wrong in zip(q_noisy.tolist(), wrong.tolist(), strict=True):
        target = (hits + 1) / (hits + 2) if is_wrong else 1 / (misses + 2)
        p = 1 / (1 + math.exp(-(slope * math.log((1 - q) / q) + offset)))
        total += target * math.log(p) + (1 - target) * math.log(1 - p)
    return total


def test_what_the_labels_were_drawn_from_is_found_again() -> None:
    found = fit_calibration(*drawn(0.4, 0.5, 100_000))
    assert found.slope == pytest.approx(0.4, abs=0.01) and found.offset == pytest.approx(0.5, abs=0.03)
    odds = np.log1p(-drawn(0.4, 0.5, 100_000)[0]) - np.log(drawn(0.4, 0.5, 100_000)[0])
    p = 1 / (1 + np.exp(-(0.4 * odds + 0.5)))
    assert found.error_after == pytest.approx(np.mean(p * (1 - p)), abs=2e-3), "what is left is chance"
    assert found.error_before > found.error_after + 0.02
    q = np.array([0.2, 0.5, 0.9])
    assert found.p_wrong(q) == pytest.approx(1 / (1 + np.exp(-(0.4 * np.log((1 - q) / q) + 0.5))), abs=0.01)


def test_it_is_the_greatest_likelihood() -> None:
    q_noisy, wrong = drawn(0.4, -0.9, 80)
    found = fit_calibration(q_noisy, wrong)
    best = log_likelihood(q_noisy, wrong, found.slope, found.offset)
    for slope, offset in ((1e-3, 0), (-1e-3, 0), (0, 1e-3), (0, -1e-3), (0.3, -0.3)):
        assert log_likelihood(q_noisy, wrong, found.slope + slope, found.offset + offset) < best


def test_labels_that_part_without_exception_do_not_run_away() -> None:
    q_noisy = np.tile([0.4, 0.6], 25)
    found = fit_calibration(q_noisy, q_noisy < 0.5)
    assert found.p_wrong([0.4])[0] == pytest.approx(26 / 27, abs=1e-6), "Platt's targets"
    assert found.p_wrong([0.6])[0] == pytest.approx(1 / 27, abs=1e-6)


def test_the_order_stays_and_ends_are_finite() -> None:
    found = Calibration(0.5, 1.0, 100, 50, 40.0, 0.1, 0.0)
    p = found.p_wrong(np.array([0, 1e-30, 1e-5, 0.3, 0.7, 1 - 1e-6, 1], np.float32))
    assert p.dtype == np.float32 and np.isfinite(p).all() and (np.diff(p) <= 0).all() and p[2] > p[3] > p[4] > p[5]
    assert 0 < p[-1] < p[0] < 1


def test_the_error_after_is_of_labels_that_the_fit_did_not_see() -> None:
    q_noisy, wrong = drawn(0.3, 0.5, 300)
    found = fit_calibration(q_noisy, wrong)
    held_out = np.empty(300)
    for fold in range(5):
        mine = np.arange(300) % 5 == fold
        other = fit_calibration(q_noisy[~mine], wrong[~mine])
        held_out[mine] = 1 / (1 + np.exp(-(other.slope * np.log((1 - q_noisy[mine]) / q_noisy[mine]) + other.offset)))
    assert found.error_after == pytest.approx(sum((held_out - wrong) ** 2) / 300, abs=1e-9)
    assert found.error_before == pytest.approx(sum((1 - q_noisy - wrong) ** 2) / 300, abs=1e-9)
    assert found.error_after != pytest.approx(np.mean((found.p_wrong(q_noisy) - wrong) ** 2), abs=1e-5)
    assert found.expected_before == pytest.approx(sum(1 - q_noisy)) and found.wrong == sum(wrong)


def test_what_is_calibrated_already_is_left_as_it_is() -> None:
    """A fit to few labels would make it worse, and says so."""
    q_noisy, wrong = drawn(1.0, 0.0, 100)
    with pytest.raises(ValueError, match=r"no better for it: mean squared error 0\.\d+ as it is, 0\.\d+ calibrated"):
        fit_calibration(q_noisy, wrong)


@pytest.mark.parametrize(
    ("q_noisy", "wrong", "message"),
    [
        ([0.5] * (FEWEST - 1), [True] * (FEWEST - 1), "expected at least 50 labels that were looked at, got 49"),
        ([0.5] * 50, [True] * 50, "each of the 50 labels is wrong: nothing to fit"),
        ([0.5] * 50, [False] * 50, "each of the 50 labels is right: nothing to fit"),
        ([0.9] * 25 + [0.1] * 25, [True] * 25 + [False] * 25, "are wrong no more often"),
        ([0.3] * 50, [True] * 20 + [False] * 30, "are wrong no more often"),
    ],
)
def test_nothing_to_fit(q_noisy: list[float], wrong: list[bool], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_calibration(q_noisy, wrong)
