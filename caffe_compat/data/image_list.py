"""Caffe's list files: one ``path label`` a line."""

from __future__ import annotations

import codecs
import os
from typing import NamedTuple

from caffe_compat.data.record_keys import image_key
from caffe_compat.errors import DataError, expected_got

UTF_8 = "UTF-8"
_MARKS = (  # the longer ones first: UTF-32's begins as UTF-16's does
    (codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF32_BE, "UTF-32"), (codecs.BOM_UTF8, UTF_8),
    (codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16"),
)  # fmt: skip


class Entry(NamedTuple):
    """One image of a list.

    Attributes:
        number: its place in the order of conversion, from 0, which its key carries.
        line: its line in the file, from 1.
    """

    path: str
    label: int
    number: int
    line: int

    @property
    def key(self) -> bytes:
        """The key of the image's record."""
        return image_key(self.number, self.path)


def read_list(path: str | os.PathLike[str], skip_blank: bool = False) -> list[Entry]:
    """The entries of a list file. Paths may hold spaces and commas: the label follows the last space.

    Blank lines at the end do not count.

    Args:
        skip_blank: nor do others. Caffe's tools, which join lists by position, take a blank line for an image.
    Raises: DataError naming file and line where there is no label or it is no int32 (Caffe takes such a label for 0),
        or the list begins with a byte order mark (which Caffe takes for a part of the first path).
    """
    lines, marked = read_lines(path)
    if marked is not None:
        problem = f"begins with the byte order mark of {marked}: save it as {UTF_8} without one"
        raise DataError(problem, path=f"{os.fspath(path)}:1")
    entries = [parse_entry(line, number, path) for number, line in enumerate(lines) if line.strip() or not skip_blank]
    if not entries:
        raise DataError("an empty list", path=os.fspath(path))
    return [entry._replace(number=number) for number, entry in enumerate(entries)] if skip_blank else entries


def read_classes(path: str | os.PathLike[str], skip_blank: bool = False) -> list[Entry]:
    """As :func:`read_list`; a label is a class, from 0. Raises: DataError naming file and line of one that is none."""
    entries = read_list(path, skip_blank)
    for entry in entries:
        if entry.label < 0:
            raise DataError(expected_got("a label >= 0", entry.label), path=f"{os.fspath(path)}:{entry.line}")
    return entries


def read_lines(path: str | os.PathLike[str]) -> tuple[list[bytes], str | None]:
    """The lines of a list file, without the blank ones at its end.

    Returns: them and, where the file begins with a byte order mark, the encoding whose mark that is. That of UTF-8 is
        not in the lines; those of a file in another encoding are no entries.
    """
    with open(path, "rb") as file:
        content = file.read().rstrip()
    marked = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    if marked == UTF_8:
        content = content.removeprefix(codecs.BOM_UTF8)
    return content.split(b"\n") if content else [], marked


def missing_slash(root: str, path: str, name: str) -> str | None:
    """What is wrong if an image is there, but ``root`` lacks the slash: Caffe adds none, which is easily forgotten.

    Args:
        name: of the argument that gives the root.
    """
    if root and not os.path.exists(root + path) and os.path.exists(f"{root}/{path}"):
        return f"{root}/{path} is there: {name} must end in /"
    return None


def parse_entry(line: bytes, number: int, list_path: str | os.PathLike[str]) -> Entry:
    """Line ``number``, from 0, of a list file. Raises: DataError as :func:`read_list` does."""
    image, _, label = line.strip().rpartition(b" ")
    try:
        value = int(label)
        valid = bool(image) and -(2**31) <= value < 2**31
    except ValueError:
        valid = False
    if not valid:
        wanted, got = 'a line "path label", the label a whole number', repr(os.fsdecode(line.rstrip()))
        raise DataError(expected_got(wanted, got), path=f"{os.fspath(list_path)}:{number + 1}")
    return Entry(os.fsdecode(image.rstrip()), value, number, number + 1)
