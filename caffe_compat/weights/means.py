"""Mean images in Caffe's ``.binaryproto`` and numpy's ``.npy``."""

from __future__ import annotations

import os

import numpy as np

from caffe_compat.errors import WeightsError, expected_got
from caffe_compat.files import atomic_path
from caffe_compat.npy_files import map_npy
from caffe_compat.weights.binary import check_regular, unreadable
from caffe_compat.weights.blobs import Array, read_blobproto_file, write_blobproto_file

PathLike = str | os.PathLike[str]

SUFFIXES = (".binaryproto", ".npy")


def read_mean(path: PathLike) -> Array:
    """A mean by its suffix, float32, of shape (C, H, W); what else a file may hold keeps all its dims.

    Raises: WeightsError naming the file.
    """
    array = _read_npy(path) if os.fspath(path).endswith(".npy") else read_blobproto_file(path)
    return array[0] if array.ndim == 4 and array.shape[0] == 1 else array


def write_mean(path: PathLike, mean: Array) -> None:
    """Write a mean by the suffix: (C, H, W) as it is, or with the legacy dims (1, C, H, W).

    Raises: WeightsError for more dims than a legacy blob has.
    """
    if not os.fspath(path).endswith(".npy"):
        if mean.ndim > 4:
            raise WeightsError(f"{expected_got('4 dims at most', f'shape {mean.shape}')}", path=os.fspath(path))
        write_blobproto_file(path, mean)
        return
    with atomic_path(path) as part, open(part, "wb") as file:
        np.save(file, mean.astype(np.float32), allow_pickle=False)


def _read_npy(path: PathLike) -> Array:
    name = os.fspath(path)
    try:
        check_regular(path)
        array = map_npy(path)
    except OSError as exc:
        raise unreadable(name, exc) from exc
    except ValueError as exc:
        raise WeightsError(str(exc), path=name) from exc
    if array.dtype.kind not in "fiu":
        raise WeightsError(expected_got("an array of numbers", f"an array of {array.dtype}"), path=name)
    return np.array(array, np.float32)
