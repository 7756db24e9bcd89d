"""Labels in range, -1 where they have to be, and the same for one image wherever it is stored."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from caffe_compat.arrays import IntArray
from caffe_compat.datasets import layout
from caffe_compat.datasets.check.findings import Findings, Place
from caffe_compat.datasets.check.made.folder import LABELLED, TYPED, MadeFolder
from caffe_compat.datasets.pairs import NUM_NOISE_TYPES
from caffe_compat.datasets.samples import NO_LABEL
from caffe_compat.label_noise.confusion import NOISE_FREE


def check_ranges(folder: MadeFolder, findings: Findings) -> None:
    """Labels are whole numbers: [0, L), noise types [0, 3), -1 only in the mixed set's label databases."""
    no_limit = 2**31
    classes = folder.num_classes or no_limit
    for name, scan in folder.images.items():
        if name == layout.MIXED_IMAGES:
            continue
        highest = NUM_NOISE_TYPES if name in TYPED else classes
        for record in np.flatnonzero((scan.labels < 0) | (scan.labels >= highest)).tolist():
            detail = f"label {scan.labels[record]} is not in [0, {highest})"
            findings.add("label_out_of_range", Place(name, record=record, key=scan.paths[record], detail=detail))
    for name, labels in folder.labels.items():
        highest = NUM_NOISE_TYPES if name == layout.MIXED_NTYPE_LABELS else classes
        lowest = 0 if name == layout.MIXED_TRUTH_LABELS else NO_LABEL
        values = labels.labels
        right = (values >= lowest) & (values < highest) & (values == np.floor(values))
        for record in np.flatnonzero(~right & ~np.isnan(values)).tolist():
            detail = f"label {values[record]:g} is not in [{lowest}, {highest})"
            findings.add("label_out_of_range", Place(name, record=record, detail=detail))


def check_mixed_labels(folder: MadeFolder, findings: Findings) -> None:
    """The four labels of a record of the mixed set go together."""
    columns = mixed_columns(folder)
    for name, wrong, detail in _contradictions(columns):
        findings.add("inconsistent_label", *(Place(name, record=record, detail=detail)
                                             for record in np.flatnonzero(wrong).tolist()))  # fmt: skip


def _contradictions(columns: dict[str, IntArray]) -> Iterator[tuple[str, np.ndarray, str]]:
    """Database, which of its records contradict others (N,) bool, and what is wrong with them."""
    names = (layout.MIXED_CLEAN_LABELS, layout.MIXED_NOISY_LABELS)
    if not all(name in columns for name in names):
        return
    clean, noisy = (columns[name] for name in names)
    yield layout.MIXED_NOISY_LABELS, (clean == NO_LABEL) & (noisy == NO_LABEL), "neither a clean nor a noisy label"
    if (truth := columns.get(layout.MIXED_TRUTH_LABELS)) is not None:
        wanted = np.where(clean == NO_LABEL, noisy, clean)
        yield layout.MIXED_TRUTH_LABELS, truth != wanted, "not the clean label, or the noisy one where there is none"
    if (ntype := columns.get(layout.MIXED_NTYPE_LABELS)) is not None:
        yield layout.MIXED_NTYPE_LABELS, (ntype != NO_LABEL) & (clean == NO_LABEL), "a noise type, but no clean label"
        both = (ntype != NO_LABEL) & (clean != NO_LABEL) & (noisy != NO_LABEL)
        free = both & ((ntype == NOISE_FREE) != (clean == noisy))
        yield layout.MIXED_NTYPE_LABELS, free, "noise free exactly where clean and noisy label agree: here not"


def check_same_image(folder: MadeFolder, findings: Findings) -> None:
    """An image that is in the mixed set and in another database has the same label in both."""
    order, columns = folder.mixed_order(), mixed_columns(folder)
    if order is None or any(len(column) != len(order) for column in columns.values()):
        return  # out of step: another check's finding
    mixed_paths = folder.images[layout.MIXED_IMAGES].paths
    for column_name, databases in ((layout.MIXED_CLEAN_LABELS, LABELLED), (layout.MIXED_NTYPE_LABELS, TYPED)):
        if column_name not in columns:
            continue
        known = _labels_by_path(folder, databases)
        for record, position in enumerate(order.tolist()):
            label, path = int(columns[column_name][record]), mixed_paths[position]
            if label != NO_LABEL and path in known and known[path][1] != label:
                detail = f"label {label}, in {known[path][0]} {known[path][1]}"
                findings.add("inconsistent_label", Place(column_name, record=record, key=path, detail=detail))


def mixed_columns(folder: MadeFolder) -> dict[str, IntArray]:
    """The label databases of the mixed set as whole numbers (N,), those that are as long as the longest; a label that
    is none counts as -1."""
    longest = max((len(scan.labels) for scan in folder.labels.values()), default=0)
    return {
        name: np.nan_to_num(scan.labels, nan=NO_LABEL).astype(np.int64)
        for name, scan in folder.labels.items()
        if len(scan.labels) == longest
    }


def _labels_by_path(folder: MadeFolder, databases: tuple[str, ...]) -> dict[str, tuple[str, int]]:
    return {
        path: (name, label)
        for name in databases
        if (scan := folder.images.get(name)) is not None
        for path, label in zip(scan.paths, scan.labels.tolist(), strict=True)
    }
