"""What both layouts of the data set are read into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from caffe_compat.arrays import IntArray
from caffe_compat.datasets.databases import ReadImage
from caffe_compat.errors import DataError, expected_got

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
HUMAN_LABELS = ("worse", "aggre", "random1", "random2", "random3")
DEFAULT_LABELS = HUMAN_LABELS[0]


@dataclass(frozen=True)
class LabelledImages:
    """paths: names of N images, in the data set's order; clean: (N,) their true labels in [0, 10)."""

    paths: Sequence[str]
    clean: IntArray


@dataclass(frozen=True)
class Cifar10n:
    """The data set; images and human labels are read when they are asked for.

    Attributes:
        human: one of ``HUMAN_LABELS`` -> (N,) labels of the training images. Raises DataError where they are missing.
        read_image: a path -> its datum, 3 x 32 x 32 uint8, BGR.
    """

    train: LabelledImages
    test: LabelledImages
    human: Callable[[str], IntArray]
    read_image: ReadImage


def checked_labels(labels: npt.ArrayLike, path: Path, field: str, count: int | None = None) -> IntArray:
    """``labels`` as (N,) int64. Raises: DataError unless they are ``count`` whole numbers in [0, 10)."""
    given = np.asarray(labels)
    if given.ndim != 1 or not np.issubdtype(given.dtype, np.integer) or (count is not None and len(given) != count):
        wanted = "a list of whole numbers" if count is None else f"{count} whole numbers"
        raise DataError(expected_got(wanted, f"shape {given.shape} of {given.dtype}"), path=str(path), field=field)
    bad = np.flatnonzero((given < 0) | (given >= len(CLASS_NAMES)))
    if len(bad):
        wanted = f"labels in [0, {len(CLASS_NAMES)})"
        raise DataError(expected_got(wanted, f"{given[bad[0]]} at {bad[0]}"), path=str(path), field=field)
    return given.astype(np.int64)
