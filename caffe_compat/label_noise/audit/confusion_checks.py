"""Eq. 8 to 14, Lemma 1 and Theorems 1 and 2 against ``estimate_confusion``.

The objective's exponential is a product of rational numbers, so the best of all choices is found, and compared, in
exact fractions: over every t in {0, 1}^N' for samples (Eq. 9), over every subset of labels for a column (Eq. 10).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import numpy as np

from caffe_compat.label_noise import equations as eq
from caffe_compat.label_noise.audit.findings import Finding, Subject
from caffe_compat.label_noise.audit.kernels import FLOAT64
from caffe_compat.label_noise.confusion import PURE_RANDOM, ConfusionEstimate

Estimator = Callable[[np.ndarray], ConfusionEstimate]  # counts (L, L) indexed [noisy, true] -> estimate
PYTHON = "python"
BRUTE_FORCE = "brute force over every t, exact fractions"

# CIFAR-10N, labels `worse` against the clean ones: counts of all 50,000 [clean, noisy], and what the authors' script
# gives for them. Wei et al., ICLR 2022 (labels), CC BY-NC 4.0.
CIFAR10N_COUNTS = np.array(
    [[3251, 328, 359, 96, 97, 114, 94, 83, 423, 155], [215, 2961, 76, 132, 87, 77, 68, 68, 79, 1237],
     [277, 183, 3160, 229, 297, 238, 249, 166, 118, 83], [198, 172, 396, 2436, 213, 1028, 235, 119, 106, 97],
     [197, 163, 350, 201, 2441, 532, 195, 758, 105, 58], [165, 141, 264, 915, 202, 2901, 137, 147, 61, 67],
     [190, 191, 420, 379, 254, 288, 2968, 143, 102, 65], [199, 140, 121, 110, 256, 309, 115, 3608, 87, 55],
     [409, 364, 109, 72, 105, 93, 82, 109, 3417, 240], [208, 1410, 87, 103, 88, 88, 60, 72, 131, 2753]]
)  # fmt: skip
CIFAR10N_K_STAR = [3, 1, 3, 2, 2, 1, 3, 2, 2, 1]
CIFAR10N_TYPES = [29896, 9470, 10634]


def check_estimates(estimator: Estimator, rng: np.random.Generator, cases: int) -> Iterator[Finding]:
    """Fresh small sets of pairs; every check on each."""
    yield from check_cifar10n(estimator)
    for case in range(cases):
        num_classes = int(rng.integers(3, 6))
        column = _draw_column(rng, num_classes)
        true = int(rng.integers(num_classes))
        counts = np.zeros((num_classes, num_classes), np.int64)
        counts[[k for k in range(num_classes) if k != true], true] = column
        counts[np.diag_indices(num_classes)] = rng.integers(0, 4, num_classes)
        other = (true + 1) % num_classes
        counts[[k for k in range(num_classes) if k != other], other] = _draw_column(rng, num_classes)
        name = f"random {case}: L = {num_classes}, wrong labels {sorted(column.tolist(), reverse=True)}"
        yield from check_column(estimator(counts), counts, true, Subject(PYTHON, FLOAT64, name), rng)
        yield from check_samples(estimator(counts), counts, Subject(PYTHON, FLOAT64, name))
    yield from check_preconditions(estimator)


def _draw_column(rng: np.random.Generator, num_classes: int) -> np.ndarray:
    """Counts of the wrong labels of one class: skewed, with zeros and ties."""
    skewed = rng.exponential(rng.choice([0.6, 3.0]), num_classes - 1) ** rng.choice([1, 2])
    return np.asarray(np.minimum(skewed, 40).astype(np.int64))


def check_cifar10n(estimator: Estimator) -> Iterator[Finding]:
    """The authors' script's answers on real counts."""
    estimate = estimator(CIFAR10N_COUNTS.T)
    subject = Subject(PYTHON, FLOAT64, "CIFAR-10N, 50,000 pairs")
    yield subject.compare("E14", "k* of the authors' script", estimate.k_star, CIFAR10N_K_STAR, 0)
    yield subject.compare(
        "T2", "noise types of the authors' script", estimate.noise_type_counts().sum(0), CIFAR10N_TYPES, 0
    )


# --- one column -------------------------------------------------------------------------------------------------


def _column_value(counts: Sequence[int], kept: Sequence[int], alpha: Fraction) -> Fraction:
    """exp E of Eq. 10 when the labels ``kept`` are confusing noise and C has their share of the counts."""
    mass = sum(counts[k] for k in kept)
    value = Fraction(1)
    for k, count in enumerate(counts):
        value *= (Fraction(count, mass) if k in kept else alpha) ** count
    return value


def check_column(
    estimate: ConfusionEstimate, counts: np.ndarray, true: int, subject: Subject, rng: np.random.Generator
) -> Iterator[Finding]:
    """Eq. 10 to 14 and Lemma 1 for the class ``true``."""
    num_classes = len(counts)
    alpha = Fraction(1, num_classes - 1)
    labels = [k for k in range(num_classes) if k != true]
    wrong = [int(counts[k, true]) for k in labels]
    column = [float(estimate.confusion[k, true]) for k in labels]
    seen = [k for k, count in enumerate(wrong) if count]
    subsets = [kept for size in range(len(seen) + 1) for kept in itertools.combinations(seen, size)]
    best = max(_column_value(wrong, kept, alpha) for kept in subsets)
    types = [int(estimate.noise_type_table[k, true] == PURE_RANDOM) for k in labels]
    objective = eq.eq10_objective(wrong, column, types, float(alpha))
    near = 1e-12 * max(1, sum(wrong))
    yield subject.compare(
        "E10", "brute force over every subset of labels, exact fractions", objective, _log(best), near
    )
    yield subject.compare("E10", "the estimate's own E", estimate.objective[true], _log(best), near)

    falling = sorted(range(len(wrong)), key=lambda k: (-wrong[k], -labels[k]))
    ordered, k_star = [column[k] for k in falling], int(estimate.k_star[true])
    yield subject.compare(
        "E11", "max(alpha, C) falls with the counts", not eq.eq11_is_ordered(ordered, float(alpha)), 0, 0
    )
    wanted = eq.eq12_types(k_star, len(wrong))
    yield subject.compare("E12", "k* labels are confusing, the others random", [types[k] for k in falling], wanted, 0)
    best_k = [k for k in range(len(seen) + 1) if _column_value(wrong, falling[:k], alpha) == best]
    yield subject.compare("E12", "the larger k* of equal E", k_star, max(best_k) if seen else 0, 0)
    counted = [wrong[k] for k in falling]
    yield subject.compare("E14", "kept counts over their sum", ordered, eq.eq14_column(counted, k_star), 1e-15)
    yield subject.compare("E14", "sums to 1, or to 0 without wrong labels", sum(column), float(bool(seen)), 1e-15 * 8)
    share = sum(counted[:k_star]) / max(1, sum(counted))
    yield subject.compare("E14", "the share of wrong labels kept", estimate.mass_kept[true], share, 1e-15)
    for other in rng.dirichlet(np.ones(k_star), 8) if k_star else ():
        gain = eq.eq13_objective(counted, [*other, *[0.0] * len(counted)], k_star) - eq.eq13_objective(
            counted, ordered, k_star
        )
        yield subject.compare("E13", "no other column is better", max(0.0, gain), 0, near)
    nonzero = [Fraction(wrong[k], sum(wrong[j] for j in falling[:k_star])) for k in falling[:k_star]]
    yield subject.compare("L1", "C is 0 or above alpha (L >= 3)", sum(entry <= alpha for entry in nonzero), 0, 0)


def _log(value: Fraction) -> float:
    """log of a positive fraction of any size."""
    return _log_whole(value.numerator) - _log_whole(value.denominator)


def _log_whole(number: int) -> float:
    shift = max(0, number.bit_length() - 900)
    return math.log(number >> shift) + shift * math.log(2)


# --- all samples ------------------------------------------------------------------------------------------------

_MOST_SAMPLES = 11


def check_samples(estimate: ConfusionEstimate, counts: np.ndarray, subject: Subject) -> Iterator[Finding]:
    """Eq. 8, 9 and Theorems 1 and 2, sample by sample, over every t in {0, 1}^N' (a few samples are taken)."""
    pairs = [(i, y) for y in range(len(counts)) for i in range(len(counts)) for _ in range(counts[i, y]) if i != y]
    if not 0 < len(pairs) <= _MOST_SAMPLES:
        return
    noisy, true = ([pair[k] for pair in pairs] for k in (0, 1))
    alpha = Fraction(1, len(counts) - 1)
    values = {t: _samples_value(pairs, t, alpha) for t in itertools.product((0, 1), repeat=len(pairs))}
    best = max(values.values())
    optima = [t for t, value in values.items() if value == best]
    ours = tuple(int(estimate.noise_type_table[i, y] == PURE_RANDOM) for i, y in pairs)
    matrix = estimate.confusion.tolist()
    yield subject.compare(
        "E9", BRUTE_FORCE, eq.eq9_objective(noisy, true, ours, matrix), _log(best), 1e-12 * len(pairs)
    )
    types = [int(estimate.noise_type_table[i, y]) for i, y in pairs]
    yield subject.compare(
        "E8", BRUTE_FORCE, eq.eq8_objective(noisy, true, types, matrix), _log(best), 1e-12 * len(pairs)
    )
    yield subject.compare("E9", "the types are among the best t", float(ours not in optima), 0, 0)
    mixed = sum(len({t[n] for n in range(len(pairs)) if pairs[n] == pair}) > 1 for t in optima for pair in set(pairs))
    yield subject.compare("T1", "equal pairs, equal types, in every optimum (L >= 3)", mixed, 0, 0)
    wrong = 0
    for t in optima:
        share = _shares(pairs, t)
        wrong += sum((share.get(pair, Fraction(0)) > alpha) != (t[n] == 0) for n, pair in enumerate(pairs))
        wrong += sum((share.get(pair, Fraction(0)) == 0) != (t[n] == 1) for n, pair in enumerate(pairs))
    yield subject.compare("T2", "C > alpha where t = 0, C = 0 where t = 1, in every optimum (L >= 3)", wrong, 0, 0)
    misnamed = sum((matrix[i][y] > float(alpha)) != (t == 0) for (i, y), t in zip(pairs, ours, strict=True))
    yield subject.compare("T2", "the estimate's noise types", misnamed, 0, 0)


def _shares(pairs: Sequence[tuple[int, int]], t: Sequence[int]) -> dict[tuple[int, int], Fraction]:
    """The best C for given types: of each class, the share of each label among its confusing samples."""
    confusing = [pair for pair, is_random in zip(pairs, t, strict=True) if not is_random]
    return {pair: Fraction(confusing.count(pair), sum(pair[1] == y for _, y in confusing)) for pair in set(confusing)}


def _samples_value(pairs: Sequence[tuple[int, int]], t: Sequence[int], alpha: Fraction) -> Fraction:
    """exp E of Eq. 9 with the best C for these t."""
    share, value = _shares(pairs, t), Fraction(1)
    for pair, is_random in zip(pairs, t, strict=True):
        value *= alpha if is_random else share[pair]
    return value


# --- what the paper leaves out ----------------------------------------------------------------------------------


def check_preconditions(estimator: Estimator) -> Iterator[Finding]:
    """Two classes, classes without noise or without samples, ties: by the rules written in ``confusion.py``."""
    subject = Subject(PYTHON, FLOAT64, "two classes")
    two = estimator(np.array([[5, 2], [3, 4]]))
    yield subject.compare("L1", "L = 2: C = 1 = alpha", two.confusion, [[0, 1], [1, 0]], 0)
    yield subject.compare("T2", "L = 2: a wrong label is pure random", two.noise_type_table, [[0, 1], [1, 0]], 0)
    subject = Subject(PYTHON, FLOAT64, "a class without noise, one without samples")
    empty = estimator(np.array([[7, 2, 0], [0, 5, 0], [0, 1, 0]]))
    yield subject.compare("E14", "empty columns", empty.confusion[:, [0, 2]], 0, 0)
    yield subject.compare("E14", "k* = 0 for them", empty.k_star[[0, 2]], 0, 0)
    subject = Subject(PYTHON, FLOAT64, "equal counts")
    tied = estimator(np.array([[0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]))
    kept = int(tied.k_star[0])
    yield subject.compare("E12", "the higher class index first", tied.confusion[4 - kept :, 0] > 0, 1, 0)
