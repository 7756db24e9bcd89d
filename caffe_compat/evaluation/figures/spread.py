"""Several runs as one: mean, range and deviation over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def mean_and_deviation(values: Sequence[float], digits: int = 3) -> str:
    """``0.890 ± 0.004`` (sample standard deviation), or ``0.890`` for a single value."""
    mean = f"{statistics.fmean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


def runs(count: int) -> str:
    """``one run`` or ``mean and range of 3 runs``, for a title."""
    return "one run" if count == 1 else f"mean and range of {count} runs"
