"""Images that leave the noisy list because somebody has looked at them: new clean samples."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from caffe_compat.datasets.pairs import ANY_NUMBER, read_all_pairs
from caffe_compat.datasets.samples import NO_LABEL, Samples
from caffe_compat.errors import DataError, expected_got


def read_additions(
    additions: str | os.PathLike[str], noisy: Mapping[str, int], num_classes: int = ANY_NUMBER
) -> dict[str, tuple[int, int]]:
    """{path: (clean, noisy label)} of the pairs file ``additions``.

    Args:
        noisy: the noisy labels, by path, of the images that have no other.
        num_classes: labels are in [0, num_classes).
    Raises: DataError if an image is not among them, or its noisy label is another there; as ``read_all_pairs``.
    """
    pairs = read_all_pairs(additions, num_classes)
    for path, (_, label) in pairs.items():
        if path not in noisy:
            raise DataError(f"the image {path!r} is not in the noisy list alone", path=os.fspath(additions))
        if noisy[path] != label:
            problem = f"the image {path!r}: {expected_got(f'the noisy label of the noisy list, {noisy[path]}', label)}"
            raise DataError(problem, path=os.fspath(additions))
    return pairs


def move_to_clean(
    clean: Samples, noisy: Samples, additions: str | os.PathLike[str], noise_types: Mapping[str, int]
) -> tuple[Samples, Samples]:
    """The clean and the noisy samples with the images of the pairs file ``additions`` moved from one to the other.

    Args:
        noise_types: by path; images that it lacks get none.
    Raises: DataError as :func:`read_additions`.
    """
    pairs = read_additions(additions, dict(zip(noisy.paths, noisy.noisy.tolist(), strict=True)))
    labels = np.array(list(pairs.values()), np.int64).reshape(-1, 2)
    moved = Samples.of(list(pairs), labels[:, 0], labels[:, 1], [noise_types.get(path, NO_LABEL) for path in pairs])
    stays = np.array([place for place, path in enumerate(noisy.paths) if path not in pairs], np.int64)
    return clean.followed_by(moved), noisy.take(stays)
