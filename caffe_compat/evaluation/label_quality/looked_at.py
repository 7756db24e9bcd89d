"""Labels that somebody looked at, to calibrate by: a random sample of those that are scored, or other images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from caffe_compat.arrays import BoolArray, FloatArray
from caffe_compat.datasets.pairs import Pair
from caffe_compat.datasets.samples import NO_LABEL
from caffe_compat.errors import DataError, expected_got
from caffe_compat.evaluation.label_quality.calibration import Calibration, fit_calibration
from caffe_compat.evaluation.label_quality.known_truth import require_known_truth
from caffe_compat.evaluation.label_quality.scores_file import ScoresFile

_MOST_DEVIATION = 4.0  # standard deviations of the mean rank of a random sample: once in 16,000


@dataclass(frozen=True)
class LookedAt:
    """N labels.

    Attributes:
        q_noisy: (N,) posteriors that they are right.
        is_wrong: (N,) bool, what was found.
        path: the file of the scores, for errors.
        truth: the true labels by key, where the images are among those to be calibrated.
    """

    q_noisy: FloatArray
    is_wrong: BoolArray
    path: str
    truth: Mapping[str, int] = field(default_factory=dict)

    def calibration(self) -> Calibration:
        """Raises: DataError naming the file where there is nothing to fit."""
        try:
            return fit_calibration(self.q_noisy, self.is_wrong)
        except ValueError as exc:
            raise DataError(str(exc), path=self.path) from exc


def looked_at(scores: ScoresFile, decisions: Iterable[Pair]) -> LookedAt:
    """Decisions about a random sample of ``scores``.

    Raises: DataError where an image is not among the scores, has another noisy label there or a clean one, so that the
        net knows the answer; and where the images cannot have been drawn at random.
    """
    truth = {key: (clean, noisy) for key, clean, noisy in decisions}
    columns = scores.arrays(["key", "noisy", "clean", "q_noisy"])
    places = {key: place for place, key in enumerate(columns["key"].tolist()) if key in truth}
    for key, (_, noisy) in truth.items():
        if key not in places:
            raise DataError(f"image {key!r}, which was decided, is not among the scores", path=scores.path)
        if (scored := int(columns["noisy"][places[key]])) != noisy:
            problem = f"image {key!r}: {expected_got(f'the noisy label {noisy} that was looked at', scored)}"
            raise DataError(problem, path=scores.path)
        if columns["clean"][places[key]] != NO_LABEL:
            raise DataError(f"image {key!r} has a clean label: the net was told the answer", path=scores.path)
    rows = np.array([places[key] for key in truth], np.int64)
    _check_randomness(columns["q_noisy"][columns["clean"] == NO_LABEL], columns["q_noisy"][rows], scores.path)
    wrong = np.array([clean != noisy for clean, noisy in truth.values()], bool)
    return LookedAt(columns["q_noisy"][rows], wrong, scores.path, {key: clean for key, (clean, _) in truth.items()})


def with_known_truth(scores: ScoresFile) -> LookedAt:
    """The records of ``scores``, of other images, whose truth is known and was kept from the net.

    Raises: DataError as ``require_known_truth``.
    """
    known = require_known_truth(scores)
    return LookedAt(known.columns["q_noisy"], known.is_wrong, scores.path)


def _check_randomness(everything: FloatArray, sample: FloatArray, path: str) -> None:
    """The mean rank of a random sample is about the middle; that of the surest errors is not."""
    if not len(sample):
        return
    rising = np.sort(everything)
    both = np.searchsorted(rising, sample, "left") + np.searchsorted(rising, sample, "right")
    rank = float(np.mean(both / (2 * len(rising))))
    deviation = (rank - 0.5) * np.sqrt(12 * len(sample))
    if abs(deviation) > _MOST_DEVIATION:
        which = "wrong" if deviation < 0 else "right"
        raise DataError(
            f"expected labels drawn at random, got {len(sample)} that look {which} more often than the others: "
            f"their mean place in the order of p(wrong) is {100 * (1 - rank):.0f}%, not about 50%",
            path=path,
        )
