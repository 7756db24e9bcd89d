"""One process for each GPU of this machine, as torchrun would start them, but with Caffe's signals.

torchrun takes Ctrl-C and hang-ups for the end; here they are the root's, who stops or takes a snapshot.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

from torch import multiprocessing

from caffe_compat.cli.common import DONE, FAILED, command
from caffe_compat.glog import log_files, log_to_file
from caffe_compat.solver.ranks import Seat

_Task = TypeVar("_Task")


def run_on_each(count: int, function: Callable[[_Task, Seat], int], task: _Task) -> int:
    """Call ``function(task, seat)`` in ``count`` new processes; function and task must be picklable.

    When one fails the others are ended. Returns an exit code: of those that failed the highest, else 0.
    """
    with tempfile.TemporaryDirectory() as folder:
        seats = (count, f"file://{folder}/meeting")
        processes = multiprocessing.start_processes(
            _begin, (function, task, *seats, log_files()), nprocs=count, join=False, start_method="spawn"
        )
        _forward_to(processes.processes[0].pid)
        try:
            while not processes.join():
                pass
        except multiprocessing.ProcessExitedException:
            return max([process.exitcode for process in processes.processes if process.exitcode > 0], default=FAILED)
        finally:
            for number in _FORWARDED:
                signal.signal(number, signal.SIG_DFL)
    return DONE


_FORWARDED = (signal.SIGINT, signal.SIGHUP)


def _forward_to(pid: int) -> None:
    """From now on Ctrl-C and hang-ups are for the process ``pid``."""

    def forward(number: int, frame: FrameType | None) -> None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass  # it has just ended

    for number in _FORWARDED:
        signal.signal(number, forward)


def _begin(
    rank: int, function: Callable[[Any, Seat], int], task: Any, count: int, meeting: str, logs: list[str]
) -> None:
    """What a new process does."""
    os.setpgrp()  # a terminal's signals go to the first process alone, which hands them on
    if rank == 0:
        for path in logs:
            log_to_file(path)
    seat = Seat(rank, count, rank, count, meeting)
    code = command(lambda _: function(task, seat))()
    if code != DONE:
        sys.exit(code)
