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
from collections.abc import Callable, Collection, Iterator
from types import FrameType
from typing import Any, TypeVar

from torch import multiprocessing

from caffe_compat.cli.common import DONE, FAILED, command
from caffe_compat.glog import log_files, log_to_file
from caffe_compat.solver.ranks import LostRankError, Seat

_Task = TypeVar("_Task")
_FOR_THE_ROOT = (signal.SIGINT, signal.SIGHUP)
_GRACE = 10.0  # seconds until one that has lost another ends too: the one with the reason shall be found first


def run_on_each(count: int, function: Callable[[_Task, Seat], int], task: _Task) -> int:
    """Call ``function(task, seat)`` in ``count`` new processes; function and task must be picklable.

    When one fails the others are ended. Returns an exit code: that of the first that failed, else 0.
    """
    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)  # that it ends the others
    with tempfile.TemporaryDirectory() as folder, _signals_for(children := []):
        arguments = (function, task, count, f"file://{folder}/meeting", log_files())
        with _blocked(_FOR_THE_ROOT):  # a new process has the mask too, until it can do something about a signal
            processes = multiprocessing.start_processes(_begin, arguments, count, join=False, start_method="spawn")
            children += processes.pids()
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
def _signals_for(children: list[int]) -> Iterator[None]:
    """While the block runs, Ctrl-C and hang-ups are for the first of the processes; the rest, Ctrl-Z too, for all."""

    def hand_on(number: int, frame: FrameType | None) -> None:
        for pid in children[:1] if number in _FOR_THE_ROOT else children:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(pid, signal.SIGSTOP if number == signal.SIGTSTP else number)
        if number == signal.SIGTSTP:
            os.kill(os.getpid(), signal.SIGSTOP)  # the shell waits for this one

    handed_on = (*_FOR_THE_ROOT, signal.SIGTERM, signal.SIGTSTP, signal.SIGCONT)
    before = {number: signal.signal(number, hand_on) for number in handed_on}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _blocked(signals: Collection[signal.Signals]) -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _FOR_THE_ROOT)
        try:
            return function(task, seat)
        except LostRankError:
            time.sleep(_GRACE)
            raise

    code = command(run)()
    if code != DONE:
        sys.stderr.flush()
        os._exit(code)  # without NCCL's farewell, which would wait for the others
