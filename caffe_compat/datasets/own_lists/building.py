"""From one's own lists to what a data folder is made from."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from caffe_compat.datasets import layout
from caffe_compat.datasets.contents import Contents, estimate_from, split_noise_types, with_noise_types
from caffe_compat.datasets.mix_recipe import MixRecipe
from caffe_compat.datasets.mixing import mix
from caffe_compat.datasets.own_lists.reading import Labels, Lists
from caffe_compat.datasets.samples import NO_LABEL, Samples

RECIPES = {
    "paper": MixRecipe(clean_ratio=0.5, noisy_labels_of_clean=True),
    "release": MixRecipe(clean_ratio=1.0, noisy_labels_of_clean=False),
}


def build(lists: Lists, recipe: MixRecipe, seed: int) -> Contents:
    """Estimate C, find the noise types, hold a fifth of them out, mix: everything but the pixels."""
    rng = np.random.default_rng(seed)
    noisy_of_clean = [lists.noisy_of_clean.get(path, NO_LABEL) for path in lists.clean]
    clean = Samples.of(list(lists.clean), list(lists.clean.values()), noisy_of_clean)
    pairs = clean.take(np.flatnonzero(clean.noisy != NO_LABEL))
    estimate = estimate_from(pairs, len(lists.names))
    clean = with_noise_types(clean, estimate)
    clean = clean.take(rng.permutation(len(clean)))
    noisy = Samples.of(list(lists.noisy), None, list(lists.noisy.values()))
    labelled = {layout.CLEAN_TRAIN: clean, layout.TEST: _labelled(lists.test)}
    if lists.val:
        labelled[layout.VAL] = _labelled(lists.val, lists.noisy_of_val)
    return Contents(
        names=lists.names,
        labelled=labelled,
        typed=split_noise_types(clean.take(np.flatnonzero(clean.noisy != NO_LABEL))),
        mixed=mix(clean, noisy, recipe, rng),
        mean_over=layout.MIXED_IMAGES,
        pairs=pairs,
        estimate=estimate,
    )


def _labelled(labels: Labels, noisy: Labels = MappingProxyType({})) -> Samples:
    return Samples.of(list(labels), list(labels.values()), [noisy.get(path, NO_LABEL) for path in labels])
