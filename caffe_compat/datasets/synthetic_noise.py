"""The label noise of the authors' CIFAR-10 experiment: one p(noisy | true) for all images."""

from __future__ import annotations

import numpy as np

from caffe_compat.arrays import FloatArray, IntArray


def draw_transition(num_classes: int, level: float, rng: np.random.Generator) -> FloatArray:
    """Draw p(noisy | true), (L, L) indexed [noisy, true]: 1 - level on the diagonal, columns sum to 1.

    What is off the diagonal is uniform in (0, 1), scaled to sum to ``level`` in each column.
    Raises: ValueError unless 0 <= level <= 1.
    """
    if not 0 <= level <= 1:
        raise ValueError(f"level: expected within [0, 1], got {level}")
    wrong = rng.uniform(size=(num_classes, num_classes)) * (1 - np.eye(num_classes))
    return level * wrong / wrong.sum(axis=0) + (1 - level) * np.eye(num_classes)


def corrupt(true: IntArray, transition: FloatArray, rng: np.random.Generator) -> IntArray:
    """Draw a noisy label for each true label (N,) by inverting the columns' cumulative sums."""
    cumulative = np.cumsum(transition, axis=0)
    draws = rng.uniform(size=len(true))
    noisy = np.empty_like(true)
    for label in range(len(transition)):
        mine = true == label
        noisy[mine] = np.searchsorted(cumulative[:, label], draws[mine], side="right")
    return np.minimum(noisy, len(transition) - 1)  # a column's sum may be a rounding error below 1
