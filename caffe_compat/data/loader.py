"""Batches in reading order, prepared ahead: by worker processes, or by a thread when that is cheaper."""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import signal
import warnings
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing import current_process
from typing import Any

import cv2
from torch.utils.data import DataLoader, Dataset, Sampler

from caffe_compat.data.batches import Batch, Batches
from caffe_compat.errors import DataError
from caffe_compat.machine import cores

logger = logging.getLogger("caffe_compat")

_FEWEST_WORKERS, _MOST_WORKERS = 2, 8
_SHARED_MEMORY = "/dev/shm"
_CHEAP_VALUES = 2**22  # a batch of raw records of at most this many values costs less than handing it over
_workers: int | None = None
_processes = 1  # that share this machine's cores


def set_num_workers(count: int | None) -> None:
    """Worker processes for each layer that reads images built from now on; None (the default) lets the data decide.

    The results do not depend on it. 0 reads in this process, in a thread.
    """
    global _workers
    if count is not None and count < 0:
        raise ValueError(f"count: expected >= 0 or None, got {count}")
    _workers = count


def share_cores(processes: int) -> None:
    """Of as many workers as are worth their while, let this process have one of ``processes`` equal parts."""
    global _processes
    _processes = processes


def choose_workers(values_per_batch: int, encoded: bool, prefetch: int) -> int:
    """What ``set_num_workers`` said, else as many worker processes as are worth their while.

    None for small raw records (labels, CIFAR), on one core, in a process that may start no other (``daemon``), or where
    shared memory is too small for the batches on their way (Docker gives 64 MB unless told otherwise); else half as
    many as there are cores, 2 to 8, or this process's part of them.
    """
    if _workers is not None:
        return _workers
    if cores() < 2 or current_process().daemon or (not encoded and values_per_batch <= _CHEAP_VALUES):
        return 0
    workers = max(_FEWEST_WORKERS, min(_MOST_WORKERS, cores() // 2 // _processes))
    batches_on_their_way = max(prefetch, workers) + workers
    return workers if _fits_shared_memory(4 * values_per_batch * batches_on_their_way) else 0


def _fits_shared_memory(size: int) -> bool:
    if not os.path.isdir(_SHARED_MEMORY):
        return True
    free = shutil.disk_usage(_SHARED_MEMORY).free
    if size > free:
        logger.warning(
            "%s has %d MB free and %d MB are needed to hand batches over from worker processes: reading in this "
            "process instead, which is slower (in Docker: --shm-size)",
            _SHARED_MEMORY,
            free >> 20,
            size >> 20,
        )
    return size <= free


class BatchLoader:
    """Iterates over the batches 0, 1, 2, ... for ever, preparing up to ``prefetch`` of them ahead.

    Reading ahead begins with the first ``next``. The batches are the same for any number of workers.

    Args:
        num_workers: worker processes; 0 prepares one batch ahead in a thread of this process.
        prefetch: batches ready or in the making, at least 1.
    """

    def __init__(self, dataset: Batches, num_workers: int = 0, prefetch: int = 4) -> None:
        self.dataset, self.num_workers, self.prefetch = dataset, num_workers, prefetch
        self._batch = 0
        self._batches: Iterator[Batch | DataError] | None = None
        self._thread: ThreadPoolExecutor | None = None  # one for good: what reads the database takes turns in it

    def __iter__(self) -> BatchLoader:
        return self

    def __next__(self) -> Batch:
        """Raises: DataError, whether a record was bad here or in a worker."""
        if self._batches is None:
            self._batches = self._start(_CountUp(self._batch))
        try:
            batch = next(self._batches)
            if isinstance(batch, DataError):
                raise batch
        except DataError:
            self.close()
            raise
        for _ in range(self.dataset.restarts(self._batch)):
            logger.info("Restarting data prefetching from start.")
        self._batch += 1
        return batch

    def _start(self, batches: _CountUp) -> Iterator[Batch | DataError]:
        if self.num_workers:
            return _from_workers(self.dataset, batches, self.num_workers, self.prefetch)
        self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="data")
        return _from_thread(self._thread, self.dataset, batches)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_batches": None, "_thread": None}

    def close(self) -> None:
        """Stop reading ahead and end the workers; ``next`` goes on where this stops."""
        self._batches = None


class _CountUp(Sampler[int]):
    def __init__(self, start: int) -> None:
        self.start = start

    def __iter__(self) -> Iterator[int]:
        return itertools.count(self.start)


class _Guarded(Dataset[Batch | DataError]):
    """Hands a DataError over as a value: the loader would bury it in a traceback."""

    def __init__(self, dataset: Batches) -> None:
        self.dataset = dataset

    def __getitem__(self, batch: int) -> Batch | DataError:
        try:
            return self.dataset[batch]
        except DataError as exc:
            return exc


def _from_workers(dataset: Batches, batches: _CountUp, num_workers: int, prefetch: int) -> Iterator[Batch | DataError]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create")  # more workers than cores: as was asked for
        return iter(
            DataLoader(
                _Guarded(dataset),
                batch_size=None,
                sampler=batches,
                num_workers=num_workers,
                prefetch_factor=max(1, -(-prefetch // num_workers)),
                collate_fn=_as_it_is,
                worker_init_fn=_set_up_worker,
            )
        )


def _as_it_is(batch: Any) -> Any:
    return batch


def _set_up_worker(_: int) -> None:
    """Ctrl-C and hang-ups are for the trainer, which ends its workers itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    cv2.setNumThreads(0)


def _from_thread(thread: ThreadPoolExecutor, dataset: Batches, batches: _CountUp) -> Iterator[Batch]:
    ahead: Future[Batch] = thread.submit(dataset.__getitem__, batches.start)
    for batch in batches:
        ready, ahead = ahead, thread.submit(dataset.__getitem__, batch + 1)
        yield ready.result()
