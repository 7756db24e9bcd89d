"""What a folder has to have before a net can be trained from it."""

from __future__ import annotations

from caffe_compat.datasets import layout
from caffe_compat.datasets.check.findings import Findings, Place
from caffe_compat.datasets.check.made.folder import MadeFolder

_EXPECTED = (
    layout.CLEAN_TRAIN, layout.TEST, layout.NTYPE_TRAIN, layout.MIXED_IMAGES,
    layout.MEAN, layout.CONFUSION, layout.PAIRS, layout.NAMES,
)  # fmt: skip


def check_presence(folder: MadeFolder, findings: Findings) -> None:
    """There is something to train on; and what every importer makes is there."""
    absent = [name for name in _EXPECTED if not (folder.root / name).exists()]
    if layout.CLEAN_TRAIN in absent and layout.MIXED_IMAGES in absent:
        detail = f"neither {layout.CLEAN_TRAIN} nor {layout.MIXED_IMAGES}"
        findings.add("no_training_set", Place(str(folder.root), detail=detail))
    findings.add("missing_part", *(Place(name) for name in absent))
