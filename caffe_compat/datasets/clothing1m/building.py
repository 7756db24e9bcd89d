"""The databases of the paper's experiment: a few clean images, a million noisy ones."""

from __future__ import annotations

import numpy as np

from caffe_compat.datasets import layout
from caffe_compat.datasets.clothing1m.lists import NOISY_TRAIN, TEST, TRAIN, VAL, Lists
from caffe_compat.datasets.contents import Contents, estimate_from, with_noise_types
from caffe_compat.datasets.mix_recipe import MixRecipe
from caffe_compat.datasets.mixing import mix
from caffe_compat.datasets.samples import NO_LABEL, Samples
from caffe_compat.errors import DataError

RECIPES = {
    "paper": MixRecipe(clean_ratio=0.5, noisy_labels_of_clean=True),
    "release": MixRecipe(clean_ratio=1.0, noisy_labels_of_clean=False, confusion_from_val=True),
}


def build(lists: Lists, recipe: MixRecipe, seed: int) -> Contents:
    """Estimate C, find the noise types, mix: everything but the pixels. Training sets are shuffled once.

    Raises: DataError if a list is empty, or no training image has both labels.
    """
    for name, keys in lists.keys.items():
        if not keys:
            raise DataError(f"no usable key in the list {name}")
    rng = np.random.default_rng(seed)
    train, val, test = (_clean_samples(lists, name) for name in (TRAIN, VAL, TEST))
    pairs = _with_both_labels(train.followed_by(val) if recipe.confusion_from_val else train)
    if not len(pairs):
        raise DataError("no clean training image has a noisy label too: C cannot be estimated")
    estimate = estimate_from(pairs, len(lists.names))
    train, val, test = (with_noise_types(samples, estimate) for samples in (train, val, test))
    train = train.take(rng.permutation(len(train)))
    noisy_keys = lists.keys[NOISY_TRAIN]
    noisy = Samples.of(noisy_keys, None, [lists.noisy[key] for key in noisy_keys])
    typed = {layout.NTYPE_TRAIN: train, layout.NTYPE_VAL: val, layout.NTYPE_TEST: test}
    with_both = {name: _with_both_labels(samples) for name, samples in typed.items()}
    return Contents(
        names=lists.names,
        labelled={layout.CLEAN_TRAIN: train, layout.VAL: val, layout.TEST: test},
        typed={name: samples for name, samples in with_both.items() if len(samples)},
        mixed=mix(train, noisy, recipe, rng),
        mean_over=layout.CLEAN_TRAIN,
        pairs=pairs,
        estimate=estimate,
    )


def _clean_samples(lists: Lists, name: str) -> Samples:
    keys = lists.keys[name]
    return Samples.of(keys, [lists.clean[key] for key in keys], [lists.noisy.get(key, NO_LABEL) for key in keys])


def _with_both_labels(samples: Samples) -> Samples:
    return samples.take(np.flatnonzero((samples.clean != NO_LABEL) & (samples.noisy != NO_LABEL)))
