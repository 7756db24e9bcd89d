"""Random batches for the label noise tests: all sizes different, C asymmetric."""

from typing import NamedTuple

import torch
from torch import Tensor


class Batch(NamedTuple):
    scores_y: Tensor  # (B, L)
    scores_z: Tensor  # (B, 3)
    noisy: Tensor  # (B,) int64
    C: Tensor  # (L, L), [noisy, true]


def confusion(num_classes: int, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Columns sum to 1, zero diagonal; about half of the other elements are zero, and one column is all zero."""
    weights = torch.rand(num_classes, num_classes, generator=generator, dtype=torch.float64)
    weights *= torch.rand(num_classes, num_classes, generator=generator) < 0.5
    weights.fill_diagonal_(0)
    if num_classes > 2:
        weights[:, 1] = 0
    sums = weights.sum(0)
    return (weights / torch.where(sums == 0, 1, sums)).to(dtype)


def batch(
    batch_size: int = 7, num_classes: int = 5, scale: float = 3, dtype: torch.dtype = torch.float64, seed: int = 0
) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    scores_y = scale * torch.randn(batch_size, num_classes, generator=generator, dtype=torch.float64)
    scores_z = scale * torch.randn(batch_size, 3, generator=generator, dtype=torch.float64)
    noisy = torch.randint(num_classes, (batch_size,), generator=generator)
    return Batch(scores_y.to(dtype), scores_z.to(dtype), noisy, confusion(num_classes, generator, dtype))
