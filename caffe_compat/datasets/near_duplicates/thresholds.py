"""When two images are one. Worker processes import this."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Thresholds:
    """docs/results/near_duplicates.md has what the defaults find, and what they take wrongly.

    Attributes:
        coarse: candidates differ in so many of 64 bits at most.
        candidate: and in so many of 256.
        fine: a candidate that differs in so many of 256 bits at most is a duplicate, if it also correlates by
            ``least_correlation`` where it fits best. Marked copies do so by 0.67, brighter ones by 0.89, pictures
            that have nothing in common by 0.2, seldom by 0.4.
        correlation: a candidate that correlates so well where it fits best is one too.
    """

    coarse: int = 12
    candidate: int = 80
    fine: int = 40
    correlation: float = 0.95
    least_correlation: float = 0.5
