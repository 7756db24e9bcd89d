"""C, the pairs it was estimated from, and the noise types that follow from it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from caffe_compat.arrays import FloatArray
from caffe_compat.datasets import layout
from caffe_compat.datasets.check.findings import Findings, Place
from caffe_compat.datasets.check.made.folder import TYPED, MadeFolder
from caffe_compat.errors import expected_got
from caffe_compat.label_noise.confusion import PairsEstimate, estimate_confusion

_SUM_TOLERANCE = 1e-4  # of a column, as the layer asks for
_SAME = 1e-6  # float32 of a number in [0, 1]


def check_form(folder: MadeFolder, findings: Findings) -> None:
    """C is (1, 1, L, L), not negative, zero on the diagonal; a column sums to 1 or is all zero."""
    if folder.confusion is not None:
        findings.add("wrong_confusion", *(Place(layout.CONFUSION, detail=fault) for fault in _faults(folder)))


def _faults(folder: MadeFolder) -> Iterator[str]:
    stored = folder.confusion
    assert stored is not None
    size = folder.num_classes or stored.shape[-1]
    if stored.shape != (1, 1, size, size):
        yield f"expected shape (1, 1, {size}, {size}), got {stored.shape}"
        return
    matrix = stored[0, 0].astype(np.float64)
    if not np.all(np.isfinite(matrix)) or matrix.min() < 0:
        yield "it has entries that are negative or no numbers"
        return
    for label in np.flatnonzero(np.diag(matrix)).tolist():
        yield f"class {label}: expected 0 on the diagonal, got {matrix[label, label]:.6g}"
    sums = matrix.sum(axis=0)
    for label in np.flatnonzero((sums != 0) & (np.abs(sums - 1) > _SUM_TOLERANCE)).tolist():
        yield f"column {label} (true class): expected the sum 1, or 0, got {sums[label]:.6g}"
    if folder.confusion_npy is not None and not _agree(folder.confusion_npy, matrix):
        yield f"{layout.CONFUSION_NPY} holds another matrix"


def check_estimate(folder: MadeFolder, findings: Findings) -> None:
    """C estimated anew from the pairs is C."""
    matrix = _matrix(folder)
    if matrix is None or not folder.pairs:
        return
    again = _estimate(folder, len(matrix)).confusion
    differences = np.abs(again - matrix).max(axis=0)
    for label in np.flatnonzero(~(differences <= _SAME)).tolist():
        detail = f"column {label} (true class) differs from the pairs' by {differences[label]:.3g}"
        findings.add("confusion_not_of_pairs", Place(layout.CONFUSION, detail=detail))


def check_noise_types(folder: MadeFolder, findings: Findings) -> None:
    """The noise types of the pairs follow from C, and the databases have the types of the table."""
    matrix = _matrix(folder)
    if folder.noise_types is None:
        return
    if matrix is not None and folder.pairs:
        table = _estimate(folder, len(matrix)).noise_type_table
        for key, clean, noisy in folder.pairs:
            given = folder.noise_types.get(key)
            if given is not None and given != table[noisy, clean]:
                wanted = f"{table[noisy, clean]} for the labels {noisy} (noisy) and {clean} (clean)"
                detail = expected_got(wanted, given)
                findings.add("wrong_noise_type", Place(layout.NOISE_TYPES, key=key, detail=detail))
    for name in TYPED:
        if (scan := folder.images.get(name)) is None:
            continue
        for record, (path, label) in enumerate(zip(scan.paths, scan.labels.tolist(), strict=True)):
            if (given := folder.noise_types.get(path)) != label:
                detail = expected_got(f"{given}, as {layout.NOISE_TYPES} says", label)
                findings.add("wrong_noise_type", Place(name, record=record, key=path, detail=detail))


def _matrix(folder: MadeFolder) -> FloatArray | None:
    """C as (L, L), if it has the right form for the number of classes."""
    size = folder.num_classes
    if folder.confusion is None or folder.confusion.shape != (1, 1, size, size):
        return None
    return folder.confusion[0, 0].astype(np.float64)


def _estimate(folder: MadeFolder, num_classes: int) -> PairsEstimate:
    pairs = folder.pairs or []
    return estimate_confusion([noisy for *_, noisy in pairs], [clean for _, clean, _ in pairs], num_classes)


def _agree(one: FloatArray, other: FloatArray) -> bool:
    return one.shape == other.shape and bool(np.all(np.abs(one - other) <= _SAME))
