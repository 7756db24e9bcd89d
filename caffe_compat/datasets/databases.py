"""Writing samples as Caffe databases: images with one label, labels alone, and the index of a reading order."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from caffe_compat.arrays import IntArray
from caffe_compat.data.datum import label_datum
from caffe_compat.data.group import Group, side_file, write_group
from caffe_compat.data.imageset import ImageFormat, image_datum, in_threads
from caffe_compat.data.lmdb_store import write_database
from caffe_compat.data.record_keys import image_key, label_key
from caffe_compat.datasets.samples import NO_LABEL, Samples
from caffe_compat.files import atomic_path
from caffe_compat.proto import caffe_pb2

logger = logging.getLogger("caffe_compat")

ReadImage = Callable[[str], caffe_pb2.Datum]  # a sample's path -> its image, without a label


def image_reader(root: Path, form: ImageFormat) -> ReadImage:
    """Reads the image files below ``root``; see ``data.imageset``. Its errors name the file."""
    return lambda path: image_datum(root / path, NO_LABEL, form)[0]


def write_images(
    path: Path, samples: Samples, read_image: ReadImage, labels: IntArray | None = None, group: Group | None = None
) -> None:
    """Write an image database in the order of ``samples``; without ``labels`` (N,) every record carries -1.

    Pixels of several sizes are warned of: a net takes them only if it crops.
    """
    sizes: Counter[tuple[int, int]] = Counter()
    values = [NO_LABEL] * len(samples) if labels is None else labels.tolist()

    def records() -> Iterator[tuple[bytes, caffe_pb2.Datum]]:
        for position, datum in enumerate(in_threads(read_image, samples.paths)):
            datum.label = values[position]
            if not datum.encoded:
                sizes[datum.height, datum.width] += 1
            yield image_key(position, samples.paths[position]), datum

    write_database(path, records(), group)
    if len(sizes) > 1:
        most = " x ".join(map(str, sizes.most_common(1)[0][0]))
        logger.warning(
            "%s: images of %d sizes, most of them %s; only nets that crop read these", path.name, len(sizes), most
        )


def write_labels(path: Path, labels: IntArray, group: Group | None = None) -> None:
    """Write a label database, one 1 x 1 x 1 float datum a record, in the order of ``labels`` (N,)."""
    records = ((label_key(position), label_datum(label)) for position, label in enumerate(labels.tolist()))
    write_database(path, records, group)


def write_index(path: Path, positions: IntArray, database: Path, group: Group) -> None:
    """Write a reading order of ``database`` as .npy (int64, 0-based, in key order), with its side file."""
    with atomic_path(path) as part, open(part, "wb") as file:
        np.save(file, positions.astype(np.int64))
    write_group(side_file(database, path), group)
