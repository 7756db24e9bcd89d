"""Samples of each class in each split, and how often the noisy label is right where both labels are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from caffe_compat.datasets.check.findings import Findings, Place
from caffe_compat.label_noise.confusion import IntArray, count_pairs

_ENOUGH_PER_CLASS = 10


def count_classes(splits: Mapping[str, IntArray], names: Sequence[str], findings: Findings) -> None:
    """Put the class counts of each split, {split: {class name: samples}}, among the facts; absent classes are warned
    of. Labels outside [0, len(names)) are not counted."""
    counts = findings.facts.setdefault("class_counts", {})
    for split, labels in splits.items():
        known = labels[(labels >= 0) & (labels < len(names))]
        found = np.bincount(known, minlength=len(names)).tolist()
        counts[split] = dict(zip(class_titles(names), found, strict=True))
        absent = [f"class {label} {names[label]}".rstrip() for label, count in enumerate(found) if not count]
        if len(known):
            findings.add("absent_class", *(Place(split, detail=name) for name in absent))


def class_titles(names: Sequence[str]) -> list[str]:
    """The names of the classes, different from each other: their numbers where they have none or share one."""
    return [name if name and names.count(name) == 1 else str(label) for label, name in enumerate(names)]


def measure_label_accuracy(split: str, clean: IntArray, noisy: IntArray, num_classes: int, findings: Findings) -> None:
    """Put {pairs, right, accuracy} of the samples with both labels, (N,) each, among the facts under the split.

    Fewer right labels than guessing would give are warned of, where there are enough to tell: labels that count from 1
    look like that.
    """
    if not len(clean):
        return
    counts = count_pairs(noisy, clean, num_classes)
    right = int(np.trace(counts))
    accuracy = right / len(clean)
    of_all = findings.facts.setdefault("label_accuracy", {})
    of_all[split] = {"pairs": len(clean), "right": right, "accuracy": round(accuracy, 6)}
    if accuracy < 1 / num_classes and len(clean) >= _ENOUGH_PER_CLASS * num_classes:
        detail = f"{right} of {len(clean)} noisy labels are right"
        findings.add("low_label_accuracy", Place(split, detail=detail))
