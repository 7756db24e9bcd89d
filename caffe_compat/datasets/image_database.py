"""An existing image database, looked up by path."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Sequence

import numpy as np

from caffe_compat.arrays import IntArray
from caffe_compat.data.database import LMDB, open_database
from caffe_compat.data.datum import parse_datum
from caffe_compat.data.record_keys import path_of_key
from caffe_compat.errors import DataError
from caffe_compat.proto import caffe_pb2


class ImageDatabase:
    """Datums by the paths in the keys, ``%08d_<path>``; where a path is there twice, the first counts.

    Args:
        only: paths that will be asked for, so that those of millions of others are not held in memory; None: any.
    Raises: DataError if ``path`` is no database of the kind ``backend``.
    """

    def __init__(self, path: str | os.PathLike[str], backend: str = LMDB, only: Collection[str] | None = None) -> None:
        self.path = os.fspath(path)
        self._reader = open_database(path, backend)
        self._lock = threading.Lock()  # one cursor for all threads
        keys = self._reader.keys()
        self._positions: dict[str, int] = {}
        for position in range(len(keys)):
            path_of_record = path_of_key(keys[position])
            if only is None or path_of_record in only:
                self._positions.setdefault(path_of_record, position)

    def positions(self, paths: Sequence[str]) -> IntArray:
        """0-based positions in key order, (N,). Raises: DataError naming the first path that is not there."""
        try:
            return np.array([self._positions[path] for path in paths], np.int64)
        except KeyError as missing:
            raise DataError(f"no record for the image {missing}", path=self.path) from None

    def read(self, path: str) -> caffe_pb2.Datum:
        """The datum of ``path``. Raises: DataError if it is not there or damaged."""
        position = int(self.positions([path])[0])
        with self._lock:
            record = self._reader.read(position)
        try:
            return parse_datum(record)
        except DataError as exc:
            raise DataError(f"record of the image {path!r}: {exc.problem}", path=self.path) from exc
