"""HDF5 files of rows: batches of them, and writing one. h5py is imported where it is used."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from caffe_compat.data.batches import Batch, Batches
from caffe_compat.data.reading_order import shuffled
from caffe_compat.errors import DataError, expected_got

_MOST_COMPRESSED = 2000  # a file whose numbers take less is a trap: gzip comes to 1032 at most
_LITTLE = 2**15  # bytes that are not worth a question: a small dataset may be all fill value, or virtual
_SIGNATURE = b"\x89HDF"


@dataclass(frozen=True)
class Hdf5File:
    """What is known of a file before its rows are read.

    Attributes:
        path: the file.
        place: the line of the list that names it, ``list:line``, for messages.
        rows: how many each dataset has.
        row_shapes, dtypes: of each dataset that is wanted, in order.
    """

    path: str
    place: str
    rows: int
    row_shapes: list[tuple[int, ...]]
    dtypes: list[np.dtype]


class Hdf5Batches(Batches):
    """Batches of one tensor a dataset; batch k goes on in the next file where one ends. See ``Batches``.

    Numbers are float32, or float64 where a file has a type that float32 cannot hold exactly. A whole file is in
    memory at a time, as in Caffe.

    Args:
        files: in the list's order; ``shuffle_seed`` gives them a new order every time round, and their rows too.
        names: the datasets.
    Raises: DataError if the files' rows differ in shape.
    """

    def __init__(
        self,
        files: Sequence[Hdf5File],
        names: Sequence[str],
        batch_size: int,
        start: int = 0,
        shuffle_seed: int | None = None,
    ) -> None:
        super().__init__(sum(file.rows for file in files), batch_size, start, shuffle_seed)
        _check_rows_alike(files, names)
        self.files, self.names = files, names
        self.row_shapes = files[0].row_shapes
        self._dtypes = [_number_type([file.dtypes[index] for file in files]) for index in range(len(names))]
        self._in_memory: tuple[int, list[np.ndarray]] | None = None

    def __getitem__(self, batch: int) -> Batch:
        """Shapes: (B, row shape) each. Raises: DataError naming the file."""
        shapes = [(self.batch_size, *shape) for shape in self.row_shapes]
        tops = [np.empty(shape, dtype) for shape, dtype in zip(shapes, self._dtypes, strict=True)]
        for items, number, rows in self._pieces(self.records(batch)):
            for top, dataset in zip(tops, self._datasets(number), strict=True):
                top[items] = dataset[rows]
        return tuple(torch.from_numpy(top) for top in tops)

    def _pieces(self, records: np.ndarray) -> Iterator[tuple[np.ndarray, int, np.ndarray]]:
        """Runs of records that are in one file in one round: their items in the batch, the file, their rows."""
        for number in range(records[0] // self.num_records, records[-1] // self.num_records + 1):
            begin = number * self.num_records
            for file in self._file_order(number):
                end = begin + self.files[file].rows
                items = np.flatnonzero((begin <= records) & (records < end))
                if items.size:
                    yield items, file, self._row_order(number, file)[records[items] - begin]
                begin = end

    def _file_order(self, number: int) -> list[int]:
        """The files in the order of round ``number``."""
        if self.shuffle_seed is None:
            return list(range(len(self.files)))
        return shuffled(len(self.files), self.shuffle_seed, number).tolist()

    def _row_order(self, number: int, file: int) -> np.ndarray:
        rows = self.files[file].rows
        if self.shuffle_seed is None:
            return np.arange(rows)
        return _shuffled_rows(rows, self.shuffle_seed, number, file)

    def _datasets(self, number: int) -> list[np.ndarray]:
        if self._in_memory is None or self._in_memory[0] != number:
            self._in_memory = None  # so that two files are never in memory together
            file = self.files[number]
            with _open(file.path, file.place) as opened:
                datasets = [_dataset(opened, name, file.path, file.place) for name in self.names]
                if [dataset.shape for dataset in datasets] != [(file.rows, *shape) for shape in self.row_shapes]:
                    raise DataError(f"{file.path}: it was changed since the net was made", path=file.place)
                self._in_memory = number, [dataset[()] for dataset in datasets]
        return self._in_memory[1]


def read_file_list(path: str) -> list[tuple[str, str]]:
    """The files named in a list, any number on a line, each with its place ``list:line``.

    Raises: DataError for an empty list; OSError if it cannot be read.
    """
    with open(path, "rb") as file:
        if file.read(len(_SIGNATURE)) == _SIGNATURE:
            raise DataError("it is an HDF5 file; expected a list of the names of such files", path=path)
        file.seek(0)
        lines = file.read().splitlines()
    files = [(os.fsdecode(name), f"{path}:{at}") for at, line in enumerate(lines, start=1) for name in line.split()]
    if not files:
        raise DataError("Must have at least 1 HDF5 filename listed", path=path)
    return files


def inspect(path: str, place: str, names: Sequence[str]) -> Hdf5File:
    """A file's datasets, without their numbers. Raises: DataError naming list, line, file and dataset."""
    with _open(path, place) as opened:
        datasets = [_dataset(opened, name, path, place) for name in names]
        rows = [dataset.shape[0] for dataset in datasets]
        if min(rows) < 1 or len(set(rows)) > 1:
            wanted = "datasets with one number of rows, at least 1"
            got = ", ".join(f'{count} in "{name}"' for name, count in zip(names, rows, strict=True))
            raise DataError(f"{path}: {expected_got(wanted, got)}", path=place)
        shapes = [tuple(dataset.shape[1:]) for dataset in datasets]
        return Hdf5File(path, place, rows[0], shapes, [dataset.dtype for dataset in datasets])


def create(path: str) -> None:
    """Make an empty HDF5 file, in place of one that is there. Raises: DataError if there is no h5py; OSError."""
    _h5py(path).File(path, "w").close()


def add_datasets(path: str, arrays: dict[str, np.ndarray]) -> None:
    """Add datasets to a file. Raises: DataError if it has one of that name already; OSError."""
    with _h5py(path).File(path, "a") as file:
        for name in arrays:
            if name in file:
                raise DataError(f"Failed to make float dataset {name}: the file has one already", path=path)
        for name, array in arrays.items():
            file.create_dataset(name, data=array)


def _h5py(place: str) -> Any:
    try:
        import h5py
    except ImportError as exc:
        raise DataError("HDF5 files need the Python package h5py (pip install h5py)", path=place) from exc
    return h5py


@contextlib.contextmanager
def _open(path: str, place: str) -> Iterator[Any]:
    """A file to read; whatever turns out to be wrong with it becomes a DataError naming it."""
    h5py = _h5py(place)
    if not os.path.isfile(path):
        raise DataError(f"{path}: no HDF5 file there", path=place)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except DataError:
        raise
    except OSError as exc:
        raise DataError(f"{path}: Failed opening HDF5 file: {exc}", path=place) from exc
    except (KeyError, ValueError, TypeError, RuntimeError, MemoryError, OverflowError) as exc:  # h5py's other ways
        raise DataError(f"{path}: a broken HDF5 file: {exc}", path=place) from exc


def _dataset(file: Any, name: str, path: str, place: str) -> Any:
    import h5py

    found = file.get(name)
    if not isinstance(found, h5py.Dataset):
        problem = f'Failed to find HDF5 dataset "{name}", which the top is called; there are: {", ".join(file)}'
    elif found.dtype.kind not in "fiu":
        problem = f'dataset "{name}": {expected_got("integers or floating point numbers", found.dtype)}'
    elif not found.shape:
        problem = f'dataset "{name}": Input must have at least 1 axis.'
    elif max(found.nbytes, found.shape[0]) > _MOST_COMPRESSED * max(found.id.get_storage_size(), _LITTLE):
        problem = f'dataset "{name}": shape {found.shape}, but the numbers are not in the file'
    else:
        return found
    raise DataError(f"{path}: {problem}", path=place)


@functools.lru_cache(maxsize=2)  # a batch may end one file and begin the next
def _shuffled_rows(rows: int, seed: int, number: int, file: int) -> np.ndarray:
    """The order of the rows of ``file`` in round ``number``: (rows,) int64, a permutation."""
    return np.random.default_rng([seed, number, file]).permutation(rows)


def _check_rows_alike(files: Sequence[Hdf5File], names: Sequence[str]) -> None:
    first = files[0]
    for file in files[1:]:
        for name, shape, wanted in zip(names, file.row_shapes, first.row_shapes, strict=True):
            if shape != wanted:
                rows = expected_got(f"rows of shape {wanted} as in {first.path}", shape)
                raise DataError(f'{file.path}: dataset "{name}": {rows}', path=file.place)


def _number_type(dtypes: Sequence[np.dtype]) -> type[np.floating]:
    return np.float32 if all(np.can_cast(dtype, np.float32) for dtype in dtypes) else np.float64
