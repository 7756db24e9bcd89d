"""One process for each GPU of this machine, as torchrun would start them, but with Caffe's signals.

torchrun takes Ctrl-C and hang-ups for the end; here they are the root's, who stops or takes a snapshot.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, TypeVar

from torch import multiprocessing

from caffe_compat.cli.common import DONE, FAILED, command
from caffe_compat.glog import log_files, log_to_file
from caffe_compat.solver.ranks import LostRankError, Seat

_Task = TypeVar("_Task")
_GRACE = 10.0  # seconds until one that has lost another ends too: the one with the reason shall be found first


def run_on_each(count: int, function: Callable[[_Task, Seat], int], task: _Task) -> int:
    """Call ``function(task, seat)`` in ``count`` new processes; function and task must be picklable.

    When one fails the others are ended. Returns an exit code: that of the first that failed, else 0.
    """
    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)  # that it ends the others
    with tempfile.TemporaryDirectory() as folder:
        arguments = (function, task, count, f"file://{folder}/meeting", log_files())
        processes = multiprocessing.start_processes(_begin, arguments, nprocs=count, join=False, start_method="spawn")
        with _signals_go_to(processes.processes[0].pid):
            try:
                while not processes.join():
                    pass
            except multiprocessing.ProcessExitedException as exc:
                if exc.signal_name is None:
                    return exc.exit_code
                print(f"process {exc.error_index} of {count} was ended by {exc.signal_name}", file=sys.stderr)
                return FAILED
    return DONE


@contextlib.contextmanager
def _signals_go_to(pid: int) -> Iterator[None]:
    """Ctrl-C and hang-ups that come to this process while the block runs are for the process ``pid``."""

    def forward(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.kill(pid, number)

    before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _begin(
    rank: int, function: Callable[[Any, Seat], int], task: Any, count: int, meeting: str, logs: list[str]
) -> None:
    """What a new process does."""
    os.setpgrp()  # a terminal's signals go to the first process alone, which hands them on
    if rank == 0:
        for path in logs:
            log_to_file(path)
    seat = Seat(rank, count, rank, count, meeting)

    def run(_: object) -> int:
        try:
            return function(task, seat)
        except LostRankError:
            time.sleep(_GRACE)
            return FAILED

    code = command(run)()
    if code != DONE:
        sys.exit(code)
