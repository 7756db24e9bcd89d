"""What a reader does with files that mean no good: how each ends, how long it takes, how much memory it may have."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from mutations import mutants

from caffe_compat.errors import CaffeCompatError

MOST_SECONDS = 1.0  # of processor time, whatever else the machine is busy with
MOST_MEMORY = 512 << 20  # that a reader may take besides what the process has
_M_ARENA_MAX = -8  # malloc.h

Read = Callable[[Path], object]


@dataclass(frozen=True)
class Reader:
    """One way to read a file.

    Attributes:
        originals: makes the contents of files that can be read, in a folder that is empty.
        read: takes such a file's path.
        name: the file's.
        errors: what it may raise for what the file holds.
        count: how many mutated files it gets.
        takes: those of ``FIXED`` that it reads, because they say nothing wrong.
        names_file: its errors name the file; not so where it is given the content alone.
    """

    originals: Callable[[Path], Sequence[bytes]]
    read: Read
    name: str = "file"
    errors: tuple[type[Exception], ...] = (CaffeCompatError,)
    count: int = 1000
    takes: frozenset[str] = frozenset()
    names_file: bool = True


@dataclass
class Endings:
    """How many mutated files ended in an error, how many could be read all the same, and the slowest of all."""

    refused: int = 0
    read: int = 0
    slowest: float = 0.0


FIXED = {
    "empty": b"",
    "wrong magic": b"\x7fELF\x02\x01\x01" + bytes(200),
    "zeros": bytes(5000),
    "random": random.Random(1).randbytes(5000),
    "another format's": b"\x89HDF\r\n\x1a\n" + bytes(60),
    "a zip": b"PK\x03\x04" + bytes(100),
    "brackets": b"[" * 100_000,
    "braces": b"layer { " * 20_000,
}


def ending(reader: Reader, path: Path) -> Exception | None:
    """The error with which the reader refuses the file; None if it reads it. Anything else fails the test."""
    try:
        reader.read(path)
    except reader.errors as exc:
        if reader.names_file:
            assert str(path) in str(exc), f"the error does not name the file: {exc!r}"
        return exc
    return None


def endings(reader: Reader, folder: Path, originals: Sequence[bytes]) -> Endings:
    """Let it read ``reader.count`` mutated files."""
    found, path = Endings(), folder / reader.name
    with bounded_memory():
        for content in mutants(originals, reader.count):
            path.unlink(missing_ok=True)  # a file system may take its time to write one over
            path.write_bytes(content)
            start = time.process_time()
            try:
                refused = ending(reader, path) is not None
            except Exception as exc:
                exc.add_note(f"the file was {content if len(content) < 3000 else content[:3000]!r}")
                raise
            seconds = time.process_time() - start
            assert seconds < MOST_SECONDS, f"{seconds:.1f} s for {content[:3000]!r}"
            found.slowest = max(found.slowest, seconds)
            found.refused += refused
            found.read += not refused
    return found


@contextlib.contextmanager
def bounded_memory(most: int = MOST_MEMORY) -> Iterator[None]:
    """Within it, memory beyond ``most`` more than the process has is refused by the system (on Linux)."""
    if not sys.platform.startswith("linux"):
        yield
        return
    ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)  # a heap of each thread's own would reserve 128 MB of the addresses
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextlib.contextmanager
def forbidden(content: bytes, name: str, beside: Path) -> Iterator[Path]:
    """A file that this process may not read, even where it is root's, among copies of the files in ``beside``."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        for other in beside.iterdir():
            if other.is_file():
                shutil.copy(other, folder)
        path = Path(folder) / name
        path.write_bytes(content)
        path.chmod(0)
        user = os.geteuid()
        try:
            if user == 0:
                os.seteuid(65534)
        except OSError:
            pytest.skip("root cannot become somebody else here")
        try:
            yield path
        finally:
            os.seteuid(user)
