"""Batches of records as arrays: those of a database, and what all sources share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from caffe_compat.data.database import Reader
from caffe_compat.data.datum import decode_datum, parse_datum, stack_raw
from caffe_compat.data.reading_order import ALL_RECORDS, shuffled
from caffe_compat.data.transformer import Transformer
from caffe_compat.errors import DataError, expected_got

Batch = tuple[Tensor, ...]
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Batches(Dataset[Batch]):
    """Batch k of a source: records k*B .. k*B+B-1, counted from ``start`` and modulo the number of records.

    Of S solvers that share the records each reads every S-th, so that together their batches k are the records
    k*S*B .. k*S*B+S*B-1.

    A subclass makes the batch of a number in ``__getitem__``, from its arguments alone, so that any process may.

    Args:
        num_records: in one round.
        batch_size: B.
        start: running number of the first record.
        shuffle_seed: a new random order every time round, the same for every source with as many records; None reads
            in the same order for ever, as Caffe does.

    Attributes:
        share: what this solver reads; all, unless it is set before the first batch is made.
    """

    def __init__(self, num_records: int, batch_size: int, start: int = 0, shuffle_seed: int | None = None) -> None:
        self.num_records, self.batch_size = num_records, batch_size
        self.start, self.shuffle_seed = start, shuffle_seed
        self.share = ALL_RECORDS

    def records(self, batch: int) -> np.ndarray:
        """The running numbers of the batch's records, (B,) int64, ascending."""
        items = np.arange(batch * self.batch_size, (batch + 1) * self.batch_size)
        return self.start + items * self.share.solver_count + self.share.solver_rank

    def places(self, records: np.ndarray) -> np.ndarray:
        """The places in the reading order, (n,) int64, of the records with these running numbers, (n,) ascending."""
        places = records % self.num_records
        if self.shuffle_seed is not None:
            rounds = records // self.num_records
            for number in range(rounds[0], rounds[-1] + 1):
                order = shuffled(self.num_records, self.shuffle_seed, number)
                places[rounds == number] = order[places[rounds == number]]
        return places

    def restarts(self, batch: int) -> int:
        """How many restarts of the source Caffe's log shows in this batch; it shows those of databases."""
        return 0


class ImageBatches(Batches):
    """Batches (data, labels) of images that go through a transformer. See ``Batches``.

    Args:
        transformer: applied to each record.
    """

    how_to_resize: str  # for the user whose records have different sizes

    def __init__(
        self,
        num_records: int,
        transformer: Transformer,
        batch_size: int,
        start: int = 0,
        shuffle_seed: int | None = None,
    ) -> None:
        super().__init__(num_records, batch_size, start, shuffle_seed)
        self.transformer = transformer

    def located(self, exc: DataError, position: int) -> DataError:
        """``exc`` with the place of the record at ``position``."""
        raise NotImplementedError

    def transformed(self, images: Iterator[np.ndarray], bits: np.ndarray, positions: Sequence[int]) -> Tensor:
        """Transform one image after the other: each is used while it is in the processor's cache."""
        first = next(images)
        data = self.new_batch(first.shape, positions[0])
        batch = data.numpy()
        self.transformer.transform(first, bits[0], batch[0])
        for item, image in enumerate(images, start=1):
            if image.shape != first.shape:
                raise self.located(DataError(self._sizes_differ(first.shape, image.shape)), positions[item])
            self.transformer.transform(image, bits[item], batch[item])
        return data

    def new_batch(self, record_shape: tuple[int, ...], position: int) -> Tensor:
        try:
            return empty((self.batch_size, *self.transformer.output_shape(record_shape)))
        except DataError as exc:
            raise self.located(exc, position) from exc

    def each(
        self, function: Callable[[_Item], _Result], items: Iterable[_Item], positions: Sequence[int]
    ) -> Iterator[_Result]:
        """``function`` of each item; a DataError of its says which record it is about."""
        for item, position in zip(items, positions, strict=True):
            try:
                yield function(item)
            except DataError as exc:
                raise self.located(exc, position) from exc

    def _sizes_differ(self, first: tuple[int, ...], other: tuple[int, ...]) -> str:
        return (
            f"all records of a batch must have one size: {expected_got(f'{first} as in the first', other)} (channels, "
            f"height, width); use batch_size 1, or {self.how_to_resize}"
        )


class BatchDataset(ImageBatches):
    """The batches of a database. See ``Batches``.

    Args:
        reader: the database.
        index: the reading order, (N,) int64 positions in key order; None reads in key order.
    """

    how_to_resize = "convert_imageset's --resize_height and --resize_width"

    def __init__(
        self,
        reader: Reader,
        index: np.ndarray | None,
        transformer: Transformer,
        batch_size: int,
        start: int = 0,
        shuffle_seed: int | None = None,
    ) -> None:
        super().__init__(len(reader) if index is None else len(index), transformer, batch_size, start, shuffle_seed)
        self.reader, self.index = reader, index
        if index is not None or shuffle_seed is not None:
            reader.keys()  # once, here, instead of in every worker

    def positions(self, records: np.ndarray) -> list[int]:
        """The places in key order of the records with these running numbers, (n,) ascending."""
        places = self.places(records)
        return (places if self.index is None else self.index[places]).tolist()

    def restarts(self, batch: int) -> int:
        """How many times the last record is read, or left to another solver, in this batch."""
        together = self.batch_size * self.share.solver_count
        first = self.start + batch * together
        return (first + together) // self.num_records - first // self.num_records

    def __getitem__(self, batch: int) -> Batch:
        """Shapes: data (B, C, h, w), labels (B,), both float32. Raises: DataError naming the record."""
        records = self.records(batch)
        positions = self.positions(records)
        bits = self.transformer.draw(records)
        datums = list(self.each(parse_datum, self.reader.read_all(positions), positions))
        stack = stack_raw(datums)
        if stack is None:
            images = self.each(lambda datum: decode_datum(datum, self.transformer.decode), datums, positions)
            data = self.transformed(images, bits, positions)
        else:
            data = self.new_batch(stack.shape[1:], positions[0])
            self.transformer.transform_stack(stack, bits, data.numpy())
        return data, torch.tensor([datum.label for datum in datums], dtype=torch.float32)

    def located(self, exc: DataError, position: int) -> DataError:
        problem = f"record {os.fsdecode(self.reader.key(position))}: {exc.problem}"
        return DataError(problem, path=self.reader.path, field=exc.field)


def empty(shape: tuple[int, ...]) -> Tensor:
    """An uninitialised float32 tensor; in a worker it lies in shared memory, so handing it over copies nothing."""
    if get_worker_info() is None:
        return torch.empty(shape)
    storage = torch.UntypedStorage._new_shared(4 * int(np.prod(shape)))
    return torch.empty(0, dtype=torch.float32).set_(storage, 0, shape)  # type: ignore[call-overload]
