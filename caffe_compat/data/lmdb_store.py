"""LMDB databases: records by position in key order, and writing a database that appears only when it is whole."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import lmdb

from caffe_compat.data.group import SIDE_FILE, Group, write_group
from caffe_compat.data.key_table import KeyTable
from caffe_compat.data.lmdb_environment import CheckedTree, Environment, closed_one, inside_lmdb
from caffe_compat.data.writing import Records, commits, new_folder, same_key
from caffe_compat.errors import DataError

logger = logging.getLogger("caffe_compat")

_FIRST_MAP_SIZE = 64 * 2**20
_MAX_STEPS, _FEW_STEPS = 4096, 16  # how far the cursor walks rather than make, or use, the table of keys
_HOW_TO_MAKE_ONE = (
    "tools/convert_imageset.py makes an image database and tools/convert_labelset.py a label database from a list; "
    "tools/import_cifar10n.py, import_clothing1m.py and make_demo_data.py make all databases of a data set"
)


class LmdbReader:
    """The records of an LMDB database by position in key order.

    The structure of the file is checked once, here, and not again by worker processes (see ``lmdb_pages``). The
    database is opened when it is read, in each process on its own, read-only and without its lock file, so readers may
    be sent to worker processes, any number of them may share a database, and it may lie where nobody can write.

    Another process may append meanwhile: the reader keeps its length, and checks the pages again. To change or remove
    what is there, and to shorten the file, is not allowed while it is read.

    Args:
        path: the database's folder.
    Raises: DataError if the folder is missing, is no LMDB database, is cut short, damaged, or holds no record.
    """

    can_be_shared = True  # by worker processes
    _shared: Environment | None = None
    _cursor: lmdb.Cursor | None = None

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._position = -1
        self._keys: KeyTable | None = None
        self._checked = _check_database(self.path)
        self._length = self._checked.entries

    def __len__(self) -> int:
        return self._length

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_shared": None, "_cursor": None}

    def keys(self) -> KeyTable:
        """All keys in key order. The table is made on the first call and kept. Raises: DataError."""
        with self._reading() as cursor:
            if self._keys is None:
                cursor.first()
                self._keys = KeyTable(bytes(key) for key in cursor.iternext(keys=True, values=False))
                self._position = -1
            return self._keys

    def read(self, position: int) -> bytes:
        """The record at ``position``, 0-based, in key order. Raises: IndexError outside [0, len); DataError."""
        return self.read_all([position])[0]

    def read_all(self, positions: Iterable[int]) -> list[bytes]:
        """The records at these positions. Raises: IndexError outside [0, len); DataError for a damaged database."""
        with self._reading() as cursor:
            return [bytes(self._move(cursor, position).value()) for position in positions]

    def key(self, position: int) -> bytes:
        """The key at ``position``, 0-based, in key order. Raises: IndexError outside [0, len); DataError."""
        with self._reading() as cursor:
            return bytes(self._move(cursor, position).key())

    def close(self) -> None:
        """Close this reader's view of the database; reading again opens it again."""
        with inside_lmdb:
            if self._cursor is not None:
                self._cursor.close()
            self._cursor, self._shared = None, None
            closed_one.notify_all()

    def __del__(self) -> None:
        """The environment goes with its last reader, in whichever thread, and under the lock."""
        if inside_lmdb is not None:  # as it is when Python ends
            self.close()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[lmdb.Cursor]:
        with inside_lmdb:
            try:
                yield self._open_cursor()
            except lmdb.Error as exc:
                raise DataError(f"a damaged LMDB database: {exc}", path=self.path) from exc

    def _open_cursor(self) -> lmdb.Cursor:
        if self._cursor is None or self._shared is None or not self._shared.is_current():
            self._shared = Environment.of(self.path, self._checked)
            self._checked = self._shared.checked
            self._cursor = self._shared.cursor()
            self._position = -1
        return self._cursor

    def _move(self, cursor: lmdb.Cursor, position: int) -> lmdb.Cursor:
        if not 0 <= position < self._length:
            raise IndexError(f"{self.path}: record {position} of {self._length}")
        found = True
        if not 0 <= self._position <= position:
            found = cursor.first()
            self._position = 0
        steps = position - self._position
        if steps <= (_MAX_STEPS if self._keys is None else _FEW_STEPS):
            for _ in range(steps):
                found = cursor.next()
        else:
            found = cursor.set_key(self.keys()[position])
        if not found:
            raise DataError(
                f"record {position} of {self._length} is gone: it was changed while it was read", path=self.path
            )
        self._position = position
        return cursor


def _check_database(path: str) -> CheckedTree:
    """What is there, or DataError."""
    data = Path(path) / "data.mdb"
    if not data.exists() and (Path(path) / "CURRENT").exists():
        raise DataError("no LMDB database there; it is a LevelDB database: write `backend: LEVELDB`", path=path)
    if Path(path).is_file():
        raise DataError("it is a file; expected the folder of an LMDB database, with data.mdb in it", path=path)
    if not data.exists():
        raise DataError(f"no LMDB database there (no {data}); {_HOW_TO_MAKE_ONE}", path=path)
    try:
        with inside_lmdb:
            checked = Environment.of(path).checked
    except lmdb.Error as exc:
        raise DataError(f"not an LMDB database ({exc}); {_HOW_TO_MAKE_ONE}", path=path) from exc
    if checked.entries == 0:
        raise DataError(f"an LMDB database without records; {_HOW_TO_MAKE_ONE}", path=path)
    return checked


def write_database(path: str | os.PathLike[str], records: Records, group: Group | None = None) -> int:
    """Write a database, committing every 1000 records as Caffe does, and return the number of records.

    Nothing appears at ``path`` before the last record is written. Records may come in any key order.

    Args:
        group: written beside the records when given (see ``data.group``).
    Raises: DataError if ``path`` exists, or a key is there already, empty or longer than LMDB allows.
    """
    final = os.fspath(path)
    with new_folder(final) as part:
        environment = lmdb.open(str(part), map_size=_FIRST_MAP_SIZE, lock=False)
        logger.info("Opened lmdb %s", final)
        try:
            count = _write_records(environment, records, final)
        finally:
            environment.close()
        if group is not None:
            write_group(part / SIDE_FILE, group)
    return count


def _write_records(environment: lmdb.Environment, records: Records, path: str) -> int:
    count = 0
    for batch in commits(records):
        while not _commit(environment, batch, path):
            environment.set_mapsize(2 * environment.info()["map_size"])
        count += len(batch)
        logger.info("Processed %d files.", count)
    environment.sync(True)
    return count


def _commit(environment: lmdb.Environment, batch: list[tuple[bytes, bytes]], path: str) -> bool:
    """Write one batch in one transaction; False, with nothing written, when the map is full."""
    try:
        with environment.begin(write=True) as transaction:
            for key, value in batch:
                if not transaction.put(key, value, overwrite=False):
                    raise same_key(key, path)
    except lmdb.MapFullError:
        return False
    except lmdb.BadValsizeError as exc:
        longest = environment.max_key_size()
        bad = next(key for key, _ in batch if not 1 <= len(key) <= longest)
        raise DataError(f"key {os.fsdecode(bad)!r}: expected 1 to {longest} bytes, got {len(bad)}", path=path) from exc
    return True
