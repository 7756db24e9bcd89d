"""The keys of records: ``%08d_<path>`` of images, ``%08d`` of labels, counted from 0 in reading order.

Source: tools/convert_imageset.cpp.
"""

from __future__ import annotations

import os


def image_key(number: int, path: str) -> bytes:
    return b"%08d_%s" % (number, os.fsencode(path))


def label_key(number: int) -> bytes:
    return b"%08d" % number


def path_of_key(key: bytes) -> str:
    """The path in an image's key; a key of another form is taken whole."""
    return split_key(key)[1]


def split_key(key: bytes) -> tuple[int, str]:
    """Number and path in an image's key; -1 and the whole key where it has another form."""
    whole = os.fsdecode(key)
    number, underscore, path = whole.partition("_")
    return (int(number), path) if underscore and len(number) >= 8 and number.isdecimal() else (-1, whole)
