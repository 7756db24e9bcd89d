"""The paper's equations in plain float64 loops: the specification of the kernels and of ``estimate_confusion``.

One function per equation of Xiao et al., CVPR 2015, as printed there: no log space, no vectors, nothing shared with the
kernels. Slow, and not for scores so extreme that a probability underflows.

Symbols: y, the true label, in 0..L-1; z, the noise type, 0 noise free, 1 pure random, 2 confusing; i, the observed
noisy label; p[y] = p(y|x), t[z] = p(z|x); C[i][y], indexed [noisy, true], columns sum to 1. Natural logarithms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Vector = Sequence[float]
Matrix = Sequence[Sequence[float]]

NOISE_TYPES = (0, 1, 2)


def softmax(scores: Vector) -> list[float]:
    """What the two networks end in: exp(score) over the sum of exp(score)."""
    top = max(scores)
    weights = [math.exp(score - top) for score in scores]
    return [weight / sum(weights) for weight in weights]


def x_log_y(x: float, y: float) -> float:
    """x log y, where 0 log 0 = 0."""
    return 0.0 if x == 0 else x * math.log(y)


def eq1_noisy_label(i: int, y: int, z: int, C: Matrix) -> float:
    """[E1] Eq. 1: p(i | y, z). I y for z = 0, (U - I) y / (L - 1) for z = 1, C y for z = 2."""
    if z == 0:
        return 1.0 if i == y else 0.0
    if z == 1:
        return 0.0 if i == y else 1 / (len(C) - 1)
    return C[i][y]


def eq2_joint(i: int, y: int, z: int, p: Vector, t: Vector, C: Matrix) -> float:
    """[E2] Eq. 2: p(i, y, z | x) = p(i | y, z) p(y|x) p(z|x)."""
    return eq1_noisy_label(i, y, z, C) * p[y] * t[z]


def eq3_noisy_given_true(i: int, y: int, t: Vector, C: Matrix) -> float:
    """[E3] Eq. 3: p(i | y, x) = sum over z of p(i | y, z) p(z|x)."""
    return sum(eq1_noisy_label(i, y, z, C) * t[z] for z in NOISE_TYPES)


def likelihood(i: int, p: Vector, t: Vector, C: Matrix) -> float:
    """[E3] S = p(i|x): the sum of Eq. 2 over y and z, the denominator of Eq. 5; training minimises -log S."""
    return sum(eq2_joint(i, y, z, p, t, C) for y in range(len(p)) for z in NOISE_TYPES)


def eq4_lower_bound(distribution: Matrix, i: int, p: Vector, t: Vector, C: Matrix) -> float:
    """[E4] Eq. 4: sum over y, z of d(y, z) log(joint / d(y, z)) <= log S, for any distribution d of (y, z), (L, 3).

    -inf where d gives weight to what the model excludes.
    """
    total = 0.0
    for y in range(len(p)):
        for z in NOISE_TYPES:
            joint, weight = eq2_joint(i, y, z, p, t, C), distribution[y][z]
            if weight > 0 and joint == 0:
                return -math.inf
            total += x_log_y(weight, joint) - x_log_y(weight, weight)
    return total


def eq5_posterior(i: int, p: Vector, t: Vector, C: Matrix) -> list[list[float]]:
    """[E5] Eq. 5: p(y, z | i, x) = joint / S, (L, 3)."""
    s = likelihood(i, p, t, C)
    return [[eq2_joint(i, y, z, p, t, C) / s for z in NOISE_TYPES] for y in range(len(p))]


def eq6_q(posterior: Matrix, i: int, p: Vector, t: Vector, C: Matrix) -> float:
    """[E6] Eq. 6: Q = sum over y, z of p(y, z | i, x) log p(i, y, z | x), the first under older parameters."""
    return sum(x_log_y(posterior[y][z], eq2_joint(i, y, z, p, t, C)) for y in range(len(p)) for z in NOISE_TYPES)


def eq7_gradient(posterior: Matrix, p: Vector, t: Vector) -> tuple[list[float], list[float]]:
    """[E7] Eq. 7 in the scores before the two softmaxes, of -Q: p(y|x) - p(y|i,x), (L); p(z|x) - p(z|i,x), (3).

    d log p[k] / d score[y] = [k = y] - p[y], so minus the sum over k of p(k|i,x) ([k = y] - p[y]) = p[y] - p(y|i,x).
    """
    q = [sum(posterior[y][z] for z in NOISE_TYPES) for y in range(len(p))]
    r = [sum(posterior[y][z] for y in range(len(p))) for z in NOISE_TYPES]
    return [p[y] - q[y] for y in range(len(p))], [t[z] - r[z] for z in NOISE_TYPES]


def eq8_objective(noisy: Sequence[int], true: Sequence[int], types: Sequence[int], C: Matrix) -> float:
    """[E8] Eq. 8: sum over samples of log p(noisy | true, z); -inf if one is excluded."""
    total = 0.0
    for i, y, z in zip(noisy, true, types, strict=True):
        probability = eq1_noisy_label(i, y, z, C)
        if probability == 0:
            return -math.inf
        total += math.log(probability)
    return total


def eq9_objective(noisy: Sequence[int], true: Sequence[int], t: Sequence[int], C: Matrix) -> float:
    """[E9] Eq. 9: E over the mislabelled samples; t[n] = 1: sample n is pure random, 0: confusing; -inf if excluded."""
    alpha = 1 / (len(C) - 1)
    total = 0.0
    for i, y, is_random in zip(noisy, true, t, strict=True):
        if i == y:
            continue
        if not is_random and C[i][y] == 0:
            return -math.inf
        total += is_random * math.log(alpha) + (0.0 if is_random else math.log(C[i][y]))
    return total


def eq10_objective(m: Vector, c: Vector, t: Sequence[int], alpha: float) -> float:
    """[E10] Eq. 10: E of one column c of C, where m[k] samples carry the wrong label k; -inf if one is excluded."""
    total = 0.0
    for count, probability, is_random in zip(m, c, t, strict=True):
        if count > 0 and not is_random and probability == 0:
            return -math.inf
        total += count * math.log(alpha) if is_random else x_log_y(count, probability)
    return total


def eq11_is_ordered(c: Vector, alpha: float) -> bool:
    """[E11] Eq. 11: max(alpha, c_1) >= max(alpha, c_2) >= ... for m_1 >= m_2 >= ..."""
    return all(max(alpha, c[k]) >= max(alpha, c[k + 1]) for k in range(len(c) - 1))


def eq12_types(k_star: int, length: int) -> list[int]:
    """[E12] Eq. 12: t = 0 for the k* most frequent wrong labels, 1 for the others."""
    return [0 if k < k_star else 1 for k in range(length)]


def eq13_objective(m: Vector, c: Vector, k_star: int) -> float:
    """[E13] Eq. 13: the part of E that depends on c once k* is known."""
    return sum(x_log_y(m[k], c[k]) for k in range(k_star))


def eq14_column(m: Vector, k_star: int) -> list[float]:
    """[E14] Eq. 14: the best c for k*, for m_1 >= m_2 >= ...: the kept counts over their sum."""
    kept = sum(m[k] for k in range(k_star))
    return [m[k] / kept if k < k_star and kept > 0 else 0.0 for k in range(len(m))]
