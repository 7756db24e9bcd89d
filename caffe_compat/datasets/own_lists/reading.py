"""Reading one's own lists: "path label" a line, a list a split; what contradicts or leaks is refused."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from pathlib import Path

from caffe_compat.data.image_list import read_classes
from caffe_compat.datasets.additions import read_additions
from caffe_compat.datasets.class_names import read_names
from caffe_compat.datasets.pairs import read_all_pairs
from caffe_compat.errors import DataError, expected_got

logger = logging.getLogger("caffe_compat")

FEWEST_PAIRS = 5  # of which one is held out when p(z|x) is trained

Labels = Mapping[str, int]  # path, as the lists have it -> label


@dataclass(frozen=True)
class Files:
    """The files that are read.

    Attributes:
        pairs: key,clean,noisy: noisy labels of clean images that the noisy list lacks.
        additions: key,clean,noisy of images in the noisy list that a person has looked at (apply_decisions): they are
            clean images, but C is not estimated from them, as they were chosen because they looked wrong.
        names: class names; None: the classes are numbered, as many as the labels need.
    """

    clean: Path
    noisy: Path
    test: Path
    val: Path | None = None
    pairs: Path | None = None
    additions: Path | None = None
    names: Path | None = None


@dataclass(frozen=True)
class Lists:
    """What they say; no image is in two of clean, val, test and noisy.

    Attributes:
        noisy: images with a noisy label alone.
        noisy_of_clean, noisy_of_val: the noisy labels of clean and of validation images. The latter only measure.
    """

    names: Sequence[str]
    clean: Labels
    val: Labels
    test: Labels
    noisy: Labels
    noisy_of_clean: Labels
    noisy_of_val: Labels

    def images(self) -> Iterator[str]:
        """Every image once."""
        return chain(self.clean, self.val, self.test, self.noisy)


def read_lists(files: Files) -> Lists:
    """Read the lists. A clean image that is in the noisy list too has both labels; held-out ones leave that list.

    Raises: DataError naming the file (and line) for a label that is no class, two labels of one image, an image in two
        of the clean, validation and test list, a file that is two of them, or fewer than FEWEST_PAIRS clean images with
        a noisy label.
    """
    _check_files(files)
    labels = {path: _labels(path) for path in (files.clean, files.noisy, files.test, files.val) if path is not None}
    clean, noisy, test = labels[files.clean], labels[files.noisy], labels[files.test]
    val = labels[files.val] if files.val is not None else {}
    names = _names(files, labels)
    _check_splits({files.clean: clean, files.test: test} | ({files.val: val} if files.val is not None else {}))
    noisy_of_clean = {path: noisy[path] for path in clean if path in noisy}
    if files.pairs is not None:
        noisy_of_clean |= _noisy_of_clean(files.pairs, clean, noisy_of_clean, len(names))
    if len(noisy_of_clean) < FEWEST_PAIRS:
        wanted = f"{FEWEST_PAIRS} or more images of {files.clean} in it, or their noisy labels in --pairs"
        problem = f"C is estimated from images with both labels: {expected_got(wanted, len(noisy_of_clean))}"
        if not noisy_of_clean:
            problem += f" (they name images differently: {next(iter(clean))!r} there, {next(iter(noisy))!r} here?)"
        raise DataError(problem, path=str(files.noisy))
    if len(clean) > len(noisy):
        logger.warning("%s has more images than %s: are clean and noisy list swapped?", files.clean, files.noisy)
    rest = {path: label for path, label in noisy.items() if path not in clean and path not in val and path not in test}
    held_out = len(noisy) - len(rest) - sum(path in noisy for path in clean)
    if held_out:
        logger.info("%s: %d validation and test images left out", files.noisy, held_out)
    if files.additions is not None:
        looked_at = read_additions(files.additions, rest, len(names))
        clean = {**clean, **{path: label for path, (label, _) in looked_at.items()}}
        rest = {path: label for path, label in rest.items() if path not in clean}
    if not rest:
        raise DataError("no image in it that is in none of the other lists", path=str(files.noisy))
    noisy_of_val = {path: noisy[path] for path in val if path in noisy}
    return Lists(names, clean, val, test, rest, noisy_of_clean, noisy_of_val)


def _check_files(files: Files) -> None:
    lists = {"clean": files.clean, "noisy": files.noisy, "test": files.test, "val": files.val}
    given = {name: path.resolve() for name, path in lists.items() if path is not None}
    for one, other in combinations(given, 2):
        if given[one] == given[other]:
            raise DataError(f"given as the {one} list and as the {other} list", path=str(lists[other]))


def _labels(path: Path) -> Labels:
    entries = read_classes(path, skip_blank=True)
    labels: dict[str, int] = {}
    for entry in entries:
        if (before := labels.setdefault(entry.path, entry.label)) != entry.label:
            problem = f"the image {entry.path!r} has the label {before} in an earlier line"
            raise DataError(problem, path=f"{path}:{entry.line}")
    if len(entries) > len(labels):
        logger.warning("%s: %d line(s) again, used once", path, len(entries) - len(labels))
    return labels


def _names(files: Files, labels: Mapping[Path, Labels]) -> Sequence[str]:
    if files.names is not None:
        names = read_names(files.names)
        if len(names) < 2:
            raise DataError(expected_got("at least two class names, one a line", len(names)), path=str(files.names))
        _check_below(len(names), f"as there are names in {files.names}", labels)
        return names
    # A class has a clean image; a mistyped label shall not make a million classes of itself.
    _check_below(len(labels[files.clean]), f"the images of {files.clean}: give --names for more classes", labels)
    highest = max(max(of_list.values()) for of_list in labels.values())
    return [f"class {label}" for label in range(max(2, highest + 1))]


def _check_below(most: int, what: str, labels: Mapping[Path, Labels]) -> None:
    for path, of_list in labels.items():
        for image, label in of_list.items():
            if label >= most:
                line = next(entry.line for entry in read_classes(path, skip_blank=True) if entry.path == image)
                problem = f"{image!r}: {expected_got(f'labels below {most}, {what}', label)}"
                raise DataError(problem, path=f"{path}:{line}")


def _check_splits(splits: Mapping[Path, Labels]) -> None:
    for (one, images), (other, others) in combinations(splits.items(), 2):
        if both := images.keys() & others.keys():
            problem = f"{len(both)} image(s) are in {one} too, the first by name: {min(both)!r}; take them out of one"
            raise DataError(problem, path=str(other))


def _noisy_of_clean(path: Path, clean: Labels, known: Labels, num_classes: int) -> Labels:
    found = {}
    for image, (clean_label, noisy_label) in read_all_pairs(path, num_classes).items():
        if image not in clean:
            continue
        _check_same(path, image, "clean", clean[image], clean_label)
        _check_same(path, image, "noisy", known.get(image, noisy_label), noisy_label)
        found[image] = noisy_label
    return found


def _check_same(path: Path, image: str, kind: str, in_list: int, here: int) -> None:
    if in_list != here:
        raise DataError(f"{image!r}: {expected_got(f'the {kind} label of the list, {in_list}', here)}", path=str(path))


def without(lists: Lists, images: Collection[str]) -> Lists:
    """The lists without these images."""

    def kept(labels: Labels) -> Labels:
        return {path: label for path, label in labels.items() if path not in images}

    parts = (lists.clean, lists.val, lists.test, lists.noisy, lists.noisy_of_clean, lists.noisy_of_val)
    return Lists(lists.names, *(kept(labels) for labels in parts))
