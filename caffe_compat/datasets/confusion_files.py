"""C on disk: the BlobProto that nets read, and float64 beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from caffe_compat.files import atomic_path
from caffe_compat.label_noise.confusion import FloatArray
from caffe_compat.weights import write_blobproto_file


def npy_beside(path: Path) -> Path:
    """Where :func:`write_confusion` puts the float64 array."""
    return path.with_suffix(".npy")


def write_confusion(path: Path, confusion: FloatArray) -> None:
    """Write C, (L, L) indexed [noisy, true], as a float32 BlobProto (1, 1, L, L) and as float64 .npy beside it."""
    write_blobproto_file(path, confusion[np.newaxis, np.newaxis])
    with atomic_path(npy_beside(path)) as part, open(part, "wb") as file:
        np.save(file, confusion)
