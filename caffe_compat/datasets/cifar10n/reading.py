"""Telling the two layouts apart."""

from __future__ import annotations

from pathlib import Path

from caffe_compat.datasets.cifar10n import csv_layout, pickle_layout
from caffe_compat.datasets.cifar10n.source import Cifar10n
from caffe_compat.errors import DataError, expected_got


def read_cifar10n(root: Path, jpeg_quality: int | None = None) -> Cifar10n:
    """Read ``root``, which has ``train.csv``, or ``data_batch_1`` there or in ``cifar-10-batches-py``.

    Args:
        jpeg_quality: pass original pixels through JPEG (the authors' images went through it); None: as they are.
    Raises: DataError if ``root`` is neither, if its files are not what they should be, or if JPEG files are to be
        passed through JPEG again.
    """
    if (root / csv_layout.TRAIN).exists():
        if jpeg_quality is not None:
            raise DataError("its images are JPEG files already: give no --jpeg_quality", path=str(root))
        return csv_layout.read_csv_layout(root)
    for folder in (root, root / "cifar-10-batches-py"):
        if (folder / pickle_layout.TRAIN_BATCHES[0]).exists():
            return pickle_layout.read_pickle_layout(folder, root / pickle_layout.HUMAN_FILE, jpeg_quality)
    wanted = f"{csv_layout.TRAIN}, {pickle_layout.TRAIN_BATCHES[0]} or cifar-10-batches-py in it"
    raise DataError(expected_got(wanted, "neither"), path=str(root))
