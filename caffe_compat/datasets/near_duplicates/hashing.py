"""The fingerprint of an image: perceptual hashes of it and of its mirror image. Worker processes import this.

pHash (the signs of an image's lowest cosine coefficients about their median) is the ImageHash library's. The coarse
hash, 64 bits, finds candidates; the fine one, 256 bits of a picture twice as large, tells duplicates from look-alikes.
"""

from __future__ import annotations

import struct
import warnings
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from caffe_compat.errors import DataError

COARSE_BITS, FINE_BITS = 64, 256
_COARSE_SIZE, _FINE_SIZE = 8, 16  # coefficients a side
_THUMBNAIL = 64  # pixels a side: what the fine hash reads, ImageHash's factor 4 times its coefficients
_DRAFT = 128  # JPEG files are decoded at the smallest eighth that is no smaller than this

_BROKEN_EXIF = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, struct.error)  # Pillow's

FINGERPRINT = np.dtype([
    ("coarse", np.uint8, COARSE_BITS // 8),
    ("coarse_mirrored", np.uint8, COARSE_BITS // 8),
    ("fine", np.uint8, FINE_BITS // 8),
    ("fine_mirrored", np.uint8, FINE_BITS // 8),
])  # fmt: skip


class Hashed(NamedTuple):
    """The fingerprint as bytes of FINGERPRINT's layout, or b"" and why the file cannot be read."""

    fingerprint: bytes
    problem: str = ""


def hash_file(path: str) -> Hashed:
    """The fingerprint of one image file.

    Raises: DataError if ImageHash or Pillow is not installed.
    """
    imagehash, pillow = hash_libraries()
    try:
        with pillow.Image.open(path) as image:
            image.draft("L", (_DRAFT, _DRAFT))
            grey = _upright(image, pillow).convert("L")
            thumbnail = grey.resize((_THUMBNAIL, _THUMBNAIL), pillow.Image.Resampling.LANCZOS)
    except (OSError, SyntaxError, ValueError, pillow.Image.DecompressionBombError) as exc:
        return Hashed(b"", str(exc) or type(exc).__name__)
    return Hashed(fingerprint_of(thumbnail, imagehash, pillow).tobytes())


def _upright(image: Any, pillow: ModuleType) -> Any:
    """The image turned as its EXIF orientation says, as OpenCV turns it."""
    try:
        with warnings.catch_warnings(action="ignore"):  # Pillow's, of every damaged tag
            return pillow.ImageOps.exif_transpose(image)
    except _BROKEN_EXIF:
        return image


def fingerprint_of(thumbnail: Any, imagehash: ModuleType, pillow: ModuleType) -> npt.NDArray[np.void]:
    """The fingerprint, a scalar of FINGERPRINT, of a grey Pillow image of 64 x 64."""
    mirrored = thumbnail.transpose(pillow.Image.Transpose.FLIP_LEFT_RIGHT)
    fingerprint = np.zeros((), FINGERPRINT)
    for suffix, image in (("", thumbnail), ("_mirrored", mirrored)):
        fingerprint["coarse" + suffix] = np.packbits(imagehash.phash(image, _COARSE_SIZE).hash)
        fingerprint["fine" + suffix] = np.packbits(imagehash.phash(image, _FINE_SIZE).hash)
    return fingerprint


def hash_libraries() -> tuple[ModuleType, ModuleType]:
    """The packages imagehash and PIL. Raises: DataError if one is not installed."""
    try:
        import imagehash
        import PIL.Image
        import PIL.ImageOps
    except ImportError as exc:
        raise DataError("near duplicates need the Python package ImageHash (pip install ImageHash)") from exc
    return imagehash, PIL
