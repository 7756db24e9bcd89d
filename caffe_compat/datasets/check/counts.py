"""Samples of each class in each split, and how often the noisy label is right where both labels are known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from caffe_compat.arrays import IntArray
from caffe_compat.datasets.check.findings import Findings, Place
from caffe_compat.label_noise.confusion import count_pairs

_ENOUGH_PER_CLASS = 10


def count_classes(splits: Mapping[str, IntArray], names: Mapping[int, str], findings: Findings) -> None:
    """Put the class counts of each split, {split: {class name: samples}}, among the facts; absent classes are warned
    of.

    Args:
        names: of each label; "" where it has none. Labels that it lacks are not counted.
    """
    counts = findings.facts.setdefault("class_counts", {})
    titles = class_titles(names)
    for split, labels in splits.items():
        values, times = np.unique(labels, return_counts=True)
        found = dict(zip(values.tolist(), times.tolist(), strict=True))
        counts[split] = {titles[label]: found.get(label, 0) for label in names}
        absent = [f"class {label} {name}".rstrip() for label, name in names.items() if label not in found]
        if len(absent) < len(names):
            findings.add("absent_class", *(Place(split, detail=name) for name in absent))


def class_titles(names: Mapping[int, str]) -> dict[int, str]:
    """The names of the classes, different from each other: their labels where they have none or share one."""
    times = Counter(names.values())
    return {label: name if name and times[name] == 1 else str(label) for label, name in names.items()}


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
