"""The authors' CIFAR noise: what is drawn has the distribution asked for."""

from __future__ import annotations

import numpy as np
import pytest

from caffe_compat.datasets.synthetic_noise import corrupt, draw_transition
from caffe_compat.label_noise.confusion import count_pairs, estimate_confusion


def test_transition_columns() -> None:
    transition = draw_transition(5, 0.3, np.random.default_rng(0))
    np.testing.assert_allclose(transition.sum(axis=0), 1)
    np.testing.assert_allclose(np.diag(transition), 0.7)
    assert np.all(transition > 0)
    assert not np.allclose(transition, transition.T)


def test_labels_follow_the_columns() -> None:
    transition = draw_transition(4, 0.6, np.random.default_rng(1))
    true = np.repeat(np.arange(4), 20_000)
    noisy = corrupt(true, transition, np.random.default_rng(2))
    counted = count_pairs(noisy, true, 4) / 20_000
    np.testing.assert_allclose(counted, transition, atol=0.015)  # 4 standard deviations


@pytest.mark.parametrize(("level", "share_kept"), [(0.0, 1.0), (1.0, 0.0)])
def test_the_ends(level: float, share_kept: float) -> None:
    true = np.arange(1000) % 10
    rng = np.random.default_rng(0)
    assert np.mean(corrupt(true, draw_transition(10, level, rng), rng) == true) == share_kept


def test_noise_types_are_those_of_the_release() -> None:
    """At level 0.3 the release's 10,000 pairs give about 70.0 / 14.3 / 15.6 percent, mean k* 2.8."""
    shares, k_star = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        true = np.arange(10_000) % 10
        noisy = corrupt(true, draw_transition(10, 0.3, rng), rng)
        estimate = estimate_confusion(noisy, true, 10)
        shares.append(np.bincount(estimate.noise_types, minlength=3) / 10_000)
        k_star.append(estimate.k_star.mean())
    np.testing.assert_allclose(np.mean(shares, axis=0), [0.700, 0.143, 0.156], atol=0.01)
    assert np.mean(k_star) == pytest.approx(2.8, abs=0.2)


@pytest.mark.parametrize("level", [-0.1, 1.1, float("nan")])
def test_a_level_is_a_probability(level: float) -> None:
    with pytest.raises(ValueError, match=r"level: expected within \[0, 1\]"):
        draw_transition(10, level, np.random.default_rng(0))
