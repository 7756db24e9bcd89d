"""One picture that shows all classes: easy ones in variety, and one garment that grows harder."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from caffe_compat.demo.picture import draw_picture
from caffe_compat.demo.taxonomy import CLASS_NAMES, LOOK_ALIKES
from caffe_compat.files import atomic_path

_CELL, _LABEL_WIDTH, _HEADER = 84, 108, 24
_VARIETY = 6
_HARDNESSES = (0.0, 0.4, 0.6, 0.7, 0.8, 0.9, 1.0)
_JPEG_QUALITY = 72
_INK = (40, 40, 40)


def write_contact_sheet(path: Path, seed: int) -> None:
    """Write the sheet as a JPEG file: a row a class; see :func:`contact_sheet`."""
    _, jpeg = cv2.imencode(".jpg", contact_sheet(seed), (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))
    with atomic_path(path) as part:
        part.write_bytes(jpeg.tobytes())


def contact_sheet(seed: int) -> np.ndarray:
    """A row a class: its name, six easy pictures, one garment at rising hardness, the look-alike it moves towards.

    Returns: uint8 (height, width, 3), BGR.
    """
    rows = [_row(label, seed) for label in range(len(CLASS_NAMES))]
    return np.concatenate([_header(rows[0].shape[1]), *rows])


def _row(label: int, seed: int) -> np.ndarray:
    name = CLASS_NAMES[label]
    shares = LOOK_ALIKES[name]
    look_alike = max(shares, key=lambda other: shares[other])
    towards = CLASS_NAMES.index(look_alike)
    easy = [_picture(label, towards, 0.0, seed, number) for number in range(_VARIETY)]
    harder = [_picture(label, towards, hardness, seed, _VARIETY) for hardness in _HARDNESSES]
    gap = np.full((_CELL, 8, 3), 255, np.uint8)
    return np.concatenate([_text(name), *easy, gap, *harder, _text(f"to {look_alike}")], axis=1)


def _picture(label: int, towards: int, hardness: float, seed: int, number: int) -> np.ndarray:
    return draw_picture(label, towards, hardness, _CELL, np.random.default_rng([seed, label, number, 1]))


def _text(words: str) -> np.ndarray:
    field = np.full((_CELL, _LABEL_WIDTH, 3), 255, np.uint8)
    cv2.putText(field, words, (4, _CELL // 2 + 5), cv2.FONT_HERSHEY_SIMPLEX, 0.42, _INK, 1, cv2.LINE_AA)
    return field


def _header(width: int) -> np.ndarray:
    header = np.full((_HEADER, width, 3), 255, np.uint8)
    places = [(_LABEL_WIDTH, "hardness 0")]
    start = _LABEL_WIDTH + _VARIETY * _CELL + 8
    places += [(start + column * _CELL, f"h = {hardness:g}") for column, hardness in enumerate(_HARDNESSES)]
    for x, words in places:
        cv2.putText(header, words, (x + 4, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.42, _INK, 1, cv2.LINE_AA)
    return header
