"""Finding wrong labels: the posterior of the noise model against cleanlab, on the same predictions and records.

cleanlab gets p(y|x) and the noisy labels; the noise model's posterior is the same p(y|x) with p(z|x), C and Eq. 5. So
the comparison is of two ways to use one trained net, not of two trainings.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from caffe_compat.errors import CaffeCompatError
from caffe_compat.evaluation.label_quality.known_truth import KnownTruth, require_known_truth
from caffe_compat.evaluation.label_quality.scores_file import ScoresFile
from caffe_compat.evaluation.metrics import auroc, average_precision, expected_calibration_error, reliability
from caffe_compat.files import atomic_directory

OURS = "ours: p_wrong"
QUALITY_METHODS = ("self_confidence", "normalized_margin")
FILTERS = ("prune_by_noise_rate", "confident_learning")


def compare_with_cleanlab(scores: ScoresFile) -> dict[str, Any]:
    """Average precision and AUROC of rankings; precision and recall of yes-or-no answers. In JSON's types.

    Beside them, the calibration error of p(wrong) with and without the noise model, and the share of right labels among
    those given, suggested, and most probable for the image alone. Precision at cleanlab's number of answers is given
    for our ranking too, so that both look at as many labels.

    Raises: DataError if ``scores`` lacks the probabilities of all classes or measurable records; CaffeCompatError
        without cleanlab.
    """
    rank, filters = _cleanlab()
    scores.labels_of_all_classes()
    known = require_known_truth(scores, ["p_true"])
    probabilities, labels = known.columns["p_true"].astype(np.float64), known.columns["noisy"]
    probabilities /= probabilities.sum(1, keepdims=True)
    rankings = {OURS: -known.columns["q_noisy"]}
    for method in QUALITY_METHODS:
        rankings[f"cleanlab: {method}"] = -rank.get_label_quality_scores(labels, probabilities, method=method)
    answers = {"ours: suggested label differs": known.columns["suggested"] != labels}
    for name in FILTERS:
        answers[f"cleanlab: {name}"] = filters.find_label_issues(labels, probabilities, filter_by=name, n_jobs=1)
    p_noisy = probabilities[np.arange(len(labels)), labels]
    suggestions = {"given": labels, "suggested": known.columns["suggested"], "p(y|x)": probabilities.argmax(1)}
    return {
        "records": len(labels),
        "wrong labels": int(known.is_wrong.sum()),
        "left out": {"truth not known": known.without_truth, "clean label in training": known.seen_in_training},
        "rankings": {name: _ranking(values, known) for name, values in rankings.items()},
        "calibration error": {
            OURS: _calibration_error(1 - known.columns["q_noisy"], known),  # as the net has it, not calibrated
            "1 - p(noisy label | x)": _calibration_error((1 - p_noisy).clip(0, 1), known),
        },
        "right labels": {
            name: round(float((found == known.columns["truth"]).mean()), 4) for name, found in suggestions.items()
        },
        "answers": {name: _answer(found, rankings[OURS], known) for name, found in answers.items()},
    }


def export_for_cleanlab(scores: ScoresFile, folder: str | os.PathLike[str]) -> None:
    """Write ``pred_probs.npy`` (N, L) float32, p(y|x); ``labels.npy`` (N,) int64; ``keys.txt``, one key a line.

    Raises: DataError if ``scores`` lacks the probabilities of all classes; FileExistsError if ``folder`` exists.
    """
    probabilities = scores.labels_of_all_classes()["p_true"]
    columns = scores.arrays(["key", "noisy"])
    with atomic_directory(folder) as part:
        np.save(part / "pred_probs.npy", probabilities)
        np.save(part / "labels.npy", columns["noisy"])
        (part / "keys.txt").write_text("".join(f"{key}\n" for key in columns["key"]), encoding="utf-8")


def _ranking(suspicion: np.ndarray, known: KnownTruth) -> dict[str, float]:
    return {
        "average precision": round(average_precision(suspicion, known.is_wrong), 4),
        "AUROC": round(auroc(suspicion, known.is_wrong), 4),
    }


def _calibration_error(p_wrong: np.ndarray, known: KnownTruth) -> float:
    return round(expected_calibration_error(reliability(p_wrong, known.is_wrong)), 4)


def _answer(found: np.ndarray, ours: np.ndarray, known: KnownTruth) -> dict[str, float | int]:
    count, hits = int(found.sum()), int((found & known.is_wrong).sum())
    first = np.argsort(-ours, kind="stable")[:count]
    return {
        "found": count,
        "precision": round(hits / max(1, count), 4),
        "recall": round(hits / int(known.is_wrong.sum()), 4),
        "precision of as many by our ranking": round(float(known.is_wrong[first].sum()) / max(1, count), 4),
    }


def _cleanlab() -> tuple[Any, Any]:
    try:
        from cleanlab import filter as filters
        from cleanlab import rank
    except ImportError as exc:
        raise CaffeCompatError("the comparison needs the package cleanlab (pip install cleanlab)") from exc
    return rank, filters
