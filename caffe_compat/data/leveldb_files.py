"""The files of a LevelDB database, checked before LevelDB opens it.

LevelDB checks sums of all that it reads when it is asked to, with three gaps that are closed here: a log or manifest
that is cut short is taken for one whose last write broke off, and what is missing is dropped without a word; a log that
is missing altogether is not missed; and a table's last bytes, which no sum covers, are believed when they ask for any
amount of memory. A log that ends between two writes cannot be told from a whole one.

Source: LevelDB's doc/log_format.md, doc/table_format.md, and the tags of db/version_edit.cc.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path

from caffe_compat.errors import DataError, expected_got

_BLOCK, _HEADER = 32768, 7  # of a log: the size of a block, and of a fragment's header (sum, length, type)
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_FOOTER, _MAGIC = 48, bytes.fromhex("57fb808b247547db")  # a table's
_SUM = 5  # bytes after a table's block: kind of compression, sum

# Fields of a version edit after each tag: v a number, s a string.
_LOG_NUMBER, _DELETED_TABLE, _NEW_TABLE, _EARLIER_LOG_NUMBER = 2, 6, 7, 9
_FIELDS = {
    **{1: "s", _LOG_NUMBER: "v", 3: "v", 4: "v", 5: "vs"},
    **{_DELETED_TABLE: "vv", _NEW_TABLE: "vvvss", _EARLIER_LOG_NUMBER: "v"},
}


class _InUse:
    """The numbers of the files that the manifest names.

    What else lies in the folder is never read: LevelDB that was closed in the middle of a compaction leaves the table
    it was writing there, half of it, and removes it when it opens the database again.
    """

    def __init__(self) -> None:
        self.tables: set[tuple[int, int]] = set()  # level, number
        self.log = self.earlier_log = 0

    def change(self, edit: bytes) -> None:
        """As an edit of the manifest says. Raises: DataError if it makes no sense."""
        new: set[tuple[int, int]] = set()
        for tag, values in _fields(edit):
            if tag == _LOG_NUMBER:
                self.log = values[0]
            elif tag == _EARLIER_LOG_NUMBER:
                self.earlier_log = values[0]
            elif tag == _DELETED_TABLE:
                self.tables.discard((values[0], values[1]))
            elif tag == _NEW_TABLE:
                new.add((values[0], values[1]))
        self.tables |= new  # deletions first: a table that only changes its level is in both


def check_files(path: str) -> None:
    """Raises: DataError naming the file in use that is cut short, missing or broken."""
    folder = Path(path)
    try:
        in_use = _InUse()
        for edit in _writes(_manifest(folder)):
            in_use.change(edit)
        log = folder / f"{in_use.log:06d}.log"
        if in_use.log and not log.exists():
            raise DataError(f"{log} is missing")
        for log in folder.glob("*.log"):
            if log.stem.isdecimal() and (int(log.stem) >= in_use.log or int(log.stem) == in_use.earlier_log):
                for _ in _writes(log):
                    pass
        for _, number in sorted(in_use.tables):
            _check_footer(_table(folder, number))
    except (DataError, OSError) as exc:
        raise DataError(f"a damaged LevelDB database: {exc}; copy or make it again", path=path) from exc


def _manifest(folder: Path) -> Path:
    with open(folder / "CURRENT", "rb") as file:
        content = file.read(100)
    if not re.fullmatch(rb"MANIFEST-\d+\n", content):
        raise DataError(f"{folder / 'CURRENT'}: {expected_got('the name of a manifest', content)}")
    manifest = folder / content.decode().strip()
    if not manifest.is_file():
        raise DataError(f"{manifest} is missing")
    return manifest


def _writes(log: Path) -> Iterator[bytes]:
    """What was written in one go each. The sums of all are left to LevelDB."""
    parts: list[bytes] | None = None
    with open(log, "rb") as file:
        while block := file.read(_BLOCK):
            for kind, fragment in _fragments(block, log):
                if (parts is None) != (kind in (_FULL, _FIRST)):
                    raise DataError(f"{log}: a piece of a write is missing")
                parts = [*(parts or []), fragment]
                if kind in (_FULL, _LAST):
                    yield b"".join(parts)
                    parts = None
    if parts is not None:
        raise DataError(f"{log} is cut short")


def _fragments(block: bytes, log: Path) -> Iterator[tuple[int, bytes]]:
    at = 0
    while _BLOCK - at >= _HEADER and at < len(block):
        if len(block) - at < _HEADER:
            raise DataError(f"{log} is cut short")
        length, kind = struct.unpack_from("<HB", block, at + 4)
        if kind == 0 and length == 0:  # a file whose length was set before it was written ends so
            return
        if not _FULL <= kind <= _LAST or at + _HEADER + length > _BLOCK:
            raise DataError(f"{log}: a broken header of a write: kind {kind}, {length} bytes")
        if at + _HEADER + length > len(block):
            raise DataError(f"{log} is cut short")
        yield kind, block[at + _HEADER : at + _HEADER + length]
        at += _HEADER + length


def _fields(edit: bytes) -> Iterator[tuple[int, list[int]]]:
    """Each field's tag and numbers; of a string its length."""
    at = 0
    while at < len(edit):
        tag, at = _varint(edit, at)
        if tag not in _FIELDS:
            raise DataError(f"the manifest: {expected_got('a tag of 1 to 7 or 9', tag)}")
        values = []
        for kind in _FIELDS[tag]:
            value, at = _varint(edit, at)
            at += value if kind == "s" else 0
            values.append(value)
        yield tag, values


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """The number there, and where it ends."""
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(content):
            break
        number |= (content[at] & 0x7F) << shift
        at += 1
        if content[at - 1] < 0x80:
            return number, at
    raise DataError("a number is cut short")


def _table(folder: Path, number: int) -> Path:
    for suffix in (".ldb", ".sst"):
        table = folder / f"{number:06d}{suffix}"
        if table.exists():
            return table
    raise DataError(f"{folder / f'{number:06d}.ldb'} is missing")


def _check_footer(table: Path) -> None:
    size = table.stat().st_size
    if size < _FOOTER:
        raise DataError(f"{table} is cut short: {expected_got(f'at least {_FOOTER} bytes', size)}")
    with open(table, "rb") as file:
        file.seek(size - _FOOTER)
        footer = file.read(_FOOTER)
    if not footer.endswith(_MAGIC):
        wanted = f"{_MAGIC.hex()} at its end"
        raise DataError(f"{table} is cut short or no table: {expected_got(wanted, footer[-8:].hex())}")
    at = 0
    for _ in range(2):  # the indices
        offset, at = _varint(footer, at)
        length, at = _varint(footer, at)
        if offset + length + _SUM > size - _FOOTER:
            wanted = expected_got(f"an index up to byte {size - _FOOTER}", f"{length} bytes at {offset}")
            raise DataError(f"{table}: {wanted}")
