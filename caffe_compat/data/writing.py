"""What writing a database has in common for both kinds: it appears when it is whole, a thousand records at a time."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from caffe_compat.errors import DataError
from caffe_compat.files import atomic_directory
from caffe_compat.proto import caffe_pb2

RECORDS_PER_COMMIT = 1000  # as in Caffe

Records = Iterable[tuple[bytes, caffe_pb2.Datum]]


@contextlib.contextmanager
def new_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """As ``atomic_directory``. Raises: DataError if ``path`` exists."""
    if Path(path).exists():
        raise DataError("exists already; remove it or give another name", path=os.fspath(path))
    with atomic_directory(path) as part:
        yield part


def commits(records: Records) -> Iterator[list[tuple[bytes, bytes]]]:
    """The records as bytes, in lists of a thousand and a last one of what is left."""
    serialised = ((key, datum.SerializeToString()) for key, datum in records)
    while batch := list(itertools.islice(serialised, RECORDS_PER_COMMIT)):
        yield batch


def same_key(key: bytes, path: str) -> DataError:
    return DataError(f"two records have the key {os.fsdecode(key)}", path=path)
