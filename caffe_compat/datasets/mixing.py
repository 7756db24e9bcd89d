"""The mixed training set: few clean samples, drawn again and again, among many noisy ones.

Source: Xiao et al., CVPR 2015, section 4 ("we bootstrap the clean data to half amount of the noisy data"). The
authors' release draws as many clean samples as there are noisy ones, and mixes each once for CIFAR-10.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caffe_compat.arrays import IntArray
from caffe_compat.data.group import Group, describe
from caffe_compat.datasets import layout
from caffe_compat.datasets.databases import ReadImage, write_images, write_index, write_labels
from caffe_compat.datasets.image_database import ImageDatabase
from caffe_compat.datasets.mix_recipe import MixRecipe
from caffe_compat.datasets.samples import Samples
from caffe_compat.errors import DataError

logger = logging.getLogger("caffe_compat")

ALL_LABELS = (
    layout.MIXED_CLEAN_LABELS, layout.MIXED_NOISY_LABELS, layout.MIXED_NTYPE_LABELS, layout.MIXED_TRUTH_LABELS,
)  # fmt: skip


@dataclass(frozen=True)
class Mix:
    """A mixed training set: each image once, and the order in which they are read.

    Attributes:
        samples: the clean samples, then the noisy ones.
        order: (records,) int64 positions in ``samples``; clean ones may repeat.
    """

    samples: Samples
    order: IntArray

    def in_reading_order(self) -> Samples:
        return self.samples.take(self.order)


def mix(clean: Samples, noisy: Samples, recipe: MixRecipe, rng: np.random.Generator) -> Mix:
    """Mix the two lists as ``recipe`` says and shuffle them once.

    Raises: DataError if an image is in both lists, or one of them is empty.
    """
    _check_lists(clean.paths, noisy.paths)
    if not recipe.noisy_labels_of_clean:
        clean = Samples.of(clean.paths, clean.clean, None, clean.noise_type)
    drawn = np.arange(len(clean))
    if recipe.clean_ratio:
        drawn = rng.integers(len(clean), size=round(recipe.clean_ratio * len(noisy)))
        _tell_of_unread(drawn, len(clean))
    order = np.concatenate([drawn, len(clean) + np.arange(len(noisy))])
    return Mix(clean.followed_by(noisy), rng.permutation(order))


def write_mix(
    folder: Path, mixed: Mix, read_image: ReadImage, materialise: bool = False, labels: Sequence[str] = ALL_LABELS
) -> None:
    """Write the images, each once with an index or (``materialise``) in reading order, and the label databases.

    Args:
        labels: which of ``ALL_LABELS`` to write.
    """
    ordered = mixed.in_reading_order()
    group = describe(layout.MIXED_GROUP, ordered.paths)
    if materialise:
        write_images(folder / layout.MIXED_IMAGES, ordered, read_image, group=group)
    else:
        write_images(folder / layout.MIXED_IMAGES, mixed.samples, read_image)
        write_index(folder / layout.MIXED_INDEX, mixed.order, folder / layout.MIXED_IMAGES, group)
    _write_labels(folder, ordered, group, labels)


def write_mix_over(folder: Path, mixed: Mix, images: ImageDatabase, labels: Sequence[str] = ALL_LABELS) -> None:
    """Write an index into a database that has the images already, and the label databases; no pixel is copied.

    Raises: DataError naming the first image that is not in the database.
    """
    ordered = mixed.in_reading_order()
    group = describe(layout.MIXED_GROUP, ordered.paths)
    positions = images.positions(mixed.samples.paths)[mixed.order]
    write_index(folder / layout.MIXED_INDEX, positions, Path(images.path), group)
    _write_labels(folder, ordered, group, labels)


def _write_labels(folder: Path, ordered: Samples, group: Group, labels: Sequence[str]) -> None:
    columns = (ordered.clean, ordered.noisy, ordered.noise_type, ordered.truth)
    for name, column in zip(ALL_LABELS, columns, strict=True):
        if name in labels:
            write_labels(folder / name, column, group)


def _tell_of_unread(drawn: IntArray, count: int) -> None:
    if unread := count - len(np.unique(drawn)):
        logger.warning(
            "%d of %d clean images are in none of the %d clean records drawn; a higher clean ratio reads more of them, "
            "'none' each once",
            *(unread, count, len(drawn)),
        )


def _check_lists(clean: Sequence[str], noisy: Sequence[str]) -> None:
    for name, paths in (("clean", clean), ("noisy", noisy)):
        if not paths:
            raise DataError(f"the {name} list is empty")
    if both := set(clean).intersection(noisy):
        raise DataError(
            f"{len(both)} image(s) are in the clean and in the noisy list, the first by name: {min(both)}; "
            "take them out of one of the lists"
        )
