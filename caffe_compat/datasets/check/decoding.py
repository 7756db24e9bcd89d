"""Whether image files can be decoded. Worker processes import this: it stays light."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

READABLE, UNREADABLE, MISSING = "", "unreadable", "missing"


class Decoded(NamedTuple):
    """state: one of the three above; detail: why, or ""; size: (height, width), or None."""

    state: str
    detail: str = ""
    size: tuple[int, int] | None = None


def decode_file(path: str) -> Decoded:
    """Read and decode one file as the importers do, to 8 bits in colour. OpenCV refuses files that are cut short."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return Decoded(MISSING)
    except OSError as exc:
        return Decoded(UNREADABLE, exc.strerror or str(exc))
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None
    if image is None:
        return Decoded(UNREADABLE, f"not a readable image ({len(content)} bytes)")
    return Decoded(READABLE, "", image.shape[:2])
