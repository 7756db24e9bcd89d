"""The original files: ``data_batch_1`` ... ``data_batch_5``, ``test_batch`` and ``CIFAR-10_human.pt``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from caffe_compat.arrays import IntArray
from caffe_compat.data.datum import channels_first, decode_image, encode_datum
from caffe_compat.datasets.cifar10n.source import HUMAN_LABELS, Cifar10n, LabelledImages, checked_labels
from caffe_compat.datasets.restricted_pickle import read_pickle, read_torch_file
from caffe_compat.errors import DataError, expected_got
from caffe_compat.proto import caffe_pb2

TRAIN_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST_BATCH = "test_batch"
HUMAN_FILE = "CIFAR-10_human.pt"
_HUMAN_KEYS = dict(
    zip(HUMAN_LABELS, ("worse_label", "aggre_label", "random_label1", "random_label2", "random_label3"), strict=True)
)

Pixels = npt.NDArray[np.uint8]


def read_pickle_layout(folder: Path, human_file: Path, jpeg_quality: int | None) -> Cifar10n:
    """Read the batches in ``folder``; they hold all pixels, 184 MB for the whole data set.

    Args:
        jpeg_quality: 1 to 100: pass the pixels through JPEG; None leaves them as they are.
    Raises: DataError naming the file and what is wrong in it.
    """
    train_pixels, train = _read_batches(folder, TRAIN_BATCHES, "train")
    test_pixels, test = _read_batches(folder, (TEST_BATCH,), "test")
    images = dict(zip((*train.paths, *test.paths), (*train_pixels, *test_pixels), strict=True))

    def read_image(path: str) -> caffe_pb2.Datum:
        image = images[path]
        return encode_datum(image if jpeg_quality is None else _through_jpeg(image, jpeg_quality))

    return Cifar10n(train, test, lambda labels: _human_labels(human_file, labels, train.clean), read_image)


def _read_batches(folder: Path, names: Sequence[str], kind: str) -> tuple[Pixels, LabelledImages]:
    """Pixels (N, 3, 32, 32) BGR, and the images named ``kind/00000`` ... in the order of the batches."""
    batches = [_read_batch(folder / name) for name in names]
    pixels = np.concatenate([batch[0] for batch in batches])
    paths = [f"{kind}/{number:05d}" for number in range(len(pixels))]
    return pixels, LabelledImages(paths, np.concatenate([batch[1] for batch in batches]))


def _read_batch(path: Path) -> tuple[Pixels, IntArray]:
    batch = _dictionary(read_pickle(path), path, ("data", "labels"))
    data = batch["data"]
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3 * 32 * 32:
        got = f"{data.dtype} of shape {data.shape}" if isinstance(data, np.ndarray) else type(data).__name__
        raise DataError(expected_got("uint8 of shape (N, 3072)", got), path=str(path), field="data")
    labels = checked_labels(batch["labels"], path, "labels", len(data))
    return data.reshape(-1, 3, 32, 32)[:, ::-1], labels  # the file has RGB


def _human_labels(path: Path, labels: str, clean: IntArray) -> IntArray:
    """One column of CIFAR-10N, after checking that its own clean labels are those of the batches."""
    if not path.exists():
        raise DataError("not there; it has CIFAR-10N's human labels (--synthetic_noise needs none)", path=str(path))
    columns = _dictionary(read_torch_file(path), path, ("clean_label", _HUMAN_KEYS[labels]))
    known = checked_labels(columns["clean_label"], path, "clean_label", len(clean))
    if not np.array_equal(known, clean):
        first = int(np.flatnonzero(known != clean)[0])
        problem = expected_got("the labels of the batches, in their order", f"another label for image {first}")
        raise DataError(problem, path=str(path), field="clean_label")
    return checked_labels(columns[_HUMAN_KEYS[labels]], path, _HUMAN_KEYS[labels], len(clean))


def _dictionary(content: Any, path: Path, keys: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(content, dict):
        raise DataError(expected_got("a dictionary", type(content).__name__), path=str(path))
    named = {key.decode("latin-1") if isinstance(key, bytes) else key: value for key, value in content.items()}
    for key in keys:
        if key not in named:
            raise DataError(expected_got(f"a key {key!r}", sorted(map(str, named))), path=str(path))
    return named


def _through_jpeg(image: Pixels, quality: int) -> Pixels:
    _, buffer = cv2.imencode(".jpg", image.transpose(1, 2, 0), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return channels_first(decode_image(buffer))
