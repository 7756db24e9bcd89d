"""Telling which kind of data set a folder is."""

from __future__ import annotations

from pathlib import Path

from caffe_compat.datasets import layout
from caffe_compat.datasets.check.subjects import CIFAR10N, CLOTHING1M, MADE
from caffe_compat.datasets.cifar10n.csv_layout import TEST, TRAIN
from caffe_compat.datasets.clothing1m.lists import NOISY_LABELS
from caffe_compat.errors import DataError, expected_got


def recognise(folder: Path) -> str:
    """CLOTHING1M, MADE or CIFAR10N, by the files in the folder. Raises: DataError if it is none of them."""
    if not folder.is_dir():
        raise DataError(expected_got("a folder", "a file" if folder.exists() else "nothing there"), path=str(folder))
    if any((folder / name / "data.mdb").exists() for name in layout.DATABASES):
        return MADE
    if any((place / NOISY_LABELS).exists() for place in (folder, folder / "annotations")):
        return CLOTHING1M
    if (folder / TRAIN).exists() and (folder / TEST).exists():
        return CIFAR10N
    wanted = f"databases such as {layout.CLEAN_TRAIN}, {NOISY_LABELS}, or {TRAIN} and {TEST}"
    raise DataError(f"{expected_got(wanted, 'none of them')}; for an image list give --list and --root",
                    path=str(folder))  # fmt: skip
