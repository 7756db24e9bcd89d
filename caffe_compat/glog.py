"""Caffe's log: glog lines on stderr, which other people's parsers read.

Every module logs through the standard library (``logging.getLogger("caffe_compat")``); this file only gives the
lines glog's prefix, ``I1123 17:28:13.268692 20096 solver.cpp:347] ``, and prints numbers as C++ streams do.
"""

from __future__ import annotations

import contextlib
import getpass
import logging
import math
import os
import platform
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

LOGGER_NAME = "caffe_compat"


class GlogFormatter(logging.Formatter):
    """``Lmmdd hh:mm:ss.uuuuuu thread file:line] message``; month and day only, as Caffe's own parsers expect."""

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%m%d %H:%M:%S", time.localtime(record.created))
        micros = int(record.created % 1 * 1e6)
        level = "F" if record.levelno >= logging.CRITICAL else record.levelname[0]
        thread = threading.get_native_id()
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return f"{level}{clock}.{micros:06d} {thread:5d} {record.filename}:{record.lineno}] {text}"


def set_up_logging(stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Send the library's log to ``stream`` (stderr by default) as glog lines. Calling again replaces the stream.

    A file that ``log_to_folder`` opened stays.
    """
    logger = logging.getLogger(LOGGER_NAME)
    for handler in list(logger.handlers):
        if isinstance(handler.formatter, GlogFormatter) and not isinstance(handler, logging.FileHandler):
            logger.removeHandler(handler)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(GlogFormatter())
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False


@contextlib.contextmanager
def warnings_only() -> Iterator[None]:
    """Inside, the library logs warnings and errors alone."""
    logger = logging.getLogger(LOGGER_NAME)
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def log_to_folder(folder: str | os.PathLike[str], program: str) -> Path:
    """Send the library's log to a new file in ``folder`` too, named as glog does; returns its path.

    ``<program>.INFO`` beside it is a link to the newest. Raises: OSError, for example if there is no such folder.
    """
    started = time.strftime("%Y%m%d-%H%M%S")
    host, user = platform.node() or "(unknown)", getpass.getuser()
    path = Path(folder) / f"{program}.{host}.{user}.log.INFO.{started}.{os.getpid()}"
    log_to_file(path)
    link = path.with_name(f"{program}.INFO")
    link.unlink(missing_ok=True)
    link.symlink_to(path.name)
    return path


def log_to_file(path: str | os.PathLike[str]) -> None:
    """Send the library's log to a file too, after what is in it. Raises: OSError."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(GlogFormatter())
    logging.getLogger(LOGGER_NAME).addHandler(handler)


def log_files() -> list[str]:
    """The files that the library's log goes to."""
    handlers = logging.getLogger(LOGGER_NAME).handlers
    return [handler.baseFilename for handler in handlers if isinstance(handler, logging.FileHandler)]


def number(value: float) -> str:
    """``value`` as a C++ stream prints it: 6 significant digits, no trailing zeros (``1``, ``4.375e+06``)."""
    return f"{value:g}"


def shape_text(shape: Sequence[int]) -> str:
    """As Caffe prints shapes: ``10 8 14 14 (15680)``, ``(1)`` for a scalar."""
    return "".join(f"{size} " for size in shape) + f"({math.prod(shape)})"
