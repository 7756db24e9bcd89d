"""Leaving out of the lists what cannot or must not be used, and saying so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from caffe_compat.datasets.clothing1m.lists import NOISY_TRAIN, TEST, TRAIN, VAL, Lists, key_list_file
from caffe_compat.datasets.clothing1m.problems import Problem
from caffe_compat.datasets.image_files import ImageFiles


def usable(lists: Lists, image_path: Callable[[str], Path]) -> tuple[Lists, list[Problem]]:
    """The lists without the keys that cannot be used, and why those cannot.

    A key goes when it has no label of the list's kind, when its image is missing, when it is listed a second time,
    and when it would carry a held-out image into training: a noisy key that has a clean label at all, a training
    key that is also a validation or test key.
    """
    exists = ImageFiles(image_path)
    keys, problems = {}, []
    for name, listed in lists.keys.items():
        kept = list(dict.fromkeys(listed))
        if len(kept) < len(listed):
            what = f"key(s) more than once in {key_list_file(name)}"
            problems.append(Problem("repeated_key", key_list_file(name), what, _repeated(listed)))
        for kind, reason, is_unusable in _reasons(lists, name, exists):
            if dropped := [key for key in kept if is_unusable(key)]:
                what = f"key(s) of {key_list_file(name)} {reason}"
                problems.append(Problem(kind, key_list_file(name), what, dropped))
                gone = set(dropped)
                kept = [key for key in kept if key not in gone]
        keys[name] = kept
    return replace(lists, keys=keys), problems


def _reasons(lists: Lists, name: str, exists: ImageFiles) -> Iterator[tuple[str, str, Callable[[str], bool]]]:
    labels = lists.noisy if name == NOISY_TRAIN else lists.clean
    yield "unlabelled_key", "without a label", lambda key: key not in labels
    if name == NOISY_TRAIN:
        yield "clean_key_in_noisy_list", "with a clean label", lambda key: key in lists.clean
    if name in (TRAIN, VAL):
        held_out = {*lists.keys[TEST], *(lists.keys[VAL] if name == TRAIN else ())}
        reason = "that are also held out for validation or test"
        yield "key_in_two_splits", reason, lambda key: key in held_out
    yield "missing_image", "without an image file", lambda key: key not in exists


def _repeated(keys: list[str]) -> list[str]:
    seen: set[str] = set()
    return [key for key in keys if key in seen or seen.add(key)]  # type: ignore[func-returns-value]
