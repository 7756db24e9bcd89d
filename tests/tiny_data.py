"""A data folder of the usual layout with a handful of noise images: enough to build and run the repository's nets."""

from pathlib import Path

import numpy as np

from caffe_compat.data.datum import encode_datum, label_datum
from caffe_compat.data.lmdb_store import write_database
from caffe_compat.datasets import layout
from caffe_compat.weights import write_blobproto_file


def make_tiny_data(folder: Path, classes: int, size: int, records: int = 6) -> Path:
    """Write every database and file. The higher the class, the brighter its images, so that nets can learn."""
    rng = np.random.default_rng(0)
    for name, labels in (
        (layout.CLEAN_TRAIN, classes),
        (layout.VAL, classes),
        (layout.TEST, classes),
        (layout.NTYPE_TRAIN, 3),
        (layout.NTYPE_VAL, 3),
        (layout.MIXED_IMAGES, classes),
    ):
        write_database(folder / name, _images(rng, records, labels, size))
    np.save(folder / layout.MIXED_INDEX, np.concatenate([np.arange(records), np.arange(records)]))
    true = [i % classes for i in range(records)]
    some, none = true[: records // 2], [-1] * (records - records // 2)
    for name, values in (
        (layout.MIXED_CLEAN_LABELS, (some + none) * 2),
        (layout.MIXED_NOISY_LABELS, ([-1] * len(some) + true[len(some) :]) * 2),
        (layout.MIXED_NTYPE_LABELS, ([label % 3 for label in some] + none) * 2),
        (layout.MIXED_TRUTH_LABELS, true * 2),
    ):
        write_database(folder / name, ((b"%08d" % i, label_datum(label)) for i, label in enumerate(values)))
    write_blobproto_file(folder / layout.MEAN, np.full((1, 3, size, size), 128, np.float32))
    write_blobproto_file(folder / layout.CONFUSION, confusion(classes))
    transition = 0.6 * np.eye(classes, dtype=np.float32) + 0.4 * confusion(classes)
    write_blobproto_file(folder / layout.TRANSITION, transition)
    write_blobproto_file(folder / layout.NOISE_TYPE_LOG_PRIOR, np.log([[[[0.5, 0.2, 0.3]]]]).astype(np.float32))
    (folder / layout.NAMES).write_text("".join(f"class {label}\n" for label in range(classes)))
    return folder


def confusion(classes: int) -> np.ndarray:
    """(1, 1, classes, classes): every class is taken for the next one or the one after."""
    matrix = 0.7 * np.eye(classes, k=-1) + 0.3 * np.eye(classes, k=-2)
    matrix += 0.7 * np.eye(classes, k=classes - 1) + 0.3 * np.eye(classes, k=classes - 2)
    return matrix[None, None].astype(np.float32)


def _images(rng: np.random.Generator, records: int, labels: int, size: int):
    for i in range(records):
        label = i % labels
        image = rng.integers(0, 32, (3, size, size)) + 200 * label // labels
        yield b"%08d_%d.png" % (i, i), encode_datum(image.astype(np.uint8), label)
