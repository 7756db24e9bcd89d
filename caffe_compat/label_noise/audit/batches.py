"""What the kernels are asked: random batches from a seed, and the extremes by name.

Scores and C are float32 numbers (bfloat16 ones where the batch says so), so that every precision is asked the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from caffe_compat.arrays import FloatArray, IntArray

SMALL_CLASSES = (2, 3, 4, 5)  # brute force over all (y, z) in 50 digits
LARGE_CLASSES = (7, 8, 9, 14, 63, 64, 72, 101)  # below, at and above the widths of the kernels' vectors


@dataclass(frozen=True)
class Batch:
    """One call of the kernels. B rows, L classes.

    Attributes:
        name: for the report.
        scores_y: a, (B, L) float64 of float32 value; scores_z: b, (B, 3) likewise.
        noisy: (B) int64 in [-1, L).
        confusion: C, (L, L) float64 of float32 value, indexed [noisy, true].
        is_strided: hand the scores over as views that are not contiguous (where the implementation has strides).
        is_bfloat16: hand the scores over as bfloat16 (where the implementation has it).
    """

    name: str
    scores_y: FloatArray
    scores_z: FloatArray
    noisy: IntArray
    confusion: FloatArray
    is_strided: bool = False
    is_bfloat16: bool = False

    @property
    def num_classes(self) -> int:
        return self.scores_y.shape[1]

    @property
    def is_labelled(self) -> npt.NDArray[np.bool_]:
        return self.noisy >= 0


def in_float32(values: npt.ArrayLike) -> FloatArray:
    return np.asarray(values, np.float32).astype(np.float64)


def in_bfloat16(values: npt.ArrayLike) -> FloatArray:
    """The nearest numbers below in magnitude that bfloat16 holds."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
    return bits.view(np.float32).astype(np.float64)


def draw_confusion(rng: np.random.Generator, num_classes: int, density: float = 0.6) -> FloatArray:
    """A sparse asymmetric C of zero diagonal whose columns sum to 1, or, where nothing was drawn, to 0."""
    weights = rng.random((num_classes, num_classes)) * (rng.random((num_classes, num_classes)) < density)
    np.fill_diagonal(weights, 0)
    sums = weights.sum(0)
    return in_float32(np.divide(weights, sums, out=np.zeros_like(weights), where=sums > 0))


def draw_batch(rng: np.random.Generator, name: str, size: int, num_classes: int, scale: float) -> Batch:
    """Normal scores of standard deviation ``scale``; every row has a label."""
    return Batch(
        name,
        in_float32(scale * rng.standard_normal((size, num_classes))),
        in_float32(scale * rng.standard_normal((size, 3))),
        rng.integers(0, num_classes, size),
        draw_confusion(rng, num_classes),
    )


def every_label(rng: np.random.Generator, num_classes: int) -> Batch:
    """One image, observed with each label in turn: rows that differ in the label alone."""
    batch = draw_batch(rng, f"one image, every label, L = {num_classes}", 1, num_classes, 1.5)
    scores_y, scores_z = (np.repeat(scores, num_classes, axis=0) for scores in (batch.scores_y, batch.scores_z))
    return Batch(batch.name, scores_y, scores_z, np.arange(num_classes), batch.confusion)


def small_batches(rng: np.random.Generator, cases: int) -> Iterator[Batch]:
    """``cases`` random batches of few classes."""
    for case in range(cases):
        num_classes = SMALL_CLASSES[case % len(SMALL_CLASSES)]
        scale = float(rng.choice([0.3, 2.0, 8.0]))
        size = int(rng.integers(1, 12))
        batch = draw_batch(
            rng, f"random {case}: B = {size}, L = {num_classes}, scale {scale:g}", size, num_classes, scale
        )
        batch.noisy[rng.random(size) < 0.15] = -1
        yield batch


def large_batches(rng: np.random.Generator) -> Iterator[Batch]:
    for num_classes in LARGE_CLASSES:
        size = int(rng.integers(3, 20)) if num_classes < 64 else 3
        yield draw_batch(rng, f"random: B = {size}, L = {num_classes}", size, num_classes, 3.0)


def extreme_batches(rng: np.random.Generator) -> Iterator[Batch]:
    """What breaks a model written down carelessly, by name."""
    yield from _extreme_scores(rng)
    yield from _extreme_confusion(rng)
    two = draw_batch(rng, "L = 2", 7, 2, 2.0)
    yield Batch(two.name, two.scores_y, two.scores_z, two.noisy, np.array([[0.0, 1.0], [1.0, 0.0]]))
    yield draw_batch(rng, "L = 1000", 2, 1000, 3.0)
    yield draw_batch(rng, "one sample", 1, 5, 2.0)
    batch = draw_batch(rng, "no labels at all", 4, 5, 2.0)
    batch.noisy[:] = -1
    yield batch
    batch = draw_batch(rng, "labels -1 among others", 11, 6, 2.0)
    batch.noisy[[0, 3, 4, 10]] = -1
    yield batch
    batch = draw_batch(rng, "not contiguous", 10, 6, 2.0)
    yield Batch(batch.name, batch.scores_y, batch.scores_z, batch.noisy, batch.confusion, is_strided=True)
    batch = draw_batch(rng, "bfloat16 scores", 10, 6, 4.0)
    rounded = in_bfloat16(batch.scores_y), in_bfloat16(batch.scores_z)
    yield Batch(batch.name, *rounded, batch.noisy, batch.confusion, is_bfloat16=True)


def _extreme_scores(rng: np.random.Generator) -> Iterator[Batch]:
    batch = draw_batch(rng, "scores in +-1e4", 12, 5, 1.0)
    scores_y, scores_z = (
        in_float32(rng.uniform(-1e4, 1e4, scores.shape)) for scores in (batch.scores_y, batch.scores_z)
    )
    scores_y[::3], scores_z[::4] = np.sign(scores_y[::3]) * 1e4, np.sign(scores_z[::4]) * 1e4
    yield Batch(batch.name, scores_y, scores_z, batch.noisy, batch.confusion)
    batch = draw_batch(rng, "noise types that tie 15000 below the top", 8, 4, 1.0)
    batch.scores_y[:, :2] = in_float32(batch.scores_y[:, :2] - 15000)
    batch.scores_z[:, 1] = in_float32(batch.scores_z[:, 1] - 15000)
    confusion = np.zeros((4, 4))
    confusion[1, 0] = 1.0
    yield Batch(batch.name, batch.scores_y, batch.scores_z, np.ones(8, np.int64), confusion)
    batch = draw_batch(rng, "confident and wrong: S below the smallest float", 6, 5, 1.0)
    batch.scores_y[:, 0], batch.noisy[:] = 300.0, 3
    batch.scores_z[:, 0] = 200.0
    yield batch


def _extreme_confusion(rng: np.random.Generator) -> Iterator[Batch]:
    batch = draw_batch(rng, "zeros in C: an empty row and an empty column", 10, 5, 2.0)
    batch.confusion[2] = 0
    sums = batch.confusion.sum(0)
    scaled = np.divide(batch.confusion, sums, out=np.zeros_like(batch.confusion), where=sums > 0)
    scaled[:, 4] = 0
    batch.noisy[:5] = 2
    yield Batch(batch.name, batch.scores_y, batch.scores_z, batch.noisy, in_float32(scaled))
    batch = draw_batch(rng, "C all zero", 8, 4, 2.0)
    batch.confusion[:] = 0
    yield batch
    batch = draw_batch(rng, "confusing noise certain, and C has an empty row", 5, 4, 1.0)
    batch.confusion[0], batch.noisy[:] = 0, 0
    batch.scores_z[:] = [-5000.0, -4000.0, 5000.0]
    yield batch
