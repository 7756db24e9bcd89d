"""Which images Fig. 7 shows: by rule, so that nobody picks those that flatter."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from caffe_compat.arrays import BoolArray, IntArray
from caffe_compat.evaluation.label_quality.scores_file import TYPES


def choose_records(
    scores: Mapping[str, np.ndarray], eligible: BoolArray, per_group: int = 4
) -> list[tuple[str, IntArray]]:
    """(title, positions of its records) of each group: the first ones by each noise type's p(z|x), and the corrections
    that the posterior is surest of. No record comes twice; equal scores: the earlier record.

    Args:
        scores: the columns of a file of label scores, (N,) each.
        eligible: (N,) bool, the records to choose from.
    """
    corrected = scores["suggested"] != scores["noisy"]
    groups = [(f"p(z = {kind} | image) highest", scores[f"p_type_{kind}"], eligible) for kind in TYPES]
    groups.append(("another label suggested, surest first", scores["q_suggested"], eligible & corrected))
    left = np.ones(len(eligible), dtype=bool)
    chosen = []
    for title, score, among in groups:
        candidates = np.flatnonzero(among & left)
        first = candidates[np.argsort(-score[candidates], kind="stable")[:per_group]]
        left[first] = False
        chosen.append((title, first))
    return chosen
