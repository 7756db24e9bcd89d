"""The mixed set in step: images, index and label databases are joined by position alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from caffe_compat.data.group import describe
from caffe_compat.datasets import layout
from caffe_compat.datasets.check.findings import Findings, Place
from caffe_compat.datasets.check.made.folder import MadeFolder
from caffe_compat.datasets.check.made.labels import mixed_columns
from caffe_compat.datasets.mixing import ALL_LABELS
from caffe_compat.datasets.samples import NO_LABEL


def check_parts(folder: MadeFolder, findings: Findings) -> None:
    """Where there is a part of the mixed set, there are all labels; ``check_presence`` looks for the images."""
    if any((folder.root / name).exists() for name in (layout.MIXED_IMAGES, *ALL_LABELS)):
        findings.add("missing_database", *(Place(name) for name in ALL_LABELS if not (folder.root / name).exists()))


def check_lengths(folder: MadeFolder, findings: Findings) -> None:
    """Every label database has a record for each one read."""
    wanted = _records(folder)
    if wanted is None:
        return
    source = layout.MIXED_IMAGES if folder.index is None else layout.MIXED_INDEX
    for name, labels in folder.labels.items():
        if len(labels.labels) != wanted:
            detail = f"{len(labels.labels)} records, {source} has {wanted}"
            findings.add("records_out_of_step", Place(name, detail=detail))


def check_index(folder: MadeFolder, findings: Findings) -> None:
    """The index points at images, and at each noisy one; drawing may leave out clean ones, which is no fault."""
    if folder.index is None or layout.MIXED_IMAGES not in folder.images:
        return
    paths = folder.images[layout.MIXED_IMAGES].paths
    outside = np.flatnonzero((folder.index < 0) | (folder.index >= len(paths)))
    findings.add("index_out_of_range", *(
        Place(layout.MIXED_INDEX, record=record, detail=f"{folder.index[record]} of {len(paths)} images")
        for record in outside.tolist()
    ))  # fmt: skip
    is_read = np.zeros(len(paths), bool)
    is_read[folder.mixed_order()] = True
    side_of = _sides(folder)
    unread = {record: side_of(record) for record in np.flatnonzero(~is_read).tolist()}
    if not_drawn := sum(side == "clean" for side in unread.values()):
        findings.facts["clean_images_not_drawn"] = not_drawn
    findings.add("unread_image", *(
        Place(layout.MIXED_IMAGES, record=record, key=paths[record], detail=side)
        for record, side in unread.items() if side != "clean"
    ))  # fmt: skip


def _sides(folder: MadeFolder) -> Callable[[int], str]:
    """Record of the mixed images -> "clean", "noisy", or "" where that cannot be told.

    By the clean images' own database or, without one, by the labels of the records that are read: our tools store the
    clean images first.
    """
    paths = folder.images[layout.MIXED_IMAGES].paths
    if (clean := folder.images.get(layout.CLEAN_TRAIN)) is not None:
        clean_paths = frozenset(clean.paths)
        return lambda record: "clean" if paths[record] in clean_paths else "noisy"
    labels, index = mixed_columns(folder).get(layout.MIXED_CLEAN_LABELS), folder.index
    if labels is None or index is None or len(labels) != len(index):
        return lambda record: ""
    last_clean = index[labels != NO_LABEL].max(initial=-1)
    first_noisy = index[labels == NO_LABEL].min(initial=len(paths))
    if last_clean > first_noisy:
        return lambda record: ""
    return lambda record: "clean" if record < last_clean else "noisy" if record > first_noisy else ""


def check_groups(folder: MadeFolder, findings: Findings) -> None:
    """The side files are there, agree, and tell of the records that are really there, in their real order."""
    carriers = [layout.MIXED_INDEX if folder.index is not None else layout.MIXED_IMAGES, *ALL_LABELS]
    present = [name for name in carriers if (folder.root / name).exists()]
    findings.add("missing_group", *(Place(name) for name in present if name not in folder.groups))
    order = folder.mixed_order()
    if order is None:
        return
    paths = folder.images[layout.MIXED_IMAGES].paths
    for name in present:
        if (said := folder.groups.get(name)) is None:
            continue
        found = describe(said.group, (paths[position] for position in order.tolist()))
        if said.records != found.records:
            findings.add("group_differs", Place(name, detail=f"its side file tells of {said.records} records, "
                                                             f"{found.records} are read"))  # fmt: skip
        elif said != found:
            findings.add("group_differs", Place(name, detail="made for images in another order"))


def _records(folder: MadeFolder) -> int | None:
    """Number of records in reading order."""
    if folder.index is not None:
        return len(folder.index)
    scan = folder.images.get(layout.MIXED_IMAGES)
    return None if scan is None else len(scan.paths)
