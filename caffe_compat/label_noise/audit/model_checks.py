"""Eq. 1 to 7 against what the kernels answer.

Tolerances are counted, not fitted. u is the unit roundoff, 2^-24 or 2^-53. A probability is a quotient of sums of at
most L products of exponentials: L - 1 roundings of the sum, at most 12 of the rest, and up to 8 more for the range
reduction of scores of 10^4: it is good to k u of its own size, k = L + 12 + 8 |score| / 10^4. A loss is the logarithm
of a quotient of two such sums: 2 k u, or as many of its own last digits where it is above 1.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from caffe_compat.arrays import FloatArray
from caffe_compat.label_noise import equations as eq
from caffe_compat.label_noise.audit.batches import Batch
from caffe_compat.label_noise.audit.exact import Differentiated, Exact
from caffe_compat.label_noise.audit.findings import Finding, Subject
from caffe_compat.label_noise.audit.kernels import FLOAT32, FLOAT64, UNIT_ROUNDOFF, Answers, Kernels

BRUTE_FORCE, LOOPS = "brute force over (y, z), 50 digits", "equations.py in float64 loops"
DIFFERENCES, AUTOGRAD = "differences of -log S, 50 digits", "autograd through -log S, float64"

_VISIBLE = 1e-6  # what a quotient is taken of: below it the parts of a cell have no digits left to compare
SMALLEST = {FLOAT32: 2.0**-125, FLOAT64: 2.0**-1021}  # what lies below the smallest normal number may be 0
_SHARED = 1e-3  # a posterior that lies in more than one cell: then it can be moved
_NOT_UNDERFLOWN = 1e-20  # float32 holds probabilities down to 1e-38

TOLERANCES = {
    "E1": "5 k u max(1, -log S): posterior, S, p and t each with their own roundings",
    "E2": "3 k u max(1, -log S), relative to the cell, and the witness's last digits: 2^-51 |log joint|",
    "E3": "5 k u max(1, -log S) for p(i | y, x); 2 k u max(1, -log S) for -log S",
    "E4": "8 k u max(1, -log S) + 40 u",
    "E5": "k u, relative",
    "E6": "2 k u max(1, -Q); 1e-5 of the largest for the authors' float32 answers",
    "E7": "2 k u; 1e-5 of the largest for the authors' float32 answers",
}


def roundings(batch: Batch) -> float:
    """k: how many roundings of a probability's last digit are possible in this batch."""
    largest = max(np.abs(batch.scores_y).max(initial=0), np.abs(batch.scores_z).max(initial=0))
    return batch.num_classes + 12 + 8 * float(largest) / 1e4


def loss_tolerance(batch: Batch, dtype: str, losses: npt.ArrayLike) -> FloatArray:
    """One for each loss."""
    return np.asarray(2 * roundings(batch) * UNIT_ROUNDOFF[dtype] * np.maximum(1, np.abs(losses)))


def check_batch(
    kernels: Kernels, dtype: str, batch: Batch, exact: Exact, witness: str, slopes: str
) -> Iterator[Finding]:
    """Eq. 1, 2, 3, 5, 6 and 7, cell by cell.

    Args:
        exact: the witness's answers; ``witness`` says which, ``slopes`` where its derivatives come from.
    """
    subject = Subject(kernels.name, dtype, batch.name)
    answers = kernels.forward(batch, dtype)
    in_q = kernels.forward(batch, dtype, want_q=True)
    yield from _given_labels(subject, batch, exact, answers, witness)
    near = roundings(batch) * UNIT_ROUNDOFF[dtype]
    for name in ("p", "t", "posterior", "q", "r"):
        expected = getattr(exact, name)
        yield subject.compare("E5", witness, getattr(answers, name), expected, near * expected + SMALLEST[dtype])
    labelled = batch.is_labelled
    for name, axes in (("posterior", (1, 2)), ("q", 1), ("r", 1)):
        totals = getattr(answers, name).sum(axis=axes)
        yield subject.compare("E5", "sums to 1, or to 0 without a label", totals, labelled, near)
    yield subject.compare("E3", witness, answers.loss, exact.nll, loss_tolerance(batch, dtype, exact.nll))
    yield subject.compare("E6", witness, in_q.loss, exact.neg_q, loss_tolerance(batch, dtype, exact.neg_q))
    for given in (answers, in_q):
        yield subject.compare("E7", slopes, given.grad_y, exact.slope_y, 2 * near)
        yield subject.compare("E7", slopes, given.grad_z, exact.slope_z, 2 * near)
    with_witness = exact.p - exact.q, exact.t - exact.r
    for gradient, wanted in zip((answers.grad_y, answers.grad_z), with_witness, strict=True):
        yield subject.compare("E7", f"p - q, t - r: {witness}", gradient[labelled], wanted[labelled], 2 * near)
    for gradient in (answers.grad_y, answers.grad_z, answers.loss, in_q.loss):
        yield subject.compare("E7", "nothing where there is no label", gradient[~labelled], 0, 0)


def _given_labels(subject: Subject, batch: Batch, exact: Exact, answers: Answers, witness: str) -> Iterator[Finding]:
    """Eq. 1, 2, 3, which no kernel returns, recovered from what they do return."""
    digits = roundings(batch) * UNIT_ROUNDOFF[subject.dtype] * np.maximum(1, exact.nll)[:, None]
    with np.errstate(over="ignore"):
        s = np.exp(-answers.loss)[:, None]
    prior = exact.p[:, :, None] * exact.t[:, None, :]
    labelled = batch.is_labelled
    visible = (prior > _VISIBLE) & (np.exp(-exact.nll) > _VISIBLE)[:, None, None] & labelled[:, None, None]
    with np.errstate(all="ignore"):
        given = answers.posterior * s[:, :, None] / (answers.p[:, :, None] * answers.t[:, None, :])
        mixture = answers.q * s / answers.p
        log_joint = np.log(answers.posterior) - answers.loss[:, None, None]
        relative = np.expm1(log_joint - exact.log_joint)
    allowed = 5 * digits
    yield subject.compare(
        "E1", witness, given[visible], exact.given[visible], np.broadcast_to(allowed[:, :, None], given.shape)[visible]
    )
    cells = exact.posterior > _NOT_UNDERFLOWN
    excluded = np.isneginf(exact.log_joint) & labelled[:, None, None]
    near = 3 * digits[:, :, None] + 4 * UNIT_ROUNDOFF["float64"] * np.abs(exact.log_joint)
    yield subject.compare("E2", witness, relative[cells], 0, near[cells])
    yield subject.compare("E2", "0 where Eq. 1 is 0", answers.posterior[excluded], 0, 0)
    seen = (exact.p > _VISIBLE) & (np.exp(-exact.nll) > _VISIBLE)[:, None] & labelled[:, None]
    yield subject.compare("E3", witness, mixture[seen], exact.mixture[seen], np.broadcast_to(allowed, seen.shape)[seen])


def check_autograd(kernels: Kernels, dtype: str, batch: Batch, differentiated: Differentiated) -> Iterator[Finding]:
    """Fisher's identity: Eq. 7 is the gradient of -log S, here ``exact.autograd``'s."""
    subject = Subject(kernels.name, dtype, batch.name)
    losses, slope_y, slope_z = differentiated
    answers = kernels.forward(batch, dtype)
    near = 2 * roundings(batch) * UNIT_ROUNDOFF[dtype] + 4 * UNIT_ROUNDOFF["float64"] * np.abs(losses).max()
    yield subject.compare("E7", AUTOGRAD, answers.grad_y, slope_y, near)
    yield subject.compare("E7", AUTOGRAD, answers.grad_z, slope_z, near)


def check_every_label(kernels: Kernels, dtype: str, batch: Batch) -> Iterator[Finding]:
    """One image observed with each label in turn: Eq. 1's columns, and so the likelihoods, sum to what they should.

    Sum over i of S_i = sum over y, z of p_y t_z (sum over i of p(i|y,z)): 1, less p_y t_2 for each empty column of C.
    """
    answers = kernels.forward(batch, dtype)
    columns = batch.confusion.sum(0)
    explained = answers.p[0] @ (answers.t[0, 0] + answers.t[0, 1] + answers.t[0, 2] * columns)
    tolerance = batch.num_classes * loss_tolerance(batch, dtype, answers.loss).max()
    subject = Subject(kernels.name, dtype, batch.name)
    yield subject.compare("E1", "labels of one image sum to 1", np.exp(-answers.loss).sum(), explained, tolerance)


def check_bound(kernels: Kernels, dtype: str, batch: Batch, rng: np.random.Generator) -> Iterator[Finding]:
    """Eq. 4: the bound at the kernels' posterior is their log S; at any other distribution it is lower by the KL."""
    subject = Subject(kernels.name, dtype, batch.name)
    answers = kernels.forward(batch, dtype)
    in_q = kernels.forward(batch, dtype, want_q=True)
    allowed = 4 * loss_tolerance(batch, dtype, answers.loss) + 40 * UNIT_ROUNDOFF[dtype]
    entropy = -_sum_x_log(answers.posterior, answers.posterior)
    yield subject.compare("E4", "-Q = -log S + entropy of the posterior", in_q.loss, answers.loss + entropy, allowed)
    for n in np.flatnonzero(batch.is_labelled):
        p, t = eq.softmax(batch.scores_y[n].tolist()), eq.softmax(batch.scores_z[n].tolist())
        i, confusion = int(batch.noisy[n]), batch.confusion.tolist()
        posterior = answers.posterior[n] / answers.posterior[n].sum()
        for away in (0.0, 0.05, 0.5):
            other = _moved(posterior, away, rng)
            bound = eq.eq4_lower_bound(other.tolist(), i, p, t, confusion)
            divergence = float(_sum_x_log(other, other) - _sum_x_log(other, posterior))
            name = "tight at the posterior" if away == 0 else "lower by KL(q || posterior) elsewhere"
            yield subject.compare("E4", name, bound, -answers.loss[n] - divergence, allowed[n])
            if away and np.sort(posterior, axis=None)[-2] > _SHARED:
                yield subject.compare("E4", "nowhere else: KL above 0", float(divergence <= 0), 0, 0)


def _moved(distribution: FloatArray, away: float, rng: np.random.Generator) -> FloatArray:
    """Another distribution over the same cells."""
    other = distribution * np.exp(away * rng.standard_normal(distribution.shape) * 3)
    return np.asarray(other / other.sum())


def _sum_x_log(weights: FloatArray, values: FloatArray) -> FloatArray:
    """Sum over the last two axes of w log v, where 0 log v = 0."""
    logs = np.log(np.where(weights > 0, np.maximum(values, 1e-300), 1.0))
    return np.asarray((weights * logs).sum((-2, -1)))


def check_backward(kernels: Kernels, dtype: str, batch: Batch, rng: np.random.Generator) -> Iterator[Finding]:
    """The weights of Eq. 7: scale on both gradients, update_noise_lr on the noise types' alone, the chain rule."""
    subject = Subject(kernels.name, dtype, batch.name)
    plain = kernels.forward(batch, dtype)
    scale, noise_lr = float(np.float32(rng.uniform(0.01, 0.9))), float(np.float32(rng.uniform(0.01, 0.9)))
    scaled = kernels.forward(batch, dtype, scale=scale, update_noise_lr=noise_lr)
    near = 8 * UNIT_ROUNDOFF[dtype]
    yield subject.compare("E7", "scale: the gradient of a mean", scaled.grad_y, scale * plain.grad_y, near)
    wanted = scale * noise_lr * plain.grad_z
    yield subject.compare("E7", "update_noise_lr on the noise types alone", scaled.grad_z, wanted, near)
    yield subject.compare("E7", "neither changes the loss", scaled.loss, plain.loss, 0)
    size = len(batch.noisy)
    for grad_loss in (rng.standard_normal(size), np.array(rng.standard_normal())):
        weights = grad_loss.astype(np.float32).astype(np.float64)
        in_y, in_z = kernels.backward(weights, scaled.grad_y, scaled.grad_z, dtype)
        column = weights.reshape(-1, 1)
        near = 8 * UNIT_ROUNDOFF[dtype] * max(1.0, float(np.abs(weights).max(initial=0)))
        yield subject.compare("E7", "chain rule", in_y, column * scaled.grad_y, near)
        yield subject.compare("E7", "chain rule", in_z, column * scaled.grad_z, near)
    losses = np.abs(rng.standard_normal(13)).astype(np.float32).astype(np.float64)
    mean = kernels.mean(losses, 13.0, dtype)
    near = (13 + 40) * UNIT_ROUNDOFF[dtype]
    yield subject.compare("E3", "mean of the rows", mean, losses.sum() / 13, near)


def check_authors(kernels: Kernels, dtype: str, case: dict[str, FloatArray], name: str) -> Iterator[Finding]:
    """The answers of the authors' Caffe to the same scores, float32 there; rows it lost to underflow left out."""
    if dtype != FLOAT32:
        return
    batch = Batch(
        f"authors' layer: {name}", case["scores_y"], case["scores_z"], case["noisy"].astype(np.int64), case["C"]
    )
    size, labelled = len(batch.noisy), batch.is_labelled
    weight = float(case["loss_weight"]) / size
    answers = kernels.forward(batch, dtype, True, weight, float(case["update_noise_lr"]))
    subject = Subject(kernels.name, dtype, batch.name)
    rows = np.ones(size, bool)
    if "posterior" in case:
        posterior = case["posterior"].reshape(answers.posterior.shape)
        rows = ~labelled | (posterior.sum((1, 2)) > 0)
        tops = (("posterior", posterior), ("p", case["prob_y"]), ("t", case["prob_z"]))
        for field, wanted in tops:
            answer = getattr(answers, field)
            yield subject.compare("E5", "the authors' layer", answer[rows], wanted.reshape(answer.shape)[rows], 1e-5)
    for field, name in (("grad_y", "diff_y"), ("grad_z", "diff_z")):
        answer, wanted = getattr(answers, field), case[name].reshape(getattr(answers, field).shape)
        largest = max(1e-6, float(np.abs(wanted).max()))
        yield subject.compare("E7", "the authors' layer", answer[rows], wanted[rows], 1e-5 * largest)
    if rows.all():
        loss = float(case["loss"])
        yield subject.compare("E6", "the authors' layer", answers.loss.sum() / size, loss, 1e-5 * max(1.0, abs(loss)))


def check_agreement(kernels: Kernels, others: Kernels, dtype: str, batch: Batch) -> Iterator[Finding]:
    """Two implementations of one header: what they answer to one question differs by roundings alone."""
    subject = Subject(kernels.name, dtype, batch.name)
    mine, theirs = kernels.forward(batch, dtype), others.forward(batch, dtype)
    near = 2 * roundings(batch) * UNIT_ROUNDOFF[dtype]
    for row, name in (("E5", "posterior"), ("E5", "p"), ("E5", "t"), ("E7", "grad_y"), ("E7", "grad_z")):
        yield subject.compare(row, f"the same as {others.name}", getattr(mine, name), getattr(theirs, name), near)
    allowed = 2 * loss_tolerance(batch, dtype, theirs.loss)
    yield subject.compare("E3", f"the same as {others.name}", mine.loss, theirs.loss, allowed)
