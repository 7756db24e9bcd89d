"""Reading damaged files in a process of its own: one that ends by a signal, late, or with another error is seen."""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from caffe_compat.errors import CaffeCompatError

_MOST_SECONDS = 10  # after which a case counts as one that never ends
_MORE_MEMORY = 2**30  # bytes that a reader may ask for


@dataclass
class Survey:
    """How many damaged files were read to the end, how many refused with an error of ours, and what else happened."""

    read: int = 0
    refused: int = 0
    slowest: float = 0.0  # processor seconds: the machine may be busy
    failures: list[str] = field(default_factory=list)


def survey(count: int, case: Callable[[random.Random], None]) -> Survey:
    """Call ``case`` for the seeds 0 to ``count`` - 1: it damages a file and reads it."""
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    running = context.Value("i", -1)
    process = context.Process(target=_run, args=(count, case, running, sending))
    process.start()
    sending.close()
    try:
        found: Survey = receiving.recv()
    except EOFError:
        process.join()
        found = Survey(failures=[f"seed {running.value}: the process ended with {process.exitcode}"])
    process.join()
    return found


def _run(count: int, case: Callable[[random.Random], None], running: object, sending: Connection) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    limit = _memory_in_use() + _MORE_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    found = Survey()
    for seed in range(count):
        running.value = seed  # type: ignore[attr-defined]
        signal.alarm(_MOST_SECONDS)
        begun = time.process_time()
        try:
            case(random.Random(seed))
            found.read += 1
        except CaffeCompatError:
            found.refused += 1
        except Exception as exc:
            found.failures.append(f"seed {seed}: {type(exc).__name__}: {exc}")
        found.slowest = max(found.slowest, time.process_time() - begun)
    signal.alarm(0)
    sending.send(found)


def _memory_in_use() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def damaged(content: bytes, rng: random.Random, places: list[int]) -> bytes:
    """Bytes with one to three places overwritten, two thirds of them out of ``places``; some are cut, too."""
    result = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        place = rng.choice(places) if places and rng.random() < 2 / 3 else rng.randrange(len(result))
        width = rng.choice([1, 1, 2, 2, 4, 8])
        old = int.from_bytes(result[place : place + width], "little")
        most = 256**width - 1
        new = rng.choice(
            [rng.randint(0, most), 0, most, old + 1, old - 1, old ^ 1 << rng.randrange(8 * width), 2 * old]
        )
        result[place : place + width] = (new & most).to_bytes(width, "little")[: len(result) - place]
    return bytes(result[: rng.randrange(len(result))] if rng.random() < 0.05 else result)


def folder_in_memory() -> tempfile.TemporaryDirectory[str]:
    """Where files are quickly made and, as LevelDB wants, quickly safe: in memory where the system offers it."""
    return tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
