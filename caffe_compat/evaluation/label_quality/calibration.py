"""p(wrong) as a probability: two numbers, fitted on labels that somebody looked at, between the posterior and it.

The posterior that a label is wrong is too sure where the net has fitted what it was trained on. It keeps its order
here; its log-odds are stretched and shifted, log(p / (1 - p)) = slope * log((1 - q) / q) + offset, with q the posterior
that the label is right (Platt, Probabilistic outputs for support vector machines, 1999, with his targets, which keep
the fit finite where posterior and truth go together without exception).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from caffe_compat.arrays import BoolArray, FloatArray

FEWEST = 50
_LEAST = 1e-7  # of q and 1 - q: float32 has nothing finer near 1
_FOLDS = 5
_STEPS = 100


@dataclass(frozen=True)
class Calibration:
    """What :func:`fit_calibration` found.

    Attributes:
        slope, offset: of the log-odds; slope > 0.
        images, wrong: labels that it was fitted on, and how many of them are wrong.
        expected_before: how many of them the posterior said are wrong.
        error_before, error_after: mean squared difference (Brier score) between probability and fact on these; after:
            of each fifth, fitted on the others.
        of_scored_images: whether these labels are among those that are calibrated; otherwise of other images.
    """

    slope: float
    offset: float
    images: int
    wrong: int
    expected_before: float
    error_before: float
    error_after: float
    of_scored_images: bool = True

    def p_wrong(self, q_noisy: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """(N,) probabilities that labels are wrong, of (N,) posteriors that they are right."""
        return _probability(_log_odds(q_noisy), self.slope, self.offset).astype(np.float32)


def fit_calibration(q_noisy: npt.ArrayLike, is_wrong: npt.ArrayLike, of_scored_images: bool = True) -> Calibration:
    """Fit on N labels: their posterior to be right, (N,) in [0, 1], and whether they are wrong, (N,) bool.

    They have to be drawn at random, and not from what the net was told the truth of.

    Raises: ValueError for fewer than ``FEWEST``, where all are right or all wrong, where the posterior says nothing, or
        where it is no better for being calibrated.
    """
    odds, wrong = _log_odds(q_noisy), np.asarray(is_wrong, dtype=bool)
    if len(wrong) < FEWEST:
        raise ValueError(f"expected at least {FEWEST} labels that were looked at, got {len(wrong)}")
    if wrong.all() or not wrong.any():
        raise ValueError(f"each of the {len(wrong)} labels is {'wrong' if wrong.any() else 'right'}: nothing to fit")
    slope, offset = _fit(odds, wrong)
    if not slope > 0:
        raise ValueError("labels with a higher p(wrong) are wrong no more often: nothing to fit")
    posterior = _probability(odds, 1.0, 0.0)
    before, after = (float(np.mean((p - wrong) ** 2)) for p in (posterior, _held_out(odds, wrong)))
    if after >= before:
        raise ValueError(
            f"p(wrong) is no better for it: mean squared error {before:.4f} as it is, {after:.4f} calibrated, of "
            "labels that the fit did not see"
        )
    return Calibration(
        slope, offset, len(wrong), int(wrong.sum()), float(posterior.sum()), before, after, of_scored_images
    )


def _fit(odds: FloatArray, wrong: BoolArray) -> tuple[float, float]:
    """Slope and offset of the greatest likelihood, by Newton's method."""
    hits, misses = np.count_nonzero(wrong), np.count_nonzero(~wrong)
    target = np.where(wrong, (hits + 1) / (hits + 2), 1 / (misses + 2))
    inputs = np.stack([odds, np.ones_like(odds)], axis=1)
    parameters = np.zeros(2)
    for _ in range(_STEPS):
        p = _probability(odds, *parameters)
        gradient = inputs.T @ (p - target)
        curvature = inputs.T @ (inputs * (p * (1 - p))[:, None])
        step = np.linalg.lstsq(curvature, gradient)[0]  # one slope fits all where all log-odds are the same
        parameters = parameters - step
        if np.abs(step).max() < 1e-10:
            break
    return float(parameters[0]), float(parameters[1])


def _held_out(odds: FloatArray, wrong: BoolArray) -> FloatArray:
    """The probability of each label by a fit to the other four fifths; fifths by turns, the labels have no order."""
    fold = np.arange(len(wrong)) % _FOLDS
    found = np.empty(len(wrong))
    for number in range(_FOLDS):
        found[fold == number] = _probability(odds[fold == number], *_fit(odds[fold != number], wrong[fold != number]))
    return found


def _log_odds(q_noisy: npt.ArrayLike) -> FloatArray:
    """Of being wrong."""
    q = np.clip(np.asarray(q_noisy, np.float64), _LEAST, 1 - _LEAST)
    return np.log1p(-q) - np.log(q)


def _probability(odds: FloatArray, slope: float, offset: float) -> FloatArray:
    exponent = slope * odds + offset
    return np.exp(-np.logaddexp(0, -exponent))
