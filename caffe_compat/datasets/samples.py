"""A list of images with up to three labels each, as columns: what databases are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from caffe_compat.arrays import IntArray

NO_LABEL = -1


@dataclass(frozen=True)
class Samples:
    """N images and their labels; -1 where a label is absent.

    Attributes:
        paths: N names, relative to wherever the images are; they become part of the record keys.
        clean, noisy, noise_type: (N,) int64.
    """

    paths: Sequence[str]
    clean: IntArray
    noisy: IntArray
    noise_type: IntArray

    @classmethod
    def of(
        cls,
        paths: Sequence[str],
        clean: npt.ArrayLike | None = None,
        noisy: npt.ArrayLike | None = None,
        noise_type: npt.ArrayLike | None = None,
    ) -> Samples:
        """Samples with the labels given, -1 elsewhere. Raises: ValueError if the lengths differ."""
        columns = [_column(labels, len(paths)) for labels in (clean, noisy, noise_type)]
        return cls(paths, *columns)

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def truth(self) -> IntArray:
        """The clean label where there is one, otherwise the noisy label, (N,)."""
        return np.where(self.clean == NO_LABEL, self.noisy, self.clean)

    def take(self, positions: IntArray) -> Samples:
        """The samples at ``positions`` (M,), in that order, repeats included."""
        paths = [self.paths[position] for position in positions.tolist()]
        return Samples(paths, self.clean[positions], self.noisy[positions], self.noise_type[positions])

    def followed_by(self, other: Samples) -> Samples:
        """Both lists, one after the other."""
        pairs = ((self.clean, other.clean), (self.noisy, other.noisy), (self.noise_type, other.noise_type))
        return Samples([*self.paths, *other.paths], *(np.concatenate(pair) for pair in pairs))


def _column(labels: npt.ArrayLike | None, length: int) -> IntArray:
    column = np.full(length, NO_LABEL, np.int64) if labels is None else np.asarray(labels, np.int64)
    if column.shape != (length,):
        raise ValueError(f"labels: expected shape ({length},), got {column.shape}")
    return column
