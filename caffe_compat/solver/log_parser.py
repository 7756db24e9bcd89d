"""Reading Caffe's training logs, ours or those of ten years ago, and the tables that Caffe's parse_log.py makes."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

_NUMBER = r"([-+]?(?:nan|inf|(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?))"
_COUNT = r"(\d{1,18})"
_GLOG = re.compile(r"[IWEF](\d{4})?(\d\d)(\d\d) (\d\d):(\d\d):(\d\d)\.(\d{6}) +\d+ \S+\] (.*)")
_RESUMING = re.compile(r"Resuming from |Restoring previous solver status from ")
_TESTING = re.compile(rf"Iteration {_COUNT}, Testing net \(#{_COUNT}\)")
_DISPLAY = re.compile(rf"Iteration {_COUNT}(?: \(\S+ iter/s, {_NUMBER}s/{_COUNT} iters?\))?, loss = {_NUMBER}")
_RATE = re.compile(rf"Iteration \d+, lr = {_NUMBER}")
_OUTPUT = re.compile(rf" *(Train|Test) net output #\d+: (\S+) = {_NUMBER}( \(\* .* loss\))?")


@dataclass
class Row:
    """The outputs of a net at one iteration.

    Attributes:
        seconds: since the log's first "Solving" line.
        learning_rate: the last one shown before; NaN before the first.
        outputs: {blob: value}; of a blob with several elements the last.
        losses: the names of those that are part of the loss.
    """

    iteration: int
    seconds: float
    learning_rate: float
    outputs: dict[str, float] = field(default_factory=dict)
    losses: set[str] = field(default_factory=set)


@dataclass
class Run:
    """What one call of the solver logged.

    Attributes:
        resumed: whether it went on from a snapshot.
        train: the train net's outputs at each display.  tests: the same at each test, by number of the test net.
        losses: {iteration: displayed (averaged) training loss}.
        interval_seconds: seconds per iteration of each displayed interval; none in logs of before 2016.
    """

    resumed: bool = False
    train: list[Row] = field(default_factory=list)
    tests: dict[int, list[Row]] = field(default_factory=dict)
    losses: dict[int, float] = field(default_factory=dict)
    interval_seconds: list[float] = field(default_factory=list)


class LogParser:
    """Takes a log line by line; ``runs`` grows.

    A line is one of glog's, with the year in its date or without; all others, and those whose date or numbers are
    none, are passed over. "Solving" starts a new
    run, and a log that begins in the middle of one is taken as that.

    Args:
        year: the year of the first line, for dates without one.
    """

    def __init__(self, year: int = 2000) -> None:
        self.runs: list[Run] = []
        self._year = year
        self._start: datetime | None = None
        self._last: datetime | None = None
        self._rate = math.nan
        self._resuming = False
        self._heading: tuple[str, int, list[Row]] | None = None  # whose outputs come next, at which iteration
        self._row: Row | None = None

    def add(self, line: str) -> None:
        found = _GLOG.search(line)
        if found is None:
            return
        time, message = self._time(found), found[8]
        if time is None:
            return
        if message.startswith("Solving "):
            self._start_run(time)
        elif _RESUMING.match(message):
            self._resume()
        elif match := _TESTING.match(message):
            self._head("Test", int(match[1]), self._run.tests.setdefault(int(match[2]), []))
        elif match := _DISPLAY.match(message):
            self._display(int(match[1]), match)
        elif match := _RATE.match(message):
            self._rate = float(match[1])
        elif match := _OUTPUT.match(message):
            self._add_output(time, *match.groups())

    @property
    def _run(self) -> Run:
        if not self.runs:
            self.runs.append(Run(resumed=self._resuming))
        return self.runs[-1]

    def _start_run(self, time: datetime) -> None:
        self._start = self._start or time
        self.runs.append(Run(resumed=self._resuming))
        self._resuming, self._heading = False, None

    def _resume(self) -> None:
        """Caffe's tool resumes before "Solving", ``Solver.solve(snapshot)`` right after it."""
        if self.runs and not (self.runs[-1].train or self.runs[-1].tests or self.runs[-1].losses):
            self.runs[-1].resumed = True
        else:
            self._resuming = True

    def _head(self, kind: str, iteration: int, rows: list[Row]) -> None:
        self._heading, self._row = (kind, iteration, rows), None

    def _display(self, iteration: int, match: re.Match[str]) -> None:
        run = self._run
        run.losses[iteration] = float(match[4])
        if match[2] and iteration and int(match[3]):  # the line of iteration 0 times the start of the run
            run.interval_seconds.append(float(match[2]) / int(match[3]))
        self._head("Train", iteration, run.train)

    def _add_output(self, time: datetime, kind: str, name: str, value: str, loss: str | None) -> None:
        if self._heading is None or self._heading[0] != kind:
            return
        if self._row is None:
            self._start = self._start or time
            _, iteration, rows = self._heading
            self._row = Row(iteration, (time - self._start).total_seconds(), self._rate)
            rows.append(self._row)
        self._row.outputs[name] = float(value)
        if loss:
            self._row.losses.add(name)

    def _time(self, found: re.Match[str]) -> datetime | None:
        """When a line was written; None if there is no such time."""
        month, day, hour, minute, second, micros = (int(found[group]) for group in range(2, 8))
        year = int(found[1] or self._year)
        if not found[1] and self._last is not None and month < self._last.month:
            year += 1
        try:
            # a sum, not a date: 29 February must not fail where the year is a guess
            time = datetime(year, month, 1, hour, minute, second, micros) + timedelta(days=day - 1)
        except (ValueError, OverflowError):
            return None
        self._year, self._last = year, time
        return time


def parse_log(path: str | os.PathLike[str]) -> list[Run]:
    """The runs of a log file; it was last written in the year of its first line, for all we know."""
    parser = LogParser(year=datetime.fromtimestamp(os.stat(path).st_mtime).year)
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            parser.add(line)
    return parser.runs


def join_resumed(runs: Iterable[Run]) -> list[Run]:
    """The runs, each with those that went on from its snapshots in it; what they did again replaces the first try."""
    joined: list[Run] = []
    for run in runs:
        if run.resumed and joined:
            joined[-1] = _joined(joined[-1], run)
        else:
            joined.append(run)
    return joined


def _joined(run: Run, later: Run) -> Run:
    tests = {net: run.tests.get(net, []) for net in sorted({*run.tests, *later.tests})}
    firsts = [rows[0].iteration for rows in [later.train, *later.tests.values()] if rows]
    first = min([*firsts, *later.losses], default=None)

    def kept(rows: list[Row]) -> list[Row]:
        return [row for row in rows if first is None or row.iteration < first]

    return Run(
        run.resumed,
        kept(run.train) + later.train,
        {net: kept(rows) + later.tests.get(net, []) for net, rows in tests.items()},
        {at: loss for at, loss in run.losses.items() if first is None or at < first} | later.losses,
        run.interval_seconds + later.interval_seconds,
    )


def table(rows: list[Row]) -> list[dict[str, float]]:
    """Rows as Caffe's parse_log.py has them: ``NumIters``, ``Seconds``, ``LearningRate`` and the outputs by name.

    A first row without a learning rate takes the second's. Source: tools/extra/parse_log.py, whose iterations are
    floats too.
    """
    records = [
        {"NumIters": float(row.iteration), "Seconds": row.seconds, "LearningRate": row.learning_rate, **row.outputs}
        for row in rows
    ]
    if len(records) > 1:
        records[0]["LearningRate"] = records[1]["LearningRate"]
    return records
