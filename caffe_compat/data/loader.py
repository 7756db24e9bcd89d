"""Batches of a database in reading order, prepared ahead: by worker processes, or by a thread when that is cheaper."""

from __future__ import annotations

import itertools
import logging
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from caffe_compat.data.datum import decode_datum, parse_datum, stack_raw
from caffe_compat.data.lmdb_store import LmdbReader
from caffe_compat.data.transformer import Transformer
from caffe_compat.errors import DataError, expected_got

logger = logging.getLogger("caffe_compat")

Batch = tuple[Tensor, Tensor]
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_MOST_WORKERS = 2
_CHEAP_VALUES = 2**20  # a batch of raw records of at most this many values costs less than handing it over
_workers: int | None = None


def set_num_workers(count: int | None) -> None:
    """Worker processes for each Data layer built from now on; None (the default) lets the data decide.

    The results do not depend on it. 0 reads in this process, in a thread.
    """
    global _workers
    if count is not None and count < 0:
        raise ValueError(f"count: expected >= 0 or None, got {count}")
    _workers = count


def choose_workers(values_per_batch: int, encoded: bool) -> int:
    """What ``set_num_workers`` said; else none for small raw records (labels, CIFAR) or on one core, at most 2."""
    if _workers is not None:
        return _workers
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores < 2 or (not encoded and values_per_batch <= _CHEAP_VALUES):
        return 0
    return min(_MOST_WORKERS, cores)


def load_index(path: str | os.PathLike[str], num_records: int) -> np.ndarray:
    """The reading order in ``path``: (N,) int64 positions in [0, num_records), memory-mapped.

    Raises: DataError naming the file.
    """
    if not Path(path).is_file():
        raise DataError("no index there; tools/mix_datasets.py makes one", path=str(path))
    try:
        index = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as exc:
        raise DataError(f"not a .npy file: {exc}", path=str(path)) from exc
    if index.dtype != np.int64 or index.ndim != 1 or index.size == 0:
        raise DataError(expected_got("int64 of shape (N,), N > 0", f"{index.dtype} of shape {index.shape}"),
                        path=str(path))
    least, most = int(index.min()), int(index.max())
    if least < 0 or most >= num_records:
        raise DataError(expected_got(f"positions in [0, {num_records})", f"[{least}, {most}]"), path=str(path))
    return index


class BatchDataset(Dataset[Batch]):
    """Batch k of a database: records k*B .. k*B+B-1, counted from ``start`` and modulo the number of records.

    Args:
        reader: the database.
        index: the reading order, (N,) int64 positions in key order; None reads in key order.
        transformer: applied to each record.
        batch_size: B.
        start: running number of the first record.
    """

    def __init__(
        self, reader: LmdbReader, index: np.ndarray | None, transformer: Transformer, batch_size: int, start: int = 0
    ) -> None:
        self.reader, self.index, self.transformer = reader, index, transformer
        self.batch_size, self.start = batch_size, start
        self.num_records = len(reader) if index is None else len(index)

    def positions(self, first: int, count: int) -> list[int]:
        """The places in key order of the records with running numbers ``first`` to ``first + count - 1``."""
        places = np.arange(first, first + count) % self.num_records
        return (places if self.index is None else self.index[places]).tolist()

    def wraps(self, batch: int) -> int:
        """How many times the last record is read in this batch."""
        first = self.start + batch * self.batch_size
        return (first + self.batch_size) // self.num_records - first // self.num_records

    def __getitem__(self, batch: int) -> Batch:
        """Shapes: data (B, C, h, w), labels (B,), both float32. Raises: DataError naming the record."""
        first = self.start + batch * self.batch_size
        positions = self.positions(first, self.batch_size)
        bits = self.transformer.draw(first, self.batch_size)
        datums = list(self._each(parse_datum, self.reader.read_all(positions), positions))
        stack = stack_raw(datums)
        if stack is None:
            images = self._each(lambda datum: decode_datum(datum, self.transformer.decode), datums, positions)
            data = self._transformed(images, bits, positions)
        else:
            data = self._new_batch(stack.shape[1:], positions[0])
            self.transformer.transform_stack(stack, bits, data.numpy())
        return data, torch.tensor([datum.label for datum in datums], dtype=torch.float32)

    def _transformed(self, images: Iterator[np.ndarray], bits: np.ndarray, positions: list[int]) -> Tensor:
        """Decode and transform one record after the other: an image is used while it is in the processor's cache."""
        first = next(images)
        data = self._new_batch(first.shape, positions[0])
        batch = data.numpy()
        self.transformer.transform(first, bits[0], batch[0])
        for item, image in enumerate(images, start=1):
            if image.shape != first.shape:
                raise self._located(DataError(_sizes_differ(first.shape, image.shape)), positions[item])
            self.transformer.transform(image, bits[item], batch[item])
        return data

    def _new_batch(self, record_shape: tuple[int, ...], position: int) -> Tensor:
        try:
            return _empty((self.batch_size, *self.transformer.output_shape(record_shape)))
        except DataError as exc:
            raise self._located(exc, position) from exc

    def _each(
        self, function: Callable[[_Item], _Result], items: Iterable[_Item], positions: list[int]
    ) -> Iterator[_Result]:
        """``function`` of each item; a DataError of its says which record it is about."""
        for item, position in zip(items, positions, strict=True):
            try:
                yield function(item)
            except DataError as exc:
                raise self._located(exc, position) from exc

    def _located(self, exc: DataError, position: int) -> DataError:
        return DataError(f"record {os.fsdecode(self.reader.key(position))}: {exc.problem}", path=self.reader.path)


def _sizes_differ(first: tuple[int, ...] | None, other: tuple[int, ...]) -> str:
    return (
        f"all records of a batch must have one size: {expected_got(f'{first} as in the first', other)} (channels, "
        f"height, width); use batch_size 1, or convert_imageset's --resize_height and --resize_width"
    )


def _empty(shape: tuple[int, ...]) -> Tensor:
    """An uninitialised float32 tensor; in a worker it lies in shared memory, so handing it over copies nothing."""
    if get_worker_info() is None:
        return torch.empty(shape)
    storage = torch.UntypedStorage._new_shared(4 * int(np.prod(shape)))
    return torch.empty(0, dtype=torch.float32).set_(storage, 0, shape)  # type: ignore[call-overload]


class BatchLoader:
    """Iterates over the batches 0, 1, 2, ... for ever, preparing up to ``prefetch`` of them ahead.

    Reading ahead begins with the first ``next``. The batches are the same for any number of workers.

    Args:
        num_workers: worker processes; 0 prepares one batch ahead in a thread of this process.
        prefetch: batches ready or in the making, at least 1.
    """

    def __init__(self, dataset: BatchDataset, num_workers: int = 0, prefetch: int = 4) -> None:
        self.dataset, self.num_workers, self.prefetch = dataset, num_workers, prefetch
        self._batch = 0
        self._batches: Iterator[Batch | DataError] | None = None

    def __iter__(self) -> BatchLoader:
        return self

    def __next__(self) -> Batch:
        """Raises: DataError, whether a record was bad here or in a worker."""
        if self._batches is None:
            start = _from_workers if self.num_workers else _from_thread
            self._batches = start(self, _CountUp(self._batch))
        batch = next(self._batches)
        if isinstance(batch, DataError):
            raise batch
        for _ in range(self.dataset.wraps(self._batch)):
            logger.info("Restarting data prefetching from start.")
        self._batch += 1
        return batch

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_batches": None}

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

    def __init__(self, dataset: BatchDataset) -> None:
        self.dataset = dataset

    def __getitem__(self, batch: int) -> Batch | DataError:
        try:
            return self.dataset[batch]
        except DataError as exc:
            return exc


def _from_workers(loader: BatchLoader, batches: _CountUp) -> Iterator[Batch | DataError]:
    return iter(
        DataLoader(
            _Guarded(loader.dataset),
            batch_size=None,
            sampler=batches,
            num_workers=loader.num_workers,
            prefetch_factor=max(1, -(-loader.prefetch // loader.num_workers)),
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


def _from_thread(loader: BatchLoader, batches: _CountUp) -> Iterator[Batch]:
    with ThreadPoolExecutor(1, thread_name_prefix="data") as thread:
        ahead: Future[Batch] = thread.submit(loader.dataset.__getitem__, batches.start)
        for batch in batches:
            ready, ahead = ahead, thread.submit(loader.dataset.__getitem__, batch + 1)
            yield ready.result()
