"""Records as such: readable, with the right keys, of one size, and a mean that fits."""

from __future__ import annotations

from caffe_compat.data.record_keys import image_key, label_key
from caffe_compat.datasets import layout
from caffe_compat.datasets.check.findings import Findings, Place
from caffe_compat.datasets.check.made.folder import MadeFolder
from caffe_compat.datasets.check.made.scanning import ImageScan, LabelScan


def check_records(folder: MadeFolder, findings: Findings) -> None:
    """Every record can be read."""
    scans: list[tuple[str, ImageScan | LabelScan]] = [*folder.images.items(), *folder.labels.items()]
    for name, scan in scans:
        findings.add("unreadable_record", *(Place(name, record=bad.record, key=bad.key, detail=bad.problem)
                                            for bad in scan.bad))  # fmt: skip


def check_keys(folder: MadeFolder, findings: Findings) -> None:
    """Keys count from 0: records are joined by position, which is the place in key order."""
    for name, images in folder.images.items():
        wrong = [record for record, number in enumerate(images.numbers.tolist()) if number != record]
        findings.add("wrong_record_key", *(
            Place(name, record=record, key=images.paths[record], detail=f"expected a key {key.decode()}")
            for record, key in ((record, image_key(record, "<path>")) for record in wrong)
        ))  # fmt: skip
    for name, labels in folder.labels.items():
        findings.add("wrong_record_key", *(
            Place(name, record=record, key=key, detail=f"expected the key {expected}")
            for record, key in enumerate(labels.keys) if key != (expected := label_key(record).decode())
        ))  # fmt: skip


def check_sizes(folder: MadeFolder, findings: Findings) -> None:
    """All images of all databases are of one size: nets and the mean ask for it."""
    first = next(((name, scan.shape) for name, scan in folder.images.items() if scan.shape), None)
    if first is None:
        return
    first_name, shape = first
    findings.facts["image_shape"] = list(shape)
    for name, scan in folder.images.items():
        if scan.shape not in (None, shape):
            detail = f"{_text(scan.shape)}, in {first_name} {_text(shape)}"
            findings.add("size_differs", Place(name, detail=detail))
        for record, other in scan.other_sizes:
            detail = f"{_text(other)}, the first is {_text(scan.shape)}"
            findings.add("size_differs", Place(name, record=record, key=scan.paths[record], detail=detail))


def check_mean(folder: MadeFolder, findings: Findings) -> None:
    """The mean image has the images' size, and values that pixels can have."""
    shape = next((scan.shape for scan in folder.images.values() if scan.shape), None)
    if folder.mean is None or shape is None:
        return
    if folder.mean.shape != (1, *shape):
        detail = f"expected {_text((1, *shape))}, got {_text(folder.mean.shape)}"
        findings.add("mean_does_not_fit", Place(layout.MEAN, detail=detail))
    elif not (folder.mean.min() >= 0 and folder.mean.max() <= 255):
        findings.add("mean_does_not_fit", Place(layout.MEAN, detail="it has values outside [0, 255]"))


def _text(shape: tuple[int, ...] | None) -> str:
    return " x ".join(map(str, shape or ()))
