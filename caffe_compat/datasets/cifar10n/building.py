"""The databases of the authors' CIFAR-10 experiment: 10,000 clean images, 40,000 noisy ones, each mixed in once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caffe_compat.arrays import FloatArray, IntArray
from caffe_compat.datasets import layout
from caffe_compat.datasets.cifar10n.source import CLASS_NAMES, Cifar10n
from caffe_compat.datasets.contents import Contents, estimate_from, split_noise_types, with_noise_types
from caffe_compat.datasets.mix_recipe import MixRecipe
from caffe_compat.datasets.mixing import mix
from caffe_compat.datasets.samples import Samples
from caffe_compat.datasets.synthetic_noise import corrupt, draw_transition
from caffe_compat.errors import DataError, expected_got

RECIPES = {
    "release": MixRecipe(clean_ratio=0, noisy_labels_of_clean=False),
    "paper": MixRecipe(clean_ratio=0.5, noisy_labels_of_clean=True),  # what it did with Clothing1M
}


@dataclass(frozen=True)
class Options:
    """The choices; the defaults are those of the authors' release, with human labels for its synthetic ones.

    Attributes:
        labels: which of ``HUMAN_LABELS`` are the noisy labels.
        synthetic_noise: draw the noisy labels instead, wrong with this probability (the release: 0.3).
        num_clean: images whose clean labels are used.
        random_clean: choose them at random; otherwise they are the first ones.
        recipe: how they are mixed with the noisy ones.
        seed: of everything that is drawn: noise, split, order.
    """

    labels: str = "worse"
    synthetic_noise: float | None = None
    num_clean: int = 10_000
    random_clean: bool = False
    recipe: MixRecipe = RECIPES["release"]
    seed: int = 0


@dataclass(frozen=True)
class Built:
    """What a data folder is made from, and what is known of the noise beside it.

    Attributes:
        transition: (L, L) p(noisy | true) that the noise was drawn from; None for human labels.
        confusion_of_all: (L, L) C estimated from all training images, those without clean labels included.
    """

    contents: Contents
    transition: FloatArray | None
    confusion_of_all: FloatArray


def build(source: Cifar10n, options: Options) -> Built:
    """Split, estimate C, mix: everything but the pixels.

    Raises: DataError if there are not more than ``num_clean`` images, or the human labels cannot be read.
    """
    count = len(source.train.paths)
    if not 2 <= options.num_clean < count:
        raise DataError(f"number of clean images: {expected_got(f'2 to {count - 1}', options.num_clean)}")
    noise_rng, split_rng, order_rng = (np.random.default_rng(s) for s in np.random.SeedSequence(options.seed).spawn(3))
    noisy_labels, transition = _noisy_labels(source, options, noise_rng)
    images = Samples.of(source.train.paths, source.train.clean, noisy_labels)
    clean_positions, noisy_positions = _split(count, options, split_rng)
    pairs = images.take(clean_positions)
    estimate = estimate_from(pairs, len(CLASS_NAMES))
    pairs = with_noise_types(pairs, estimate)
    shuffled = pairs.take(order_rng.permutation(len(pairs)))
    noisy = images.take(noisy_positions)
    contents = Contents(
        names=CLASS_NAMES,
        labelled={layout.CLEAN_TRAIN: shuffled, layout.TEST: Samples.of(source.test.paths, source.test.clean)},
        typed=split_noise_types(shuffled),
        mixed=mix(pairs, Samples.of(noisy.paths, None, noisy.noisy), options.recipe, order_rng),
        mean_over=layout.MIXED_IMAGES,
        pairs=pairs,
        estimate=estimate,
    )
    return Built(contents, transition, estimate_from(images, len(CLASS_NAMES)).confusion)


def _noisy_labels(source: Cifar10n, options: Options, rng: np.random.Generator) -> tuple[IntArray, FloatArray | None]:
    if options.synthetic_noise is None:
        return source.human(options.labels), None
    transition = draw_transition(len(CLASS_NAMES), options.synthetic_noise, rng)
    return corrupt(source.train.clean, transition, rng), transition


def _split(count: int, options: Options, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Positions of the clean and of the noisy images, both rising."""
    order = rng.permutation(count) if options.random_clean else np.arange(count)
    return np.sort(order[: options.num_clean]), np.sort(order[options.num_clean :])
