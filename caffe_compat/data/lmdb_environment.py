"""Open LMDB environments: one a database and process, shared by its readers, safe beside threads, forks, a writer."""

from __future__ import annotations

import os
import threading
import time
import weakref
from dataclasses import dataclass

import lmdb

from caffe_compat.data.lmdb_pages import check_meta_pages, check_tree
from caffe_compat.errors import DataError

_MOST_SECONDS_OF_A_READ = 10.0
_MOST_TRIES = 10  # to check a database into which another process writes

# Held by whoever is inside LMDB, and by whoever forks: a process that is born while a thread of its parent is there
# would wait for that thread, which it does not have, when it closes the environment it inherited. Born while one is
# being closed, it would never see it closed.
inside_lmdb = threading.RLock()
closed_one = threading.Condition(inside_lmdb)
os.register_at_fork(before=inside_lmdb.acquire, after_in_parent=inside_lmdb.release, after_in_child=inside_lmdb.release)


@dataclass(frozen=True)
class CheckedTree:
    """A tree of pages that was checked (see ``lmdb_pages``): of which file, at which state, and its records."""

    device: int
    inode: int
    modified_ns: int
    transaction: int
    entries: int

    @staticmethod
    def key_of(path: str, transaction: int) -> tuple[int, int, int, int]:
        status = os.stat(os.path.join(path, "data.mdb"))
        return status.st_dev, status.st_ino, status.st_mtime_ns, transaction

    def is_of(self, key: tuple[int, int, int, int]) -> bool:
        return (self.device, self.inode, self.modified_ns, self.transaction) == key


class Environment:
    """The one open LMDB environment of a database in this process; LMDB forbids a second one.

    All its readers share one transaction, whose tree of pages has been checked. Without a lock file no writer knows of
    it: the writer leaves that tree alone while it commits once more and while it writes what comes after that. So the
    environment is given up, and the new tree checked, as soon as another process has committed.
    """

    _open: weakref.WeakValueDictionary[str, Environment] = weakref.WeakValueDictionary()

    def __init__(self, path: str, checked: CheckedTree | None) -> None:
        self._pid = os.getpid()
        check_meta_pages(path)
        self._environment = lmdb.open(path, readonly=True, lock=False)
        try:
            self.checked = self._begin(path, checked)
        except BaseException:
            self._environment.close()  # the exception may live, and this object with it
            raise

    def _begin(self, path: str, checked: CheckedTree | None) -> CheckedTree:
        """Take the latest tree, which has been checked or is now. Pages that change meanwhile call for another try."""
        for _ in range(_MOST_TRIES):
            self._transaction = self._environment.begin()
            number = self._transaction.id()
            key = CheckedTree.key_of(path, number)
            if checked is not None and checked.is_of(key):
                return checked
            try:
                return CheckedTree(*key, check_tree(path, number).entries)
            except DataError:
                if self._last_transaction() == number:
                    raise
        raise DataError("another process writes into it all the time; wait until that has ended", path=path)

    def _last_transaction(self) -> int:
        return int(self._environment.info()["last_txnid"])

    def cursor(self) -> lmdb.Cursor:
        return self._transaction.cursor()

    def is_current(self) -> bool:
        """Whether it belongs to this process and no other one has committed since it was opened."""
        return self._pid == os.getpid() and self._last_transaction() == self.checked.transaction

    def close(self) -> None:
        self._pid = -1
        self._environment.close()

    @classmethod
    def of(cls, path: str, checked: CheckedTree | None = None) -> Environment:
        """The environment of ``path``, in place of one that a worker process inherited or that is out of date.

        Args:
            checked: what need not be checked again.
        Raises: DataError, lmdb.Error.
        """
        name = os.path.realpath(path)
        last_try = time.monotonic() + _MOST_SECONDS_OF_A_READ
        while True:
            found = cls._open.get(name)
            if found is not None and found.is_current():
                return found
            if found is not None:
                found.close()
            try:
                found = cls._open[name] = Environment(path, checked)
                return found
            except lmdb.Error as exc:
                # A reader dropped in the middle of a read ahead keeps its environment until that read has ended.
                if "already open" not in str(exc) or time.monotonic() > last_try:
                    raise
            closed_one.wait(0.01)  # lets others inside meanwhile, who close it, or open it again for all
