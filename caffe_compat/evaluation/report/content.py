"""The numbers and images of the label report, from a file of scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caffe_compat.arrays import FloatArray, IntArray
from caffe_compat.evaluation.label_quality.known_truth import KnownTruth, known_truth
from caffe_compat.evaluation.label_quality.ranked_lists import Pair, pairs_of
from caffe_compat.evaluation.label_quality.scores_file import TYPES, ScoresFile, ScoresInfo
from caffe_compat.evaluation.metrics import (
    Reliability,
    auroc,
    average_precision,
    expected_calibration_error,
    rank_precision,
    reliability,
)
from caffe_compat.evaluation.report.thumbnails import thumbnails

PAIRS_WITH_IMAGES, IMAGES_PER_PAIR = 40, 8
_CURVE_POINTS = 120
_EXAMPLE = ("key", "p_wrong", "q_suggested", "true_1", "p_true_1", "truth", *(f"q_type_{name}" for name in TYPES))


@dataclass(frozen=True)
class Example:
    """One image of a pair.

    Attributes:
        image: a data URI.
        truth: the true label, -1 where not known.
        type: the most probable noise type, 0 to 2, and its posterior.
    """

    key: str
    image: str
    p_wrong: float
    q_suggested: float
    looks_like: int
    p_looks_like: float
    type: tuple[int, float]
    truth: int


@dataclass(frozen=True)
class ReportedPair:
    """A given and a suggested label.

    Attributes:
        known, known_wrong: records whose truth is known, and how many of their labels are wrong.
        examples: the surest errors; none of pairs that are too far down the list.
    """

    noisy: int
    suggested: int
    records: int
    expected_wrong: float
    known: int
    known_wrong: int
    examples: list[Example]


@dataclass(frozen=True)
class Trust:
    """What is measured where the truth is known.

    Attributes:
        records, wrong, without_truth, seen_in_training: see ``known_truth``.
        average_precision, auroc: of p_wrong for finding wrong labels; None where all labels are right, or all wrong.
        ranks, precision: (K,), a part of the curve: the share of wrong labels among the first so many.
        bins: p_wrong against the share of wrong labels; calibration_error is its ECE.
        right_before, right_after: shares of given and of suggested labels that are true.
    """

    records: int
    wrong: int
    without_truth: int
    seen_in_training: int
    average_precision: float | None
    auroc: float | None
    ranks: IntArray
    precision: FloatArray
    bins: Reliability
    calibration_error: float
    right_before: float
    right_after: float


@dataclass(frozen=True)
class Content:
    """Everything in the report. Its records are those without a clean label.

    Attributes:
        records: how many; with_clean_label: those left out, and clean_differs: how many of these labels are wrong.
        expected_wrong: the sum of p_wrong.
        truth_seen: records whose truth is known but was in the training as their clean label.
        types_of_images, types: (3,) mean of p(z|x), and of the posterior of z; zeros where there is no record.
        types_by_label: (L, 3) the latter for the images of each given label.
        before, after: (L,) images with each given, and each suggested label.
        pairs: those that occur, as ``ranked_lists.pairs_of`` has them.
    """

    info: ScoresInfo
    confusion: FloatArray
    records: int
    with_clean_label: int
    clean_differs: int
    truth_seen: int
    expected_wrong: float
    types_of_images: FloatArray
    types: FloatArray
    types_by_label: FloatArray
    before: IntArray
    after: IntArray
    pairs: list[ReportedPair]
    trust: Trust | None


def gather(scores: ScoresFile) -> Content:
    """Reads the scores twice and the images that are shown. Raises: DataError if the image database is gone."""
    pairs = pairs_of(scores)
    changes = [pair for pair in pairs if pair.noisy != pair.suggested][:PAIRS_WITH_IMAGES]
    examples = _examples(scores, changes)
    columns = scores.arrays(["noisy", "suggested", "p_wrong", "truth", "clean"])
    used = columns["clean"] < 0
    num_classes = scores.info.num_classes
    image_types, types = (_types(scores, which, used) for which in "pq")
    noisy = columns["noisy"][used]
    before = np.bincount(noisy, minlength=num_classes)
    by_label = np.stack([np.bincount(noisy, column, num_classes) for column in types.T], axis=1)
    known = known_truth(scores)
    return Content(
        info=scores.info,
        confusion=np.array(scores.info.confusion),
        records=int(used.sum()),
        with_clean_label=int((~used).sum()),
        clean_differs=int((columns["clean"] != columns["noisy"])[~used].sum()),
        truth_seen=int((columns["truth"][~used] >= 0).sum()),
        expected_wrong=float(columns["p_wrong"][used].sum(dtype=np.float64)),
        types_of_images=image_types.sum(0) / max(1, len(noisy)),
        types=types.sum(0) / max(1, len(noisy)),
        types_by_label=by_label / np.maximum(before, 1)[:, None],
        before=before,
        after=np.bincount(columns["suggested"][used], minlength=num_classes),
        pairs=[_reported(pair, columns["truth"], examples.get((pair.noisy, pair.suggested), [])) for pair in pairs],
        trust=None if known is None else _trust(known),
    )


def _types(scores: ScoresFile, which: str, used: np.ndarray) -> FloatArray:
    """(N, 3) float64: p(z|x) or the posterior of z of the records ``used``."""
    names = [f"{which}_type_{name}" for name in TYPES]
    columns = scores.arrays(names)
    return np.stack([columns[name][used].astype(np.float64) for name in names], axis=1)


def _reported(pair: Pair, truth: np.ndarray, examples: list[Example]) -> ReportedPair:
    known = truth[pair.rows][truth[pair.rows] >= 0]
    wrong = int((known != pair.noisy).sum())
    return ReportedPair(
        pair.noisy, pair.suggested, len(pair.rows), pair.expected_wrong, len(known), wrong, examples
    )  # fmt: skip


def _examples(scores: ScoresFile, pairs: list[Pair]) -> dict[tuple[int, int], list[Example]]:
    """The first images of each pair."""
    rows = {(pair.noisy, pair.suggested): pair.rows[:IMAGES_PER_PAIR] for pair in pairs}
    if not rows:
        return {}
    table = scores.table(_EXAMPLE).take(np.concatenate(list(rows.values())))
    records = table.to_pylist()
    images = thumbnails(scores.info.images, scores.info.backend, [record["key"] for record in records])
    shown = iter([_example(record, images[record["key"]]) for record in records])
    return {labels: [next(shown) for _ in places] for labels, places in rows.items()}


def _example(record: dict, image: str) -> Example:
    posterior = [record[f"q_type_{name}"] for name in TYPES]
    kind = int(np.argmax(posterior))
    return Example(
        key=record["key"],
        image=image,
        p_wrong=record["p_wrong"],
        q_suggested=record["q_suggested"],
        looks_like=record["true_1"],
        p_looks_like=record["p_true_1"],
        type=(kind, posterior[kind]),
        truth=-1 if record["truth"] is None else record["truth"],
    )


def _trust(known: KnownTruth) -> Trust:
    columns, wrong = known.columns, known.is_wrong
    suspicion = -columns["q_noisy"]
    both = bool(wrong.any() and not wrong.all())
    curve = rank_precision(suspicion, wrong)
    ranks = np.unique(np.geomspace(1, len(wrong), _CURVE_POINTS).astype(np.int64))
    bins = reliability(columns["p_wrong"], wrong)
    return Trust(
        records=len(wrong),
        wrong=int(wrong.sum()),
        without_truth=known.without_truth,
        seen_in_training=known.seen_in_training,
        average_precision=average_precision(suspicion, wrong) if both else None,
        auroc=auroc(suspicion, wrong) if both else None,
        ranks=ranks,
        precision=curve[ranks - 1],
        bins=bins,
        calibration_error=expected_calibration_error(bins),
        right_before=float((~wrong).mean()),
        right_after=float((columns["suggested"] == columns["truth"]).mean()),
    )
