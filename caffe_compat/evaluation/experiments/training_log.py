"""What a finished training run says in its log: test outputs, losses, time per iteration."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from caffe_compat.solver.log_parser import LogParser, Run, join_resumed


class TrainingLog:
    """The lines of one log, read one after another with :meth:`add`: its last run, with those that it goes on from.

    A resumed run's lines win over those of the run it goes on from.
    """

    def __init__(self) -> None:
        self._parser = LogParser()

    @classmethod
    def read(cls, lines: Iterable[str]) -> TrainingLog:
        log = cls()
        for line in lines:
            log.add(line)
        return log

    def add(self, line: str) -> None:
        self._parser.add(line)

    @property
    def tests(self) -> dict[int, dict[str, float]]:
        """{iteration: {output: value}} of the first test net."""
        return self._tests_of(0)

    @property
    def validations(self) -> dict[int, dict[str, float]]:
        """{iteration: {output: value}} of the second test net, which reads the validation split where there is one."""
        return self._tests_of(1)

    @property
    def losses(self) -> dict[int, float]:
        """{iteration: displayed (averaged) training loss}."""
        return self._run.losses

    @property
    def seconds_per_iteration(self) -> float | None:
        """Median over the displayed intervals, so that the few with a test in them do not count; None without any."""
        seconds = self._run.interval_seconds
        return statistics.median(seconds) if seconds else None

    def _tests_of(self, net: int) -> dict[int, dict[str, float]]:
        return {row.iteration: row.outputs for row in self._run.tests.get(net, [])}

    @property
    def _run(self) -> Run:
        runs = join_resumed(self._parser.runs)
        return runs[-1] if runs else Run()
