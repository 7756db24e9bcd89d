"""Taking near duplicates of clean images out of a noisy list: hashing, comparing, looking closely, writing.

====================  ==================================================================================================
file                  content
====================  ==================================================================================================
<the noisy list>      its name and lines, without those of near duplicates; in their order
groups.csv            which images are one picture: see ``groups.write_groups``
contact_sheet.jpg     examples, kept beside dropped
noisy_clusters.csv    (``within_noisy``) images of the noisy list that are one picture; nothing is dropped for that
report.json           numbers, thresholds, times, files that cannot be read
====================  ==================================================================================================
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from caffe_compat.datasets.near_duplicates.candidates import Candidates, faiss_library, find_candidates, without_itself
from caffe_compat.datasets.near_duplicates.groups import write_clusters, write_groups
from caffe_compat.datasets.near_duplicates.hashing import hash_libraries
from caffe_compat.datasets.near_duplicates.matching import Matches, match
from caffe_compat.datasets.near_duplicates.sheet import write_sheet
from caffe_compat.datasets.near_duplicates.sides import Side, write_lines
from caffe_compat.datasets.near_duplicates.store import Fingerprints, HashStore
from caffe_compat.datasets.near_duplicates.thresholds import Thresholds
from caffe_compat.errors import DataError
from caffe_compat.files import atomic_directory

GROUPS, SHEET, CLUSTERS, REPORT = "groups.csv", "contact_sheet.jpg", "noisy_clusters.csv", "report.json"
FORMAT, VERSION = "caffe_compat.near_duplicates", 1


@dataclass(frozen=True)
class Removal:
    """What came of it: images of either side, and what the report says."""

    dropped: int
    kept: int
    report: dict[str, Any]


def remove_near_duplicates(
    clean: Side,
    noisy: Side,
    out: Path,
    hashes: Path,
    thresholds: Thresholds,
    processes: int,
    within_noisy: bool = False,
    keep_same: bool = False,
) -> Removal:
    """Write ``out``, a folder that appears whole; the lists and images themselves are only read.

    Args:
        hashes: folder of kept fingerprints; a second call goes on with it.
        within_noisy: also report images of the noisy list that are near duplicates of each other, by hash alone.
        keep_same: noisy images whose file is that of a clean image stay: they have both labels.
    Raises: DataError if ``out`` exists, a library is missing, a side has no image that can be read, or no noisy
        image would be left.
    """
    if out.exists():
        raise DataError("exists already; remove it or give another name", path=str(out))
    same_files = _same_files(clean, noisy)
    if len(same_files) == len(noisy) and not keep_same:
        raise DataError(f"each of the {len(noisy)} images is a clean one, too: none would be left", path=noisy.lists[0])
    hash_libraries()  # hashing takes hours: what is missing is said before
    faiss_library()
    store = HashStore(hashes)
    of_clean, of_noisy = (_fingerprints(store, side, processes) for side in (clean, noisy))
    began = time.monotonic()
    found = _candidates(of_clean, of_noisy, thresholds.coarse, thresholds.candidate, processes)
    if keep_same:
        found = found[~np.isin(found["base"], same_files)]
    compared = time.monotonic()
    matches = match(found, clean, noisy, thresholds, processes)
    looked = time.monotonic()
    dropped = frozenset(matches.pairs["base"].tolist())
    kept = [line for position, line in enumerate(noisy.lines) if position not in dropped]
    if not kept:
        problem = f"each of the {len(noisy)} images is a near duplicate of a clean one: none would be left"
        raise DataError(problem, path=noisy.lists[0])
    report = {
        "format": FORMAT,
        "version": VERSION,
        "clean_images": len(clean),
        "noisy_images": len(noisy),
        "dropped": len(dropped),
        "kept": len(kept),
        "clean_images_with_duplicates": _by_list(matches, clean),
        "thresholds": asdict(thresholds),
        "candidates": len(found),
        "unreadable": _unreadable((clean, of_clean), (noisy, of_noisy)),
        "images_hashed": of_clean.hashed + of_noisy.hashed,
        "seconds": {
            "hashing": round(of_clean.seconds + of_noisy.seconds, 1),
            "comparing": round(compared - began, 1),
            "looking": round(looked - compared, 1),
        },
    }
    with atomic_directory(out) as folder:
        write_lines(folder / Path(noisy.lists[0]).name, kept)
        report["groups"] = write_groups(folder / GROUPS, matches, clean, noisy)
        write_sheet(folder / SHEET, matches, clean, noisy)
        if within_noisy:
            report["noisy_clusters"] = _cluster(folder / CLUSTERS, noisy, of_noisy, thresholds, processes)
        (folder / REPORT).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return Removal(len(dropped), len(kept), report)


def _same_files(clean: Side, noisy: Side) -> list[int]:
    """Positions of the noisy images whose file is a clean image's too."""
    files = {os.path.abspath(path) for path in clean.paths()}
    return [position for position, path in enumerate(noisy.paths()) if os.path.abspath(path) in files]


def _fingerprints(store: HashStore, side: Side, processes: int) -> Fingerprints:
    found = store.fingerprints(side.paths(), processes)
    if len(found.problems) == len(side):
        first = f"{side.path_of(side.keys[0])}: {found.problems[0]}"
        raise DataError(f"none of the {len(side)} {side.name} images can be read; the first: {first}")
    return found


def _candidates(
    of_queries: Fingerprints, of_base: Fingerprints, coarse_radius: int, fine_radius: int, processes: int
) -> Candidates:
    """``find_candidates`` among the images that can be read: the zeros of the others would match each other."""
    queries, base = of_queries.readable(), of_base.readable()
    found = find_candidates(of_queries.values[queries], of_base.values[base], coarse_radius, fine_radius, processes)
    found["query"], found["base"] = queries[found["query"]], base[found["base"]]
    return found


def _cluster(path: Path, noisy: Side, of_noisy: Fingerprints, thresholds: Thresholds, processes: int) -> int:
    pairs = _candidates(of_noisy, of_noisy, thresholds.coarse, thresholds.fine, processes)
    return write_clusters(path, without_itself(pairs), noisy)


def _by_list(matches: Matches, clean: Side) -> dict[str, int]:
    """Clean images that have duplicates, by the list they are in."""
    return dict(Counter(clean.lists[query] for query in np.unique(matches.pairs["query"]).tolist()))


def _unreadable(*sides: tuple[Side, Fingerprints]) -> list[dict[str, str]]:
    return [
        {"list": side.lists[position], "key": side.keys[position], "problem": problem}
        for side, found in sides
        for position, problem in found.problems.items()
    ]
