"""Is this a confusion matrix? Asked when a loss is built and whenever weights are loaded into it."""

from __future__ import annotations

import torch
from torch import Tensor

COLUMN_TOLERANCE = 1e-4  # columns come from float32 files


def check_confusion(C: Tensor) -> None:
    """Raise ValueError unless ``C`` can be indexed [noisy, true] as p(noisy | true, confusing noise).

    That is: shape (L, L) with L >= 2; entries not negative; each column of sum 1 within 1e-4, or all zero ("never
    confused with anything"). Rows may be anything.
    """
    if C.dim() != 2 or C.shape[0] != C.shape[1] or C.shape[0] < 2:
        raise ValueError(f"C: expected shape (L, L) with L >= 2, got {tuple(C.shape)}")
    if not C.is_floating_point():
        raise ValueError(f"C: expected a floating-point type, got {C.dtype}")
    values = C.detach().to("cpu", torch.float64)
    if not bool((values >= 0).all()):
        noisy, true = torch.nonzero(~(values >= 0))[0].tolist()
        raise ValueError(f"C: expected probabilities, got {values[noisy, true]:g} at [noisy {noisy}, true {true}]")
    sums = values.sum(0)
    wrong = ~((sums - 1).abs() <= COLUMN_TOLERANCE) & (sums != 0)
    if bool(wrong.any()):
        true = int(torch.nonzero(wrong)[0])
        transposed = bool(((values.sum(1) - 1).abs() <= COLUMN_TOLERANCE).all())
        hint = "; its rows do: C is indexed [noisy, true]" if transposed else ""
        raise ValueError(f"C: expected columns that sum to 1 or are zero, got {sums[true]:g} in column {true}{hint}")


def decay_warning(C: Tensor) -> str | None:
    """What to warn of if ``C`` is one whose columns, but for those of zeros, have shrunk alike, else None.

    That is what weight decay makes of it.
    """
    sums = C.detach().to("cpu", torch.float64).sum(0)
    sums = sums[sums != 0]
    if not len(sums) or not 0 < sums.max() < 1 - COLUMN_TOLERANCE or sums.min() < sums.max() * (1 - COLUMN_TOLERANCE):
        return None
    return f"C: weight decay has shrunk it to {float(sums.mean()):g} of itself; param {{ lr_mult: 0 }} keeps it"


def diagonal_warning(C: Tensor) -> str | None:
    """What to warn of if ``C`` calls right labels confusing noise, else None."""
    diagonal = C.detach().diagonal()
    if not bool((diagonal != 0).any()):
        return None
    true = int(torch.nonzero(diagonal)[0])
    return f"C: expected a zero diagonal, got {float(diagonal[true]):g} for class {true}; used as it is"
