"""Labels that somebody looked at, to calibrate by: a random sample of those that are scored, or other images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caffe_compat.arrays import BoolArray, FloatArray
from caffe_compat.datasets.pairs import Pair
from caffe_compat.datasets.samples import NO_LABEL
from caffe_compat.errors import DataError, expected_got
from caffe_compat.evaluation.label_quality.calibration import Calibration, fit_calibration
from caffe_compat.evaluation.label_quality.known_truth import require_known_truth
from caffe_compat.evaluation.label_quality.scores_file import ScoresFile

_WIDEST_GAP = 2.25  # times the root of the sample's size: a random sample has a wider one once in 12,000 times


@dataclass(frozen=True)
class LookedAt:
    """N labels.

    Attributes:
        q_noisy: (N,) posteriors that they are right.
        is_wrong: (N,) bool, what was found.
        path: the file that they are from, for errors.
        truth: the true labels by key, where the images are among those to be calibrated; None: they are others.
    """

    q_noisy: FloatArray
    is_wrong: BoolArray
    path: str
    truth: Mapping[str, int] | None = None

    def calibration(self) -> Calibration:
        """Raises: DataError naming the file where there is nothing to fit."""
        try:
            return fit_calibration(self.q_noisy, self.is_wrong, self.truth is not None)
        except ValueError as exc:
            raise DataError(str(exc), path=self.path) from exc


def looked_at(scores: ScoresFile, decisions: Iterable[Pair], path: str) -> LookedAt:
    """Decisions about a random sample of ``scores``; ``path``: the list that they are from.

    Raises: DataError where an image is not among the scores, has another noisy label there or a clean one, so that the
        net knows the answer; and where the images cannot have been drawn at random.
    """
    truth = {key: (clean, noisy) for key, clean, noisy in decisions}
    columns = scores.arrays(["key", "noisy", "clean", "q_noisy"])
    places = {key: place for place, key in enumerate(columns["key"].tolist()) if key in truth}
    for key, (_, noisy) in truth.items():
        if key not in places:
            raise DataError(f"image {key!r} is not among the scores {scores.path}", path=path)
        if (scored := int(columns["noisy"][places[key]])) != noisy:
            problem = f"image {key!r}: {expected_got(f'the noisy label of {scores.path}, {scored}', noisy)}"
            raise DataError(problem, path=path)
        if columns["clean"][places[key]] != NO_LABEL:
            raise DataError(f"image {key!r} has a clean label: the net was told the answer", path=path)
    rows = np.array([places[key] for key in truth], np.int64)
    _check_randomness(columns["q_noisy"][columns["clean"] == NO_LABEL], columns["q_noisy"][rows], path)
    wrong = np.array([clean != noisy for clean, noisy in truth.values()], bool)
    return LookedAt(columns["q_noisy"][rows], wrong, path, {key: clean for key, (clean, _) in truth.items()})


def with_known_truth(others: ScoresFile, scores: ScoresFile) -> LookedAt:
    """The records of ``others``, of other images, whose truth is known and was kept from the net.

    Raises: DataError as ``require_known_truth``, and where it is another net than that of ``scores``.
    """
    for what, one, other in (
        ("class names", scores.info.class_names, others.info.class_names),
        ("C", scores.info.confusion, others.info.confusion),
        ("weights", Path(scores.info.weights).name, Path(others.info.weights).name),
    ):
        if one != other:
            raise DataError(f"expected scores by the net of {scores.path}, got other {what}", path=others.path)
    known = require_known_truth(others)
    return LookedAt(known.columns["q_noisy"], known.is_wrong, others.path)


def _check_randomness(everything: FloatArray, sample: FloatArray, path: str) -> None:
    """Kolmogorov and Smirnov's test: the places of a random sample in the order of all are spread evenly."""
    if not len(sample):
        return
    rising = np.sort(everything)
    first, last = (np.searchsorted(rising, np.sort(sample), side) / len(rising) for side in ("left", "right"))
    ranks = np.arange(len(sample)) / len(sample)
    gap = max(np.max(first - ranks), np.max(ranks + 1 / len(sample) - last))
    if gap * np.sqrt(len(sample)) > _WIDEST_GAP:
        raise DataError(
            f"expected labels drawn at random, got {len(sample)} of which {100 * gap:.0f}% too many lie in one part of "
            "the order of p(wrong)",
            path=path,
        )
