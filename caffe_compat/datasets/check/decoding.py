"""Whether image files can be decoded. Worker processes import this: it stays light."""

from __future__ import annotations

from typing import NamedTuple

from caffe_compat.data.imageset import read_image
from caffe_compat.errors import DataError

READABLE, UNREADABLE, MISSING = "", "unreadable", "missing"


class Decoded(NamedTuple):
    """state: one of the three above; detail: why, or ""; size: (height, width), or None."""

    state: str
    detail: str = ""
    size: tuple[int, int] | None = None


def decode_file(path: str) -> Decoded:
    """Read and decode one file as the importers do, to 8 bits in colour. OpenCV refuses files that are cut short."""
    try:
        image = read_image(path)
    except DataError as exc:
        is_missing = isinstance(exc.__cause__, FileNotFoundError)
        return Decoded(MISSING) if is_missing else Decoded(UNREADABLE, exc.problem)
    return Decoded(READABLE, "", image.shape[:2])
