"""The EM property: gradient steps on Q, taken with the kernels' posterior, never lower the likelihood (section 3.1)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from caffe_compat.arrays import FloatArray
from caffe_compat.label_noise.audit.batches import Batch, draw_confusion, in_float32
from caffe_compat.label_noise.audit.exact import Exact
from caffe_compat.label_noise.audit.findings import Finding, Subject
from caffe_compat.label_noise.audit.kernels import UNIT_ROUNDOFF, Kernels
from caffe_compat.label_noise.audit.model_checks import loss_tolerance, roundings

_ITERATIONS, _HALVINGS = 12, 30


def check_em(kernels: Kernels, dtype: str, rng: np.random.Generator) -> Iterator[Finding]:
    """EM on two linear models of the same features; each M-step is shortened until Q has not fallen."""
    size, num_features, num_classes = 24, 3, 4
    features = rng.standard_normal((size, num_features))
    weights = rng.standard_normal((num_features, num_classes)), rng.standard_normal((num_features, 3))
    noisy, confusion = rng.integers(0, num_classes, size), draw_confusion(rng, num_classes)
    subject = Subject(kernels.name, dtype, f"EM on linear models: {size} samples, L = {num_classes}")

    def batch_of(parameters: tuple[FloatArray, FloatArray]) -> Batch:
        scores_y, scores_z = (in_float32(features @ each) for each in parameters)
        return Batch(subject.case, scores_y, scores_z, noisy, confusion)

    batch = batch_of(weights)
    answers = kernels.forward(batch, dtype)
    first_loss = answers.loss.sum()
    for _ in range(_ITERATIONS):
        near = 2 * loss_tolerance(batch, dtype, answers.loss).sum()
        steps = features.T @ answers.grad_y, features.T @ answers.grad_z
        before = _q(answers.q, answers.r, batch)
        rate = 1.0
        for _ in range(_HALVINGS):
            moved = weights[0] - rate * steps[0], weights[1] - rate * steps[1]
            if _q(answers.q, answers.r, batch_of(moved)) >= before:
                break
            rate /= 2
        weights, batch = moved, batch_of(moved)
        previous, answers = answers.loss.sum(), kernels.forward(batch, dtype)
        risen = max(0.0, answers.loss.sum() - previous)
        yield subject.compare("E6", "EM: the likelihood never falls", risen, 0, near)
    has_learned = first_loss - answers.loss.sum() > 0.1
    yield subject.compare("E6", "EM: and it rises", float(not has_learned), 0, 0)


def _q(q: FloatArray, r: FloatArray, batch: Batch) -> float:
    """Q of Eq. 6 as far as it depends on the parameters: sum of q_y log p_y + r_z log t_z."""
    log_p, log_t = (x - np.logaddexp.reduce(x, axis=1, keepdims=True) for x in (batch.scores_y, batch.scores_z))
    return float((q * log_p).sum() + (r * log_t).sum())


def check_e_step(kernels: Kernels, dtype: str, batch: Batch, exact: Exact) -> Iterator[Finding]:
    """KL(q || posterior) = 0 for the kernels' q: the E-step is exact. To second order in the rounding errors."""
    answers = kernels.forward(batch, dtype)
    cells = exact.posterior > 0
    ratio = np.where(cells, answers.posterior / np.where(cells, exact.posterior, 1), 1)
    # sum of q log(q / posterior) = sum of posterior (x log x - x + 1) for x = q / posterior, where both sum to 1
    divergence = (exact.posterior * (ratio * np.log(np.where(ratio > 0, ratio, 1)) - ratio + 1)).sum((1, 2))
    near = roundings(batch) * UNIT_ROUNDOFF[dtype]
    subject = Subject(kernels.name, dtype, batch.name)
    yield subject.compare("E5", "KL(q || posterior) = 0 at the E-step", divergence, 0, near**2 + 1e-15)
