"""What a check says: how far an answer is from its witness, and how far it may be."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Finding:
    """One comparison.

    Attributes:
        row: the ledger row it belongs to, "E5".
        witness: what the answer was compared with.
        kernels, dtype: whose answer it is.
        case: the batch.
        error, tolerance: in the units of ``witness``; NaN, whatever makes it, is a failure.
    """

    row: str
    witness: str
    kernels: str
    dtype: str
    case: str
    error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        return self.error <= self.tolerance

    @property
    def severity(self) -> float:
        """Error over tolerance: above 1 is a failure."""
        if math.isnan(self.error):
            return math.inf
        if self.tolerance > 0:
            return self.error / self.tolerance
        return math.inf if self.error > 0 else 0.0

    def __str__(self) -> str:
        return (
            f"[{self.row}] {self.witness} ({self.kernels}, {self.dtype}; {self.case}): "
            f"error {self.error:.3g}, allowed {self.tolerance:.3g}"
        )


class Findings:
    """All findings of a run; of each row, witness, implementation and precision only the worst beside its tolerance is
    kept, and of each row, implementation and precision the largest error.
    """

    def __init__(self) -> None:
        self.worst: dict[tuple[str, str, str, str], Finding] = {}
        self.largest: dict[tuple[str, str, str], float] = {}
        self.count = 0
        self.failures: list[Finding] = []

    def add(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self.count += 1
            key = finding.row, finding.witness, finding.kernels, finding.dtype
            if key not in self.worst or finding.severity > self.worst[key].severity:
                self.worst[key] = finding
            column = finding.row, finding.kernels, finding.dtype
            self.largest[column] = max(self.largest.get(column, 0.0), finding.error)
            if not finding.passed:
                self.failures.append(finding)

    def of(self, row: str) -> list[Finding]:
        return [finding for (of_row, *_), finding in self.worst.items() if of_row == row]


@dataclass(frozen=True)
class Subject:
    """Whose answers on which batch: what the findings of one check have in common."""

    kernels: str
    dtype: str
    case: str

    def compare(
        self,
        row: str,
        witness: str,
        answer: npt.ArrayLike,
        expected: npt.ArrayLike,
        tolerance: npt.ArrayLike,
    ) -> Finding:
        """The element that is worst beside its own tolerance; shapes broadcast. An empty comparison passes."""
        errors = np.abs(np.asarray(answer, np.float64) - np.asarray(expected, np.float64))
        allowed = np.broadcast_to(np.asarray(tolerance, np.float64), errors.shape)
        if errors.size == 0:
            return Finding(row, witness, self.kernels, self.dtype, self.case, 0.0, float(np.max(tolerance, initial=0)))
        with np.errstate(divide="ignore", invalid="ignore"):
            severity = np.where(errors == 0, 0.0, errors / allowed)
        worst = np.unravel_index(int(np.argmax(np.where(np.isnan(severity), np.inf, severity))), errors.shape)
        return Finding(row, witness, self.kernels, self.dtype, self.case, float(errors[worst]), float(allowed[worst]))
