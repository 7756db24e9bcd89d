"""Text files as people save them: UTF-8, with or without the mark in front that spreadsheets write."""

from __future__ import annotations

import os
from collections.abc import Iterator

from caffe_compat.errors import DataError, expected_got


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
