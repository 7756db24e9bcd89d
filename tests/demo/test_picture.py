"""Pictures: reproducible, of every class, and moving towards the look-alike as hardness grows."""

from dataclasses import fields, replace

import cv2
import numpy as np
import pytest

from caffe_compat.demo import picture
from caffe_compat.demo.picture import draw_picture, morph_amount
from caffe_compat.demo.style import Style, morph
from caffe_compat.demo.taxonomy import CLASS_NAMES, NUM_CLASSES
from caffe_compat.demo.wardrobe import dress_up

SIZE = 32


def draw(true, look_alike, hardness, seed, size=SIZE):
    return draw_picture(true, look_alike, hardness, size, np.random.default_rng(seed))


@pytest.mark.parametrize("true", range(NUM_CLASSES), ids=CLASS_NAMES)
def test_every_class_can_be_drawn_at_every_hardness(true):
    for hardness in (0.0, 0.6, 1.0):
        for other in range(true % 2, NUM_CLASSES, 2):
            picture = draw(true, other, hardness, [true, other])
            assert picture.shape == (SIZE, SIZE, 3) and picture.dtype == np.uint8
            assert picture.std() > 5, "not a picture of anything"


def test_the_same_seed_draws_the_same_picture_and_another_one_another():
    assert np.array_equal(draw(5, 6, 0.4, 1), draw(5, 6, 0.4, 1))
    assert not np.array_equal(draw(5, 6, 0.4, 1), draw(5, 6, 0.4, 2))


@pytest.mark.parametrize("size", [48, 100])
def test_any_size(size):
    assert draw(3, 1, 0.2, 0, size).shape == (size, size, 3)


def test_the_pictures_show_their_classes():
    """Nearest neighbours by outlines: far above chance (7%) when pictures and labels belong together."""
    labels = np.repeat(np.arange(NUM_CLASSES), 12)
    features = np.stack([outlines(draw(label, label, 0.0, [0, n])) for n, label in enumerate(labels)])
    distance = ((features[:, None] - features[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distance, np.inf)
    assert np.mean(labels[distance.argmin(axis=1)] == labels) > 0.25


def outlines(picture):
    grey = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32), (0, 0), 1)
    slope = np.stack([np.abs(cv2.Sobel(grey, cv2.CV_32F, *d)) for d in ((1, 0), (0, 1))])
    return (slope / np.linalg.norm(slope)).ravel()


def test_a_garment_moves_from_its_own_style_to_the_other():
    rng = np.random.default_rng(0)
    style, other = dress_up(0, rng), dress_up(11, rng)
    assert morph(style, other, 0.0, np.random.default_rng(1)) == style
    assert morph(style, other, 1.0, np.random.default_rng(1)) == other
    shares = [theirs(style, other, morph(style, other, amount, np.random.default_rng(1))) for amount in (0.2, 0.5, 0.8)]
    assert shares == pytest.approx([0.2, 0.5, 0.8], abs=0.05)
    half = morph(style, other, 0.5, np.random.default_rng(1))
    assert half.length == pytest.approx((style.length + other.length) / 2)


def theirs(style, other, moved):
    names = [f.name for f in fields(Style) if not f.metadata and getattr(style, f.name) != getattr(other, f.name)]
    return np.mean([getattr(moved, name) == getattr(other, name) for name in names])


def test_hardness_moves_it_most_of_the_way():
    amounts = [morph_amount(hardness) for hardness in (0.0, 0.3, 0.7, 1.0)]
    assert amounts[0] == 0 and amounts == sorted(amounts)
    assert 0.7 < amounts[-1] < 1, "the truth remains"


def test_a_harder_picture_is_further_from_the_easy_one():
    def change(hardness):
        pairs = [(draw(y, (y + 1) % 14, 0.0, [9, y]), draw(y, (y + 1) % 14, hardness, [9, y])) for y in range(14)]
        return np.mean([np.abs(a.astype(float) - b).mean() for a, b in pairs])

    assert change(0.1) < change(0.5) < change(0.95)


def test_the_picture_starts_from_the_true_class(monkeypatch):
    moved = []

    def remember(style, other, amount, rng):
        moved.append((style, other, amount))
        return morph(style, other, amount, rng)

    monkeypatch.setattr(picture, "morph", remember)
    monkeypatch.setattr(picture, "dress_up", lambda label, rng: replace(dress_up(label, rng), length=float(label)))
    draw(11, 3, 0.5, 0)
    ((style, other, amount),) = moved
    assert (style.length, other.length, amount) == (11.0, 3.0, morph_amount(0.5))
