"""Labels as the paper says they come about: y and the picture first, then the noise type, then the noisy label.

    hardness        h ~ U(0, 1)
    p(z | h)        confusing 0.915 h^2, pure random 0.08, else noise free     (means 0.305, 0.08, 0.615)
    p(noisy | y, z) y; uniform over the other classes; C's column of y         (Eq. 1)

Given y and z the noisy label does not depend on the picture, so the paper's model is exactly true of these data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caffe_compat.demo.taxonomy import NUM_CLASSES, true_confusion

NOISE_FREE, PURE_RANDOM, CONFUSING = 0, 1, 2
RANDOM_SHARE = 0.08
CONFUSING_AT_HARDEST = 0.915
LABEL_ACCURACY = 1 - RANDOM_SHARE - CONFUSING_AT_HARDEST / 3  # the mean of h^2 is 1/3

_CONFUSION = true_confusion()


@dataclass(frozen=True)
class Label:
    """All that is known about one image's label.

    Attributes:
        true: y, the class that was drawn. look_alike: the class it was moved towards. noisy: what the shop says.
        noise_type: z, 0 noise free, 1 pure random, 2 confusing.
        hardness: in [0, 1).
    """

    true: int
    noise_type: int
    hardness: float
    look_alike: int
    noisy: int


def noise_type_probabilities(hardness: float) -> np.ndarray:
    """p(z | hardness) for noise free, pure random, confusing; float64 (3,), sums to 1."""
    confusing = CONFUSING_AT_HARDEST * hardness**2
    return np.array([1 - RANDOM_SHARE - confusing, RANDOM_SHARE, confusing])


def draw_label(rng: np.random.Generator) -> Label:
    """Draw class, hardness, noise type, look-alike and noisy label of one image."""
    true = int(rng.integers(NUM_CLASSES))
    hardness = float(rng.random())
    noise_type = int(rng.choice(3, p=noise_type_probabilities(hardness)))
    look_alike = draw_look_alike(true, rng)
    return Label(true, noise_type, hardness, look_alike, draw_noisy(true, noise_type, rng))


def draw_noisy(true: int, noise_type: int, rng: np.random.Generator) -> int:
    """Draw from p(noisy | y, z), Eq. 1."""
    if noise_type == NOISE_FREE:
        return true
    if noise_type == PURE_RANDOM:
        return int((true + rng.integers(1, NUM_CLASSES)) % NUM_CLASSES)
    return draw_look_alike(true, rng)


def draw_look_alike(true: int, rng: np.random.Generator) -> int:
    """Draw from the column of ``true`` of the matrix of confusing noise."""
    return int(rng.choice(NUM_CLASSES, p=_CONFUSION[:, true]))
