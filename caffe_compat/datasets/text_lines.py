"""Text files as people save them: UTF-8, with or without the mark in front that spreadsheets write."""

from __future__ import annotations

import contextlib
import csv
import os
from collections.abc import Iterator
from typing import Any

from caffe_compat.errors import DataError, expected_got


@contextlib.contextmanager
def csv_errors(path: str | os.PathLike[str], reader: Any) -> Iterator[None]:
    """What ``reader``, a ``csv.reader``, cannot take inside is a DataError with file and line."""
    try:
        yield
    except csv.Error as exc:
        raise DataError(f"not a CSV row: {exc}", path=f"{os.fspath(path)}:{reader.line_num}") from exc


def utf8_lines(path: str | os.PathLike[str]) -> Iterator[str]:
    """The lines with their ends, as ``csv.reader`` wants them.

    Raises: DataError with file and line where one is not UTF-8; OSError.
    """
    with open(path, newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.encode()
            except UnicodeEncodeError as exc:
                byte = ord(line[exc.start]) & 0xFF  # as surrogateescape keeps it
                raise DataError(expected_got("UTF-8", f"the byte 0x{byte:02x}"), path=f"{path}:{number}") from exc
            yield line
