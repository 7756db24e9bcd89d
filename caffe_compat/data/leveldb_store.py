"""LevelDB databases, Caffe's default in its first years: records by position in key order, and writing one."""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from caffe_compat.data.key_table import KeyTable
from caffe_compat.data.leveldb_files import check_files
from caffe_compat.data.writing import Records, commits, new_folder, same_key
from caffe_compat.errors import DataError

logger = logging.getLogger("caffe_compat")

_REMEDY = "or make an LMDB database (convert_imageset --backend=lmdb) and write `backend: LMDB`"


def _plyvel(path: str) -> ModuleType:
    try:
        import plyvel
    except ImportError as exc:
        problem = f"LevelDB databases need the Python package plyvel (pip install plyvel), {_REMEDY}"
        raise DataError(problem, path=path) from exc
    return plyvel


class _OpenDatabase:
    """The one open handle of a database: LevelDB locks out a second one, in this process too."""

    _open: weakref.WeakValueDictionary[str, _OpenDatabase] = weakref.WeakValueDictionary()

    def __init__(self, path: str) -> None:
        plyvel = _plyvel(path)
        if not (Path(path) / "CURRENT").exists():  # LevelDB would make files before it finds that out
            is_lmdb = (Path(path) / "data.mdb").exists()
            hint = "; it is an LMDB database: write `backend: LMDB`" if is_lmdb else ""
            raise DataError(f"no LevelDB database there (no {Path(path) / 'CURRENT'}){hint}", path=path)
        check_files(path)
        try:
            self.database = plyvel.DB(path, create_if_missing=False, paranoid_checks=True)
        except plyvel.CorruptionError as exc:
            raise DataError(f"a damaged LevelDB database: {exc}", path=path) from exc
        except plyvel.Error as exc:
            raise DataError(f"LevelDB cannot open it: {exc}; one process at a time can, {_REMEDY}", path=path) from exc

    @classmethod
    def of(cls, path: str) -> _OpenDatabase:
        name = os.path.realpath(path)
        found = cls._open.get(name)
        if found is None:
            found = cls._open[name] = _OpenDatabase(path)
        return found


class LevelDbReader:
    """The records of a LevelDB database by position in key order; ``LmdbReader``'s interface.

    All keys are read once, at the start. LevelDB writes into the folder when it opens a database, and only one process
    can have it open: there are no worker processes for it.

    Args:
        path: the database's folder.
    Raises: DataError if plyvel or the folder is missing, it is no LevelDB database, is open elsewhere, or is empty.
    """

    can_be_shared = False

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._shared: _OpenDatabase | None = _OpenDatabase.of(self.path)
        self._keys: KeyTable = self._guarded(
            lambda database: KeyTable(database.iterator(include_value=False, verify_checksums=True))
        )
        if len(self._keys) == 0:
            raise DataError("a LevelDB database without records", path=self.path)
        self._iterator: Any = None
        self._position = 0

    def __len__(self) -> int:
        return len(self._keys)

    def keys(self) -> KeyTable:
        """All keys in key order."""
        return self._keys

    def key(self, position: int) -> bytes:
        """The key at ``position``, 0-based, in key order."""
        return self._keys[position]

    def read(self, position: int) -> bytes:
        """The record at ``position``, 0-based, in key order. Raises: IndexError outside [0, len)."""
        return self.read_all([position])[0]

    def read_all(self, positions: Iterable[int]) -> list[bytes]:
        """The records at these positions. Raises: IndexError outside [0, len); DataError for a damaged database."""
        return self._guarded(lambda database: [self._value(database, position) for position in positions])

    def close(self) -> None:
        """Close this reader's view of the database; reading again opens it again."""
        self._iterator, self._shared = None, None

    def _value(self, database: Any, position: int) -> bytes:
        if not 0 <= position < len(self):
            raise IndexError(f"{self.path}: record {position} of {len(self)}")
        if self._iterator is None or position != self._position:
            self._iterator = database.raw_iterator(verify_checksums=True)
            self._iterator.seek(self._keys[position])
        value: bytes = self._iterator.value()
        self._iterator.next()
        self._position = position + 1
        return value

    def _guarded(self, read: Any) -> Any:
        """``read(database)``, with LevelDB's errors about the data told as ours."""
        plyvel = _plyvel(self.path)
        if self._shared is None:
            self._shared = _OpenDatabase.of(self.path)
        try:
            return read(self._shared.database)
        except plyvel.Error as exc:
            raise DataError(f"a damaged LevelDB database: {exc}", path=self.path) from exc


def write_leveldb(path: str | os.PathLike[str], records: Records) -> int:
    """Write a LevelDB database, 1000 records at a time as Caffe does, and return the number of records.

    Nothing appears at ``path`` before the last record is written.
    Raises: DataError if ``path`` exists, plyvel is missing, or two records have one key.
    """
    final = os.fspath(path)
    with new_folder(final) as part:
        database = _plyvel(final).DB(str(part), create_if_missing=True, error_if_exists=True)
        logger.info("Opened leveldb %s", final)
        try:
            return _write_records(database, records, final)
        finally:
            database.close()


def _write_records(database: Any, records: Records, path: str) -> int:
    keys: set[bytes] = set()
    for batch in commits(records):
        with database.write_batch(sync=True) as writing:
            for key, value in batch:
                if key in keys:
                    raise same_key(key, path)
                keys.add(key)
                writing.put(key, value)
        logger.info("Processed %d files.", len(keys))
    return len(keys)
