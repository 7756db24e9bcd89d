"""One process at a time trains in a folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from caffe_compat.errors import CaffeCompatError


@contextlib.contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold the lock ``path``; yields its file descriptor, and a child that inherits that holds the lock, too.

    It goes with the last process that holds it; the file stays. Raises: CaffeCompatError where another holds it.
    """
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise CaffeCompatError("another process is training here", path=str(path.parent)) from exc
        yield lock
    finally:
        os.close(lock)
