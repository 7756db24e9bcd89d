"""What is held out is nowhere trained on: neither under its own name nor, pixel for pixel, under another."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from caffe_compat.datasets import layout
from caffe_compat.datasets.check.findings import Findings, Place
from caffe_compat.datasets.check.made.folder import HELD_OUT, MadeFolder

_TRAINED_ON = (layout.CLEAN_TRAIN, layout.NTYPE_TRAIN, layout.MIXED_IMAGES)


def check_held_out(folder: MadeFolder, findings: Findings) -> None:
    """No path of a held-out database is in a training database, or in the other held-out one."""
    for held_out, others in _comparisons(folder):
        known = {path: record for record, path in enumerate(folder.images[held_out].paths)}
        for name in others:
            for record, path in enumerate(folder.images[name].paths):
                if path in known:
                    detail = f"also {held_out} record {known[path]}"
                    findings.add("key_in_two_splits", Place(name, record=record, key=path, detail=detail))


def check_same_pixels(folder: MadeFolder, findings: Findings) -> None:
    """No held-out image is, pixel for pixel, a training image; and no clean image a noisy one."""
    for held_out, others in _comparisons(folder):
        for name in others:
            findings.add("same_image_held_out", *_equal_images(folder, name, held_out))
    if {layout.CLEAN_TRAIN, layout.MIXED_IMAGES} <= folder.images.keys():
        clean = frozenset(folder.images[layout.CLEAN_TRAIN].paths)  # they are among the mixed images too
        equal = _equal_images(folder, layout.MIXED_IMAGES, layout.CLEAN_TRAIN)
        findings.add("same_image_clean_and_noisy", *(place for place in equal if place.key not in clean))


def _comparisons(folder: MadeFolder) -> Iterator[tuple[str, list[str]]]:
    """Each held-out database and the databases that must not share an image with it."""
    for place, held_out in enumerate(HELD_OUT):
        if held_out in folder.images:
            yield held_out, [name for name in (*_TRAINED_ON, *HELD_OUT[place + 1 :]) if name in folder.images]


def _equal_images(folder: MadeFolder, name: str, other: str) -> Iterator[Place]:
    """Records of ``name`` with the pixels of a record of ``other`` that has another path."""
    scan, known = folder.images[name], folder.images[other]
    of_digest = {digest: record for record, digest in enumerate(_digests(known.digests)) if any(digest)}
    for record, digest in enumerate(_digests(scan.digests)):
        if digest in of_digest and known.paths[of_digest[digest]] != scan.paths[record]:
            detail = f"the pixels of {other} record {of_digest[digest]} {known.paths[of_digest[digest]]}"
            yield Place(name, record=record, key=scan.paths[record], detail=detail)


def _digests(digests: np.ndarray) -> Iterator[bytes]:
    content, size = digests.tobytes(), digests.shape[1]
    return (content[start : start + size] for start in range(0, len(content), size))
