"""Fingerprints kept on disk, so that hashing goes on where it stopped; a file that changed is hashed again."""

from __future__ import annotations

import os
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from caffe_compat.datasets.near_duplicates.hashing import FINGERPRINT, Hashed, hash_file
from caffe_compat.datasets.workers import Rate, in_processes
from caffe_compat.errors import DataError
from caffe_compat.files import atomic_path

_IMAGES_A_PART = 20_000
_SECONDS_A_PART = 60.0

_NUMBER = "[0-9]" * 5
_STAMP = np.dtype([("size", np.int64), ("changed", np.int64)])
_NO_FILE = (-1, -1)


@dataclass(frozen=True)
class Fingerprints:
    """Of N files.

    Attributes:
        values: (N,) FINGERPRINT; zeros where a file cannot be read.
        problems: position -> why it cannot be read.
        hashed: how many were hashed now and not found in the store. seconds: how long that took.
    """

    values: npt.NDArray[np.void]
    problems: dict[int, str]
    hashed: int
    seconds: float

    def readable(self) -> npt.NDArray[np.int64]:
        """Positions of the files that can be read, (R,), rising."""
        return np.setdiff1d(np.arange(len(self.values)), list(self.problems))


class _Stored(NamedTuple):
    part: int
    row: int


class HashStore:
    """Parts ``part_00000.npz`` in a folder, which the first one makes, each with paths, stamps (size, time of change)
    and fingerprints.

    Raises: DataError naming a part that cannot be read, or a folder that is of something else.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        parts = sorted(folder.glob(f"part_{_NUMBER}.npz"))
        _check_folder(folder, bool(parts))
        self._next_number = 0  # of a part; not how many there are: a broken one may have been removed
        self._stamps: list[npt.NDArray[np.void]] = []
        self._values: list[npt.NDArray[np.void]] = []
        self._places: dict[bytes, _Stored] = {}
        for part in parts:
            self._read(part)

    def fingerprints(self, paths: Sequence[str], processes: int) -> Fingerprints:
        """The fingerprints of files, those that are not stored hashed in worker processes and stored as they come."""
        began = time.monotonic()
        values, problems = np.zeros(len(paths), FINGERPRINT), dict[int, str]()
        stamps = np.array([_stamp(path) for path in paths], _STAMP)
        missing = []
        for position, path in enumerate(paths):
            found = self._places.get(os.fsencode(path))
            if found is not None and self._stamps[found.part][found.row] == stamps[position]:
                values[position] = self._values[found.part][found.row]
            else:
                missing.append(position)
        rate = Rate("Hashed", len(paths), "images", earlier=len(paths) - len(missing))
        pending: list[int] = []
        last_part = time.monotonic()
        results = in_processes(hash_file, (paths[position] for position in missing), processes)
        for position, result in zip(missing, results, strict=True):
            rate.add(1)
            if _take(result, position, values, problems):
                pending.append(position)
            if len(pending) >= _IMAGES_A_PART or time.monotonic() - last_part > _SECONDS_A_PART:
                self._write(paths, stamps, values, pending)
                pending, last_part = [], time.monotonic()
        self._write(paths, stamps, values, pending)
        return Fingerprints(values, problems, len(missing), time.monotonic() - began)

    def _write(
        self, paths: Sequence[str], stamps: npt.NDArray[np.void], values: npt.NDArray[np.void], rows: list[int]
    ) -> None:
        if not rows:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        names = np.array([os.fsencode(paths[row]) for row in rows])
        part = self._folder / f"part_{self._next_number:05d}.npz"
        with atomic_path(part) as temporary, open(temporary, "wb") as file:
            np.savez(file, paths=names, stamps=stamps[rows], fingerprints=values[rows])
        self._add(part, names, stamps[rows], values[rows])

    def _read(self, part: Path) -> None:
        try:
            with open(part, "rb") as file, np.load(file, allow_pickle=False) as content:
                names, stamps, values = content["paths"], content["stamps"], content["fingerprints"]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as exc:
            raise DataError("not a part of kept hashes, or broken; remove it", path=str(part)) from exc
        if stamps.dtype != _STAMP or values.dtype != FINGERPRINT:
            raise DataError("kept hashes of another form; remove the folder", path=str(part))
        self._add(part, names, stamps, values)

    def _add(
        self, part: Path, names: npt.NDArray[np.bytes_], stamps: npt.NDArray[np.void], values: npt.NDArray[np.void]
    ) -> None:
        self._next_number = int(part.stem.removeprefix("part_")) + 1
        place = len(self._values)
        self._stamps.append(stamps)
        self._values.append(values)
        self._places.update((name, _Stored(place, row)) for row, name in enumerate(names.tolist()))


def _take(result: Hashed, position: int, values: npt.NDArray[np.void], problems: dict[int, str]) -> bool:
    """Put a result where it belongs; whether it is a fingerprint: unreadable files are tried again next time."""
    if result.problem:
        problems[position] = result.problem
        return False
    values[position] = np.frombuffer(result.fingerprint, FINGERPRINT)[0]
    return True


def _check_folder(folder: Path, has_parts: bool) -> None:
    """Raises: DataError for a folder of something else, and where none can be made."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise DataError("expected a folder of kept hashes, got a file", path=str(there))
    if there == folder and not has_parts:
        others = [path.name for path in folder.iterdir() if not path.name.startswith(".part_")]  # see ``files``
        if others:
            raise DataError(f"expected a folder of kept hashes, got one that holds {min(others)}", path=str(folder))


def _stamp(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # ValueError: a name with a NUL in it
        return _NO_FILE
    return status.st_size, status.st_mtime_ns
