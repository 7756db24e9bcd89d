"""Writing files so that nothing half-written ever carries the final name, or stays.

What is being written lies beside its final name as ``.NAME.RANDOM.part``, locked by the process that writes it. A
killed process cannot remove its part: whoever writes the same name next does, since the lock went with the process.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

_SUFFIX = ".part"
_RANDOM = "?" * 8  # as many characters as tempfile puts in


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary name beside ``path``; on success sync it and rename it to ``path``, on failure remove it.

    Raises: OSError from the file system (the folder missing, no permission, disk full).
    """
    final = Path(path)
    with _part_of(final, _new_file) as part:
        yield part
        with open(part, "rb") as written:
            os.fsync(written.fileno())
        _take_usual_mode(part, 0o666)
        part.replace(final)
        _sync_directory(final.parent)


@contextlib.contextmanager
def atomic_directory(path: str | os.PathLike[str]) -> Iterator[Path]:
    """As ``atomic_path`` for a whole folder. Raises FileExistsError if ``path`` exists when it is to be put there."""
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    with temporary_directory(final) as part:
        yield part
        _take_usual_mode(part, 0o777)
        os.rename(part, final)
        _sync_directory(final.parent)


@contextlib.contextmanager
def temporary_directory(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``, removed at the end unless it has been renamed."""
    with _part_of(path, tempfile.mkdtemp) as part:
        yield part


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it; nothing there is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _part_of(final: Path, create: Callable[..., str]) -> Iterator[Path]:
    """A locked temporary file or folder for ``final``; what is left of it at the end is removed."""
    _remove_abandoned_parts(final)
    part, lock = _locked_part(final, create)
    try:
        yield part
    finally:
        with contextlib.suppress(OSError):
            remove(part)
        os.close(lock)


def _locked_part(final: Path, create: Callable[..., str]) -> tuple[Path, int]:
    while True:
        part = Path(create(suffix=_SUFFIX, prefix=f".{final.name}.", dir=final.parent))
        lock = os.open(part, os.O_RDONLY)
        with contextlib.suppress(OSError):  # a file system without locks: nobody can take the part for abandoned
            fcntl.flock(lock, fcntl.LOCK_EX)
        if part.exists():
            return part, lock
        os.close(lock)  # taken for abandoned before it was locked


def _remove_abandoned_parts(final: Path) -> None:
    """Remove the parts of ``final`` that no living process holds, as far as that can be done."""
    for part in final.parent.glob(f".{glob.escape(final.name)}.{_RANDOM}{_SUFFIX}"):
        with contextlib.suppress(OSError):
            lock = os.open(part, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(part)
            finally:
                os.close(lock)


def _new_file(**names: object) -> str:
    handle, name = tempfile.mkstemp(**names)  # type: ignore[call-overload]
    os.close(handle)
    return str(name)


def _take_usual_mode(path: Path, mode: int) -> None:
    """The mode that a new file or folder would have; tempfile's are for the owner alone."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(mode & ~mask)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
