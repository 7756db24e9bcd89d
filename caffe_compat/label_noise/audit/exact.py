"""The witnesses: the equations over all (y, z) as the paper prints them, in 50 digits or in float64 loops; autograd.

``brute_force`` shares no code with the kernels, nor with ``equations.py``: ``mpmath`` numbers, whose exponents have no
end, so that nothing underflows. ``loops`` is ``equations.py``, for batches too large for that. ``autograd`` knows Eq. 1
and 2 only, and differentiates -log S.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np

from caffe_compat.arrays import FloatArray
from caffe_compat.label_noise import equations as eq
from caffe_compat.label_noise.audit.batches import Batch

DIGITS = 50
_DIFFERENCE_STEP = mpmath.mpf(10) ** -20  # central differences: exact to about 1e-40, with 80 digits
Number = Any  # mpmath.mpf
Differentiated = tuple[FloatArray, FloatArray, FloatArray]  # -log S (B) and its derivatives (B, L), (B, 3)


@dataclass(frozen=True)
class Exact:
    """What the equations give for a batch, rounded once, to float64. Rows without a label: zeros but for p and t.

    Attributes:
        p, t: (B, L), (B, 3).
        given: (B, L, 3), p(i | y, z) of Eq. 1.
        log_joint: (B, L, 3), of Eq. 2; -inf where the model excludes a cell.
        mixture: (B, L), p(i | y, x) of Eq. 3.
        posterior: (B, L, 3), of Eq. 5; q, r: its marginals.
        nll, neg_q: (B), -log S and -Q (Eq. 6).
        slope_y, slope_z: (B, L), (B, 3), the derivatives of -log S in the scores: by differences of S alone
            (``brute_force``), by Eq. 7 (``loops``).
    """

    p: FloatArray
    t: FloatArray
    given: FloatArray
    log_joint: FloatArray
    mixture: FloatArray
    posterior: FloatArray
    q: FloatArray
    r: FloatArray
    nll: FloatArray
    neg_q: FloatArray
    slope_y: FloatArray
    slope_z: FloatArray


def brute_force(batch: Batch) -> Exact:
    """Every row of a batch of few classes, in 50 digits."""
    return _stacked([_exact_row(batch, n) for n in range(len(batch.noisy))])


def loops(batch: Batch) -> Exact:
    """Every row of a batch by ``equations.py``, for scores that do not underflow."""
    return _stacked([_loop_row(batch, n) for n in range(len(batch.noisy))])


def autograd(batch: Batch) -> Differentiated:
    """-log S of every row (B) and its derivatives (B, L), (B, 3), by PyTorch in float64 through log-sum-exp."""
    import torch

    scores_y, scores_z = (torch.tensor(x, requires_grad=True) for x in (batch.scores_y, batch.scores_z))
    noisy = torch.from_numpy(batch.noisy)
    known = noisy.clamp(min=0)
    is_noisy = torch.nn.functional.one_hot(known, batch.num_classes).double()
    confusion = torch.from_numpy(batch.confusion)
    given = torch.stack([is_noisy, (1 - is_noisy) / (batch.num_classes - 1), confusion[known]], dim=2)
    log_joint = given.log() + scores_y.log_softmax(1)[:, :, None] + scores_z.log_softmax(1)[:, None, :]
    losses = torch.where(noisy >= 0, -log_joint.logsumexp((1, 2)), 0.0)
    losses.sum().backward()
    assert scores_y.grad is not None and scores_z.grad is not None
    return losses.detach().numpy(), scores_y.grad.numpy(), scores_z.grad.numpy()


def _stacked(rows: Sequence[tuple[Any, ...]]) -> Exact:
    return Exact(*(np.array([row[k] for row in rows], dtype=np.float64) for k in range(len(rows[0]))))


def _unlabelled_row(num_classes: int, p: Sequence[float], t: Sequence[float]) -> tuple[Any, ...]:
    cells = np.zeros((num_classes, 3))
    zeros = cells.sum(1), cells.sum(0)
    return p, t, cells, cells - np.inf, zeros[0], cells, *zeros, 0.0, 0.0, *zeros


def _loop_row(batch: Batch, n: int) -> tuple[Any, ...]:
    num_classes, i, confusion = batch.num_classes, int(batch.noisy[n]), batch.confusion.tolist()
    p, t = eq.softmax(batch.scores_y[n].tolist()), eq.softmax(batch.scores_z[n].tolist())
    if i < 0:
        return _unlabelled_row(num_classes, p, t)
    cells = [(y, z) for y in range(num_classes) for z in eq.NOISE_TYPES]
    given = np.reshape([eq.eq1_noisy_label(i, y, z, confusion) for y, z in cells], (num_classes, 3))
    joint = np.reshape([eq.eq2_joint(i, y, z, p, t, confusion) for y, z in cells], (num_classes, 3))
    mixture = [eq.eq3_noisy_given_true(i, y, t, confusion) for y in range(num_classes)]
    posterior = eq.eq5_posterior(i, p, t, confusion)
    q, r = np.sum(posterior, axis=1), np.sum(posterior, axis=0)
    nll, neg_q = -np.log(eq.likelihood(i, p, t, confusion)), -eq.eq6_q(posterior, i, p, t, confusion)
    with np.errstate(divide="ignore"):
        log_joint = np.log(joint)
    return p, t, given, log_joint, mixture, posterior, q, r, nll, neg_q, *eq.eq7_gradient(posterior, p, t)


def _exact_row(batch: Batch, n: int) -> tuple[Any, ...]:
    num_classes, i = batch.num_classes, int(batch.noisy[n])
    with mpmath.workdps(DIGITS):
        a, b = [mpmath.mpf(x) for x in batch.scores_y[n]], [mpmath.mpf(x) for x in batch.scores_z[n]]
        p, t = _softmax(a), _softmax(b)
        predictions = _floats(p), _floats(t)
        if i < 0:
            return _unlabelled_row(num_classes, *predictions)
        given = [[_given(i, y, z, batch.confusion) for z in range(3)] for y in range(num_classes)]
        joint = [[given[y][z] * p[y] * t[z] for z in range(3)] for y in range(num_classes)]
        s = mpmath.fsum(sum(joint, []))
        posterior = [[cell / s for cell in row] for row in joint]
        q = [mpmath.fsum(row) for row in posterior]
        r = [mpmath.fsum(row[z] for row in posterior) for z in range(3)]
        expected_log = mpmath.fsum(
            posterior[y][z] * mpmath.log(joint[y][z]) for y in range(num_classes) for z in range(3) if joint[y][z] > 0
        )
        mixture = [mpmath.fsum(given[y][z] * t[z] for z in range(3)) for y in range(num_classes)]
        log_joint = [[float(mpmath.log(cell)) if cell > 0 else -np.inf for cell in row] for row in joint]
        return (
            *predictions,
            [_floats(row) for row in given],
            log_joint,
            _floats(mixture),
            [_floats(row) for row in posterior],
            _floats(q),
            _floats(r),
            float(-mpmath.log(s)),
            float(-expected_log),
            *_slopes(a, b, given),
        )


def _given(i: int, y: int, z: int, confusion: FloatArray) -> Number:
    """Eq. 1."""
    if z == 0:
        return mpmath.mpf(int(i == y))
    if z == 1:
        return mpmath.mpf(int(i != y)) / (len(confusion) - 1)
    return mpmath.mpf(confusion[i, y])


def _softmax(scores: Sequence[Number]) -> list[Number]:
    weights = [mpmath.exp(score - max(scores)) for score in scores]
    total = mpmath.fsum(weights)
    return [weight / total for weight in weights]


def _slopes(a: list[Number], b: list[Number], given: list[list[Number]]) -> tuple[list[float], list[float]]:
    """d(-log S) / da and / db, by central differences."""
    with mpmath.workdps(80):

        def nll(in_a: list[Number], in_b: list[Number]) -> Number:
            p, t = _softmax(in_a), _softmax(in_b)
            rows = range(len(in_a))
            return -mpmath.log(mpmath.fsum(given[y][z] * p[y] * t[z] for y in rows for z in range(3)))

        def moved(scores: list[Number], k: int, by: Number) -> list[Number]:
            return [score + (by if k == j else 0) for j, score in enumerate(scores)]

        h = _DIFFERENCE_STEP
        in_y = [(nll(moved(a, k, h), b) - nll(moved(a, k, -h), b)) / (2 * h) for k in range(len(a))]
        in_z = [(nll(a, moved(b, k, h)) - nll(a, moved(b, k, -h))) / (2 * h) for k in range(3)]
    return _floats(in_y), _floats(in_z)


def _floats(numbers: Sequence[Number]) -> list[float]:
    return [float(number) for number in numbers]
