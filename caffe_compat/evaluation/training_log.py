"""What a finished training run says in its log: test outputs, losses, time per iteration."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field

_TESTING = re.compile(r"\] Iteration (\d+), Testing net \(#0\)")
_TEST_OUTPUT = re.compile(r"\] +Test net output #\d+: (\S+) = (\S+)")
_DISPLAY = re.compile(r"\] Iteration (\d+)(?: \(\S+ iter/s, (\S+)s/(\d+) iters\))?, loss = (\S+)")


@dataclass
class TrainingLog:
    """The lines of one log, read one after another with :meth:`add`. A resumed run's later lines win.

    Attributes:
        tests: {iteration: {output: value}} of the first test net.
        losses: {iteration: displayed (averaged) training loss}.
    """

    tests: dict[int, dict[str, float]] = field(default_factory=dict)
    losses: dict[int, float] = field(default_factory=dict)
    _interval_seconds: list[float] = field(default_factory=list)
    _testing: int = 0

    @classmethod
    def read(cls, lines: Iterable[str]) -> TrainingLog:
        log = cls()
        for line in lines:
            log.add(line)
        return log

    def add(self, line: str) -> None:
        if match := _TESTING.search(line):
            self._testing = int(match[1])
            self.tests[self._testing] = {}
        elif match := _TEST_OUTPUT.search(line):
            self.tests.setdefault(self._testing, {})[match[1]] = float(match[2])
        elif match := _DISPLAY.search(line):
            self.losses[int(match[1])] = float(match[4])
            if match[2] and int(match[1]):  # the line of iteration 0 times the start of the run
                self._interval_seconds.append(float(match[2]) / int(match[3]))

    @property
    def seconds_per_iteration(self) -> float | None:
        """Median over the displayed intervals, so that the few with a test in them do not count; None without any."""
        return statistics.median(self._interval_seconds) if self._interval_seconds else None
