"""When two images are one. Worker processes import this."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Thresholds:
    """docs/results/near_duplicates.md has what the defaults find, and what they take wrongly.

    Attributes:
        coarse: candidates differ in so many of 64 bits at most.
        candidate: and in so many of 256.
        fine: a candidate that differs in so many of 256 bits at most is a duplicate.
        correlation: a candidate that correlates so well where it fits best is one too.
    """

    coarse: int = 12
    candidate: int = 80
    fine: int = 40
    correlation: float = 0.95
