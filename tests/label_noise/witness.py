"""Batches for the label noise model, and what autograd says of them in float64 through log-sum-exp."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Batch(NamedTuple):
    scores_y: Tensor  # (B, L)
    scores_z: Tensor  # (B, 3)
    noisy: Tensor  # (B) int64
    C: Tensor  # (L, L), indexed [noisy, true]

    def to(self, device: torch.device, dtype: torch.dtype) -> "Batch":
        floats = (tensor.to(device, dtype) for tensor in (self.scores_y, self.scores_z, self.C))
        scores_y, scores_z, C = floats
        return Batch(scores_y.requires_grad_(), scores_z.requires_grad_(), self.noisy.to(device), C)


def random_confusion(num_classes: int, seed: int = 0) -> Tensor:
    """A sparse, asymmetric C with zero diagonal; one column is zero, and the row of class 0 too where L > 2."""
    rng = np.random.RandomState(seed)
    C = rng.rand(num_classes, num_classes) * (rng.rand(num_classes, num_classes) < 0.6)
    np.fill_diagonal(C, 0)
    if num_classes > 2:
        C[0], C[:, num_classes - 1] = 0, 0
    sums = C.sum(0)
    C = np.divide(C, sums, out=np.zeros_like(C), where=sums > 0)
    return torch.from_numpy(C.astype(np.float32)).double()  # so that float32 and float64 have the same C


def random_batch(batch_size: int, num_classes: int, seed: int = 0, scale: float = 3.0) -> Batch:
    """float32 values, as float64: the same batch in any precision. The first row's label is 0, the last's -1."""
    rng = np.random.RandomState(seed)
    scores_y = (scale * rng.randn(batch_size, num_classes)).astype(np.float32)
    scores_z = (scale * rng.randn(batch_size, 3)).astype(np.float32)
    noisy = rng.randint(0, num_classes, batch_size)
    noisy[0], noisy[-1] = 0, -1
    as_double = (torch.from_numpy(array).double() for array in (scores_y, scores_z))
    return Batch(*as_double, torch.from_numpy(noisy), random_confusion(num_classes, seed))


def conditional(batch: Batch) -> Tensor:
    """p(i | y, z), Eq. 1, for labelled rows: (B, L, 3)."""
    num_classes = batch.scores_y.shape[1]
    is_noisy = torch.nn.functional.one_hot(batch.noisy, num_classes).double()
    return torch.stack([is_noisy, (1 - is_noisy) / (num_classes - 1), batch.C[batch.noisy]], dim=2)


def log_joint(batch: Batch) -> Tensor:
    """log p(i, y, z | x), Eq. 2, for labelled rows: (B, L, 3)."""
    log_p, log_t = batch.scores_y.log_softmax(1), batch.scores_z.log_softmax(1)
    return conditional(batch).log() + log_p[:, :, None] + log_t[:, None, :]


def rows(batch: Batch, value: str = "nll") -> Tensor:
    """(B), -log S or -Q with the posterior held fixed, by autograd's means alone; 0 where there is no label."""
    labelled = batch.noisy >= 0
    known = Batch(batch.scores_y[labelled], batch.scores_z[labelled], batch.noisy[labelled], batch.C)
    joint = log_joint(known)
    losses = -joint.logsumexp((1, 2))
    if value == "q":
        posterior = (joint + losses[:, None, None]).exp().detach()
        losses = -(posterior * joint.where(posterior > 0, 0.0)).sum((1, 2))
    return torch.zeros(len(labelled), dtype=torch.float64).masked_scatter(labelled, losses)


def posterior(batch: Batch) -> Tensor:
    """(B, L, 3), Eq. 5; zeros where there is no label."""
    labelled = batch.noisy >= 0
    known = Batch(batch.scores_y[labelled], batch.scores_z[labelled], batch.noisy[labelled], batch.C)
    joint = log_joint(known)
    result = torch.zeros(*batch.scores_y.shape, 3, dtype=torch.float64)
    result[labelled] = (joint - joint.logsumexp((1, 2), keepdim=True)).exp().detach()
    return result


def gradients(loss: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Of ``loss`` in scores_y and scores_z."""
    grads = torch.autograd.grad(loss, (batch.scores_y, batch.scores_z))
    return grads[0], grads[1]
