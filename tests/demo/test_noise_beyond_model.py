"""The second noise of the demo breaks the two independences of Eq. 1, and keeps the share of right labels."""

import numpy as np
import pytest

from caffe_compat.demo import noise
from caffe_compat.demo.noise import CONFUSING, LABEL_ACCURACY, NOISE_FREE
from caffe_compat.demo.noise_beyond_model import (
    LEAST,
    MOST,
    confusing_at_hardest,
    draw_label,
    noise_type_probabilities,
)
from caffe_compat.demo.taxonomy import NUM_CLASSES


@pytest.fixture(scope="module")
def labels():
    rng = np.random.default_rng(5)
    return [draw_label(rng) for _ in range(30_000)]


def test_classes_have_shares_of_their_own():
    shares = sorted(confusing_at_hardest(true) for true in range(NUM_CLASSES))
    np.testing.assert_allclose(shares, np.linspace(LEAST, MOST, NUM_CLASSES))
    for true in range(NUM_CLASSES):
        for hardness in (0.0, 0.7, 1.0):
            probabilities = noise_type_probabilities(true, hardness)
            assert probabilities.sum() == pytest.approx(1) and (probabilities >= 0).all()


def test_as_many_labels_are_right_as_in_the_model(labels):
    assert np.mean([label.noisy == label.true for label in labels]) == pytest.approx(LABEL_ACCURACY, abs=0.01)


def test_noise_type_depends_on_the_class(labels):
    for true in range(NUM_CLASSES):
        types = np.array([label.noise_type for label in labels if label.true == true])
        assert np.mean(types == CONFUSING) == pytest.approx(confusing_at_hardest(true) / 2, abs=0.05)


def test_a_confusing_label_is_the_picture_s_own_look_alike(labels):
    assert all(label.noisy == label.look_alike for label in labels if label.noise_type == CONFUSING)
    assert all(label.noisy == label.true for label in labels if label.noise_type == NOISE_FREE)
    rng = np.random.default_rng(6)
    model = [label for label in (noise.draw_label(rng) for _ in range(5000)) if label.noise_type == CONFUSING]
    assert np.mean([label.noisy == label.look_alike for label in model]) < 0.7, "the model's labels know no picture"
