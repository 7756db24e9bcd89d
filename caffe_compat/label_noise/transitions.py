"""What the pairs say of all images alike: p(noisy | true), in three ways for the baselines, and the noise types' share.

All matrices are (L, L) float64 indexed [noisy, true]; columns sum to 1. Unlike the matrix of confusing noise they have
the right labels on their diagonal.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from caffe_compat.arrays import FloatArray, IntArray
from caffe_compat.label_noise.confusion import ConfusionEstimate

ANCHOR_QUANTILE = 0.97  # not the very highest probability, which may be an outlier's


def counted_transition(counts: IntArray) -> FloatArray:
    """From the counts of pairs, (L, L) indexed [noisy, true], as the bottom-up model of the paper's [18] has it.

    A true class without a pair keeps its labels.
    """
    samples = counts.sum(axis=0)
    return np.where(samples > 0, counts / np.maximum(samples, 1), np.eye(len(counts)))


def gold_transition(p_noisy: npt.ArrayLike, true: npt.ArrayLike) -> FloatArray:
    """GLC: column y is the mean prediction of a net of the noisy labels over the images whose true label is y.

    Shapes: p_noisy (N, L), rows sum to 1; true (N,) in [0, L). A class without an image keeps its labels.
    Source: Hendrycks et al., Using Trusted Data to Train Deep Networks on Labels Corrupted by Severe Noise, 2018.
    """
    predicted, labels = np.asarray(p_noisy, dtype=np.float64), np.asarray(true)
    num_classes = predicted.shape[1]
    columns = [
        predicted[labels == label].mean(axis=0) if np.any(labels == label) else np.eye(num_classes)[label]
        for label in range(num_classes)
    ]
    return _columns_sum_to_one(np.stack(columns, axis=1))


def anchor_transition(p_noisy: npt.ArrayLike, quantile: float = ANCHOR_QUANTILE) -> FloatArray:
    """Forward correction: column y is the prediction for the image that is most surely of class y.

    That is the image at the ``quantile`` of p(noisy = y | x) among all images; no true label is used.

    Shapes: p_noisy (N, L), N >= 1, rows sum to 1.
    Source: Patrini et al., Making Deep Neural Networks Robust to Label Noise: a Loss Correction Approach, 2017.
    """
    predicted = np.asarray(p_noisy, dtype=np.float64)
    at = round(quantile * (len(predicted) - 1))
    anchors = np.argsort(predicted, axis=0, kind="stable")[at]
    return _columns_sum_to_one(predicted[anchors].T)


def noise_type_log_prior(estimate: ConfusionEstimate) -> FloatArray:
    """Log of the three noise types' frequencies among the pairs, (3,); one more of each, so that none is impossible."""
    counts = estimate.noise_type_counts().sum(axis=0) + 1
    return np.log(counts / counts.sum())


def noise_type_losses(estimate: ConfusionEstimate) -> tuple[float, float]:
    """Mean -log p, in nats, of the pairs' noise types under their frequencies, and under those of each true class.

    A p(z|x) whose loss on held-out pairs is above the first says less than a constant; one that knew the true class of
    every image and nothing else would reach the second.
    """
    by_class = estimate.noise_type_counts()
    return _mean_surprise(by_class.sum(axis=0, keepdims=True)), _mean_surprise(by_class)


def _mean_surprise(counts: IntArray) -> float:
    """Of each row's samples under the row's frequencies; 0 without samples."""
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    surprise = -np.log(share, where=counts > 0, out=np.zeros(share.shape))
    return float((counts * surprise).sum() / max(counts.sum(), 1))


def _columns_sum_to_one(matrix: FloatArray) -> FloatArray:
    """Predictions are float32: their sums are 1 only to seven digits."""
    return matrix / matrix.sum(axis=0)
