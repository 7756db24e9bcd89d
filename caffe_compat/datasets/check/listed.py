"""What lists of image files of any layout have in common: repeats, splits, labels, files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from caffe_compat.datasets.check.decoding import MISSING, READABLE, UNREADABLE, decode_file
from caffe_compat.datasets.check.findings import Findings, Place
from caffe_compat.datasets.workers import Rate, in_processes

_KIND_OF = {MISSING: "missing_image", UNREADABLE: "unreadable_image"}


class Listed(NamedTuple):
    """One image of a list: key, label (None: malformed or not part of this list), and its line from 1."""

    key: str
    label: int | None
    line: int


def check_repeats(file: str, entries: Iterable[Listed], findings: Findings) -> None:
    """Keys that a list has more than once, with one label or with several."""
    first: dict[str, Listed] = {}
    for entry in entries:
        earlier = first.setdefault(entry.key, entry)
        if earlier is entry:
            continue
        if None not in (entry.label, earlier.label) and entry.label != earlier.label:
            detail = f"label {entry.label}, in line {earlier.line} {earlier.label}"
            findings.add("conflicting_label", Place(file, entry.line, key=entry.key, detail=detail))
        else:
            findings.add("repeated_key", Place(file, entry.line, key=entry.key, detail=f"also in line {earlier.line}"))


def check_splits(splits: Mapping[str, Sequence[Listed]], findings: Findings) -> None:
    """Keys of a list that an earlier list has too."""
    seen: dict[str, Place] = {}
    for file, entries in splits.items():
        for entry in entries:
            if (earlier := seen.get(entry.key)) is not None and earlier.file != file:
                detail = f"also in {earlier.file}:{earlier.line}"
                findings.add("key_in_two_splits", Place(file, entry.line, key=entry.key, detail=detail))
        seen.update((entry.key, Place(file, entry.line)) for entry in entries)


def check_labels(
    file: str, entries: Iterable[Listed], lowest: int, num_classes: int | None, findings: Findings
) -> None:
    """Labels below ``lowest`` or, where the number of classes is known, not below that."""
    for entry in entries:
        too_high = num_classes is not None and entry.label is not None and entry.label >= num_classes
        if entry.label is not None and (entry.label < lowest or too_high):
            wanted = f"{lowest} or more" if num_classes is None else f"[{lowest}, {num_classes})"
            detail = f"label {entry.label} is not in {wanted}"
            findings.add("label_out_of_range", Place(file, entry.line, key=entry.key, detail=detail))


def check_files(
    splits: Mapping[str, Sequence[Listed]],
    image_path: Callable[[str], Path],
    decode: bool,
    processes: int,
    findings: Findings,
) -> None:
    """Whether every image is there and, with ``decode``, can be decoded; a key that several lists have is read once."""
    places: dict[str, Place] = {}
    for file, entries in splits.items():
        for entry in entries:
            places.setdefault(entry.key, Place(file, entry.line, key=entry.key))
    if not decode:
        missing = (place for key, place in places.items() if not image_path(key).is_file())
        findings.add("missing_image", *missing)
        return
    decode_listed(places, image_path, processes, findings)


def decode_listed(
    places: Mapping[str, Place], image_path: Callable[[str], Path], processes: int, findings: Findings
) -> None:
    """Decode the image of every key, in worker processes; ``places``: key -> where it is listed."""
    rate = Rate("Decoded", len(places), "images")
    results = in_processes(decode_file, (str(image_path(key)) for key in places), processes)
    sizes: set[tuple[int, int]] = set()
    for place, result in zip(places.values(), results, strict=True):
        rate.add(1)
        if result.size is not None:
            sizes.add(result.size)
        if result.state != READABLE:
            findings.add(_KIND_OF[result.state], place._replace(detail=result.detail))
    findings.facts["images_decoded"] = len(places)
    findings.facts["image_sizes"] = len(sizes)
