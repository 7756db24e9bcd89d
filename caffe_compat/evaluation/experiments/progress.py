"""One line on stderr about the stage that is running: redrawn on a terminal, a line per test elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TextIO

from caffe_compat.evaluation.experiments.training_log import TrainingLog

_SECONDS_PER_LINE = 10.0  # where lines stay


class Progress:
    """``seed 1: ours   1500/6000   loss 1.52   test accuracy 0.667   9.1 iterations/s   8 min left``"""

    def __init__(self, title: str, max_iter: int, stream: TextIO | None = None) -> None:
        self._title, self._max_iter = title, max_iter
        self._stream = stream or sys.stderr
        self._redraws = self._stream.isatty()
        self._began = time.monotonic()
        self._tests_shown = 0
        self._last_shown = self._began

    def __enter__(self) -> Progress:
        self._write(f"{self._title}: starting")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        minutes, seconds = divmod(round(time.monotonic() - self._began), 60)
        self._write(f"{self._title}: {'stopped' if exc else 'ended'} after {minutes} min {seconds:02d} s", last=True)

    def show(self, log: TrainingLog) -> None:
        """Tell how far the run is; without a terminal only after a test."""
        tests = [outputs for outputs in log.tests.values() if "accuracy" in outputs]
        if self._redraws or len(tests) > self._tests_shown:
            self._tests_shown = len(tests)
            self._write(self._line(log, tests[-1]["accuracy"] if tests else None))

    def show_predicted(self, done: int, count: int) -> None:
        """Tell how many images an earlier stage's net has been asked about; without a terminal every ten seconds."""
        now = time.monotonic()
        if self._redraws or now - self._last_shown > _SECONDS_PER_LINE:
            self._last_shown = now
            self._write(f"{self._title}: estimating p(noisy | true), {done}/{count} images")

    def _line(self, log: TrainingLog, accuracy: float | None) -> str:
        done = max([*log.losses, *log.tests], default=0)
        parts = [f"{self._title}: {done}/{self._max_iter}"]
        if log.losses:
            parts.append(f"loss {log.losses[max(log.losses)]:.3g}")
        if accuracy is not None:
            parts.append(f"test accuracy {accuracy:.4f}")
        if per_iteration := log.seconds_per_iteration:
            left = per_iteration * (self._max_iter - done)
            parts += [f"{1 / per_iteration:.3g} iterations/s", f"{left / 60:.1f} min left"]
        return "   ".join(parts)

    def _write(self, text: str, last: bool = False) -> None:
        if self._redraws:
            self._stream.write(f"\r\033[K{text}" + ("\n" if last else ""))
        else:
            self._stream.write(text + "\n")
        self._stream.flush()
