"""Small JPEGs of records, as data URIs."""

from __future__ import annotations

import base64
from collections.abc import Iterable

import cv2
import numpy as np

from caffe_compat.data.datum import DECODE_COLOR, decode_datum
from caffe_compat.datasets.image_database import ImageDatabase
from caffe_compat.errors import DataError, expected_got

LARGEST_SIDE = 112
_QUALITY = 80


def thumbnails(database: str, backend: str, paths: Iterable[str]) -> dict[str, str]:
    """The images of ``paths``, shrunk to at most ``LARGEST_SIDE`` pixels a side; smaller ones keep their size.

    Raises: DataError if the database is not there, lacks one of them, or it is no image of 1 or 3 channels.
    """
    wanted = dict.fromkeys(paths)
    images = ImageDatabase(database, backend, wanted.keys())
    uris = {}
    for path in wanted:
        datum = images.read(path)
        try:
            uris[path] = _data_uri(decode_datum(datum, DECODE_COLOR))
        except DataError as exc:
            raise DataError(exc.problem, path=f"{database}: {path}") from exc
    return uris


def _data_uri(image: np.ndarray) -> str:
    """Shapes: image (C, H, W), BGR or grey."""
    if image.shape[0] not in (1, 3):
        raise DataError(expected_got("an image of 1 or 3 channels", image.shape[0]))
    pixels: np.ndarray = np.ascontiguousarray(image.transpose(1, 2, 0).clip(0, 255).astype(np.uint8))
    height, width = pixels.shape[:2]
    if (shrink := LARGEST_SIDE / max(height, width)) < 1:
        size = max(1, round(width * shrink)), max(1, round(height * shrink))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode(".jpg", pixels, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.tobytes()).decode()
