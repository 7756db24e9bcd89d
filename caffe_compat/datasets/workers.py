"""Work on many files or records in processes of its own: in order, a bounded amount ahead, with a rate told.

Worker processes import the module of the function they run: such modules stay light.
"""

from __future__ import annotations

import itertools
import logging
import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import cv2

from caffe_compat.errors import DataError

logger = logging.getLogger("caffe_compat")

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_CHUNKS_AHEAD = 4  # of each process
_SECONDS_BETWEEN_LINES = 10.0


def in_processes(
    function: Callable[[_Item], _Result], items: Iterable[_Item], processes: int, chunk: int = 64
) -> Iterator[_Result]:
    """``map`` in worker processes, in order. One process, or no more than one chunk: right here.

    Raises: DataError if a worker process dies (a decoder that crashes on a file, no memory left).
    """
    chunks = _chunks(items, chunk)
    first = list(itertools.islice(chunks, 2))
    if processes == 1 or len(first) < 2:
        yield from (function(item) for group in itertools.chain(first, chunks) for item in group)
        return
    # Fresh processes: forking one in which OpenCV or PyTorch runs threads can hang.
    spawn = multiprocessing.get_context("spawn")
    pending: deque[tuple[list[_Item], Future[list[_Result]]]] = deque()
    with ProcessPoolExecutor(processes, spawn, cv2.setNumThreads, (1,)) as pool:
        try:
            for group in itertools.chain(first, chunks):
                pending.append((group, pool.submit(_map, function, group)))
                if len(pending) > _CHUNKS_AHEAD * processes:
                    yield from _result(*pending.popleft())
            while pending:
                yield from _result(*pending.popleft())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


class Rate:
    """Log lines about work that goes on: ``Decoded 5000 of 72409 images, 412 a second, 164 s left.``

    Args:
        earlier: items of ``total`` that were done before, and so do not count in the rate.
    """

    def __init__(self, verb: str, total: int, noun: str, earlier: int = 0) -> None:
        self._verb, self._total, self._noun, self._earlier = verb, total, noun, earlier
        self._began = self._told = time.monotonic()
        self._done = 0

    def add(self, count: int) -> None:
        """``count`` more are done; a line every ten seconds, and at the end of work that took longer."""
        self._done += count
        now = time.monotonic()
        ended = self._done + self._earlier >= self._total and self._told > self._began
        if now - self._told >= _SECONDS_BETWEEN_LINES or ended:
            self._told = now
            logger.info("%s", self._line(now - self._began))

    def _line(self, seconds: float) -> str:
        done, rate = self._done + self._earlier, self._done / max(seconds, 1e-9)
        left = (self._total - done) / rate if rate else 0.0
        return f"{self._verb} {done} of {self._total} {self._noun}, {rate:.0f} a second, {left:.0f} s left."


def _chunks(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    iterator = iter(items)
    while group := list(itertools.islice(iterator, size)):
        yield group


def _map(function: Callable[[_Item], _Result], group: list[_Item]) -> list[_Result]:
    return [function(item) for item in group]


def _result(group: list[_Item], future: Future[list[_Result]]) -> list[_Result]:
    try:
        return future.result()
    except BrokenProcessPool as exc:
        raise DataError(f"a worker process died at one of {len(group)} items from {group[0]} on") from exc
