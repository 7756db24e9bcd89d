"""The scored labels whose truth is known and was kept from the net."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from caffe_compat.errors import DataError
from caffe_compat.evaluation.label_quality.scores_file import ScoresFile


@dataclass(frozen=True)
class KnownTruth:
    """N records that can be measured.

    Attributes:
        columns: name -> (N, ...) values of the scores file.
        is_wrong: (N,) bool, whether the noisy label differs from the truth.
        without_truth, seen_in_training: records left out: their truth is not known, or their label for training was
            a clean one, so that the net knows the answer.
    """

    columns: dict[str, np.ndarray]
    is_wrong: np.ndarray
    without_truth: int
    seen_in_training: int


def known_truth(scores: ScoresFile, columns: Sequence[str] = ()) -> KnownTruth | None:
    """The measurable records with ``columns`` and noisy, suggested, q_noisy, p_wrong, truth; None if there are none."""
    names = list(dict.fromkeys(["noisy", "suggested", "q_noisy", "p_wrong", "truth", *columns]))
    labels = scores.arrays(["truth", "clean"])
    has_truth, is_seen = labels["truth"] >= 0, labels["clean"] >= 0
    used = has_truth & ~is_seen
    if not used.any():
        return None
    values = {name: column[used] for name, column in scores.arrays(names).items()}
    return KnownTruth(
        columns=values,
        is_wrong=values["noisy"] != values["truth"],
        without_truth=int((~has_truth).sum()),
        seen_in_training=int((has_truth & is_seen).sum()),
    )


def require_known_truth(scores: ScoresFile, columns: Sequence[str] = ()) -> KnownTruth:
    """As :func:`known_truth`. Raises: DataError if no record can be measured, or all labels are right, or all wrong."""
    known = known_truth(scores, columns)
    if known is None:
        problem = "no record whose truth is known and was kept from the net; give score_labels --truth"
        raise DataError(problem, path=scores.path)
    if known.is_wrong.all() or not known.is_wrong.any():
        which = "wrong" if known.is_wrong.any() else "right"
        raise DataError(f"every known label is {which}: there is nothing to find", path=scores.path)
    return known
