"""What is estimated from pairs, as nets read it: C, the counted p(noisy | true), the noise types' frequencies."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from caffe_compat.arrays import FloatArray
from caffe_compat.files import atomic_path
from caffe_compat.label_noise.confusion import ConfusionEstimate
from caffe_compat.label_noise.transitions import counted_transition, noise_type_log_prior
from caffe_compat.weights import write_blobproto_file


def npy_beside(path: Path) -> Path:
    """Where :func:`write_confusion` puts the float64 array."""
    return path.with_suffix(".npy")


def write_confusion(path: Path, confusion: FloatArray) -> None:
    """Write C, (L, L) indexed [noisy, true], as a float32 BlobProto (1, 1, L, L) and as float64 .npy beside it."""
    write_blobproto_file(path, confusion[np.newaxis, np.newaxis])
    with atomic_path(npy_beside(path)) as part, open(part, "wb") as file:
        np.save(file, confusion)


def write_transition(path: Path, estimate: ConfusionEstimate) -> None:
    """Write p(noisy | true) as counted, indexed [noisy, true], as a float32 BlobProto (1, 1, L, L)."""
    write_blobproto_file(path, counted_transition(estimate.counts)[np.newaxis, np.newaxis])


def write_noise_type_log_prior(path: Path, estimate: ConfusionEstimate) -> None:
    """Write the log of the noise types' frequencies as a float32 BlobProto (1, 1, 1, 3)."""
    write_blobproto_file(path, noise_type_log_prior(estimate)[np.newaxis, np.newaxis, np.newaxis])
