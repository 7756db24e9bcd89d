"""The mean image of a database. Source: tools/compute_image_mean.cpp."""

from __future__ import annotations

import logging
import os

import numpy as np

from caffe_compat.data.database import LMDB, Reader, open_database
from caffe_compat.data.datum import decode_datum, parse_datum
from caffe_compat.errors import DataError, expected_got

logger = logging.getLogger("caffe_compat")

_RECORDS_PER_LINE = 10000


def mean_image(database: str | os.PathLike[str], backend: str = LMDB) -> np.ndarray:
    """The mean of all records, (C, H, W) float32, summed in float32 in key order as Caffe does.

    Raises: DataError naming the record if sizes differ or a record cannot be read.
    """
    reader = open_database(database, backend)
    logger.info("Opened %s %s", backend, reader.path)
    total = np.zeros(_image(reader, 0).shape, np.float32)
    if parse_datum(reader.read(0)).encoded:
        logger.info("Decoding Datum")
    logger.info("Starting iteration")
    for position in range(len(reader)):
        image = _image(reader, position)
        if image.shape != total.shape:
            sizes = expected_got(f"the first record's size {total.shape}", image.shape)
            raise DataError(f"record {os.fsdecode(reader.key(position))}: {sizes}", path=reader.path)
        total += image
        if (position + 1) % _RECORDS_PER_LINE == 0:
            logger.info("Processed %d files.", position + 1)
    if len(reader) % _RECORDS_PER_LINE:
        logger.info("Processed %d files.", len(reader))
    return total / np.float32(len(reader))


def channel_means(mean: np.ndarray) -> list[float]:
    """One value a channel of a (C, H, W) float32 mean image, summed one pixel after the other as Caffe does."""
    pixels = mean.reshape(len(mean), -1)
    return [float(np.cumsum(channel, dtype=np.float32)[-1] / np.float32(channel.size)) for channel in pixels]


def _image(reader: Reader, position: int) -> np.ndarray:
    try:
        return decode_datum(parse_datum(reader.read(position)))
    except DataError as exc:
        raise DataError(f"record {os.fsdecode(reader.key(position))}: {exc.problem}", path=reader.path) from exc
