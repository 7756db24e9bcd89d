"""Databases of either kind behind one call: ``backend`` is Caffe's word, ``lmdb`` or ``leveldb``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from caffe_compat.data.leveldb_store import LevelDbReader, write_leveldb
from caffe_compat.data.lmdb_store import LmdbReader, write_database
from caffe_compat.data.writing import Records

Reader = LmdbReader | LevelDbReader
LMDB, LEVELDB = "lmdb", "leveldb"
BACKENDS = (LMDB, LEVELDB)

_READERS: dict[str, type[Reader]] = {LMDB: LmdbReader, LEVELDB: LevelDbReader}
_WRITERS: dict[str, Callable[[str | os.PathLike[str], Records], int]] = {LMDB: write_database, LEVELDB: write_leveldb}


def backend_of(path: str | os.PathLike[str]) -> str | None:
    """The kind of the database at ``path``, by its files; None if there is none."""
    files = {LMDB: "data.mdb", LEVELDB: "CURRENT"}
    return next((backend for backend, file in files.items() if (Path(path) / file).exists()), None)


def open_database(path: str | os.PathLike[str], backend: str = LMDB) -> Reader:
    """The reader of the database at ``path``. Raises: DataError if it cannot be read."""
    return _READERS[backend](path)


def create_database(path: str | os.PathLike[str], records: Records, backend: str = LMDB) -> int:
    """Write a database that appears when it is whole; returns the number of records. Raises: DataError."""
    return _WRITERS[backend](path, records)
