"""The pages of an LMDB file, checked before liblmdb walks them.

liblmdb trusts its file: a wrong page number, offset or size makes it read outside its memory map, which ends the
process, or go round for ever. So whoever opens a database asks here first. What is read: the two meta pages, and from
the root of the main database every branch and leaf page. The pages of large values (overflow pages) are counted and
placed, not read, nor is the list of free pages, which only writing needs.

Everything is read with ``pread``, not through a map, so that a file that shrinks meanwhile is an error as well.

Source: the file format as liblmdb 0.9 declares it (MDB_meta, MDB_db, MDB_page, MDB_node in mdb.c), 64 bit,
little-endian, data version 1.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffe_compat.errors import DataError, expected_got

Integers = NDArray[np.int64]
_Bytes = NDArray[np.uint8]

_MAGIC, _VERSION = 0xBEEFC0DE, 1
_LEAST_PAGE, _MOST_PAGE = 256, 32768  # bytes; offsets in a page have 16 bits
_BRANCH, _LEAF, _META_PAGE, _KINDS = 0x01, 0x02, 0x08, 0x6F  # the flags beside these say what a writer is doing
_PAGE_HEADER, _NODE_HEADER = 16, 8
_BIG, _SUB_DATABASE, _SEVERAL_VALUES = 1, 2, 4  # flags of a node
_MOST_DEPTH = 32  # of liblmdb's cursors
_MOST_MAPPED = 2**47  # bytes that a process can map
_BYTES_AT_ONCE = 2**20

# A page's number and flags; magic, version; page size (of the free pages' database); the main database's flags, depth,
# pages of three kinds, entries, root; last page, transaction.
_META = struct.Struct("<Q 2x H 4x II 16x I 44x 4x HHQQQQQ QQ")
_NO_ROOT = 2**64 - 1


@dataclass(frozen=True)
class Meta:
    """What a meta page says of the main database: sizes in pages but ``page_size``, which is in bytes."""

    page_size: int
    flags: int
    depth: int
    branch_pages: int
    leaf_pages: int
    overflow_pages: int
    entries: int
    root: int
    last_page: int
    transaction: int


def check_meta_pages(path: str) -> Meta:
    """The live meta page of the database in folder ``path``, checked; as much as liblmdb reads when it opens one.

    Raises: DataError naming what is not as it should be.
    """
    with _Pages(path) as pages:
        first, second = pages.metas()
    return second if second.transaction > first.transaction else first


def check_tree(path: str, transaction: int) -> Meta:
    """The main database as ``transaction`` left it, with every page that leads to a record checked.

    Checked are: page numbers, kinds and bounds; offsets and sizes of nodes; that keys rise; that branches lead to the
    keys that they say; that large values lie in the file; that no two pages or values overlap; the numbers of
    entries and pages and the depth that the meta page declares.
    Raises: DataError naming the page, or telling that neither meta page is of this transaction any more.
    """
    with _Pages(path) as pages:
        found = {meta.transaction: meta for meta in pages.metas()}
        if transaction not in found:
            raise pages.damaged(expected_got(f"transaction {transaction} in a meta page", sorted(found)))
        _Tree(pages, found[transaction]).check()
        return found[transaction]


class _Pages:
    """The file ``data.mdb`` of a database, by pages."""

    def __init__(self, path: str) -> None:
        self.path, self.file = path, Path(path) / "data.mdb"
        try:
            self._descriptor = os.open(self.file, os.O_RDONLY | os.O_NONBLOCK)  # which does not wait for a pipe
        except OSError as exc:
            raise DataError(f"{self.file} cannot be read: {exc.strerror}", path=path) from exc
        status = os.fstat(self._descriptor)
        self.size, self.page_size = status.st_size, 0
        if not stat.S_ISREG(status.st_mode):
            os.close(self._descriptor)
            raise DataError(f"{self.file} is not a regular file", path=path)

    def __enter__(self) -> _Pages:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        os.close(self._descriptor)

    def damaged(self, problem: str) -> DataError:
        return DataError(f"a damaged LMDB database: {self.file}: {problem}; copy or make it again", path=self.path)

    def metas(self) -> tuple[Meta, Meta]:
        first = self._meta(0, 0)
        self.page_size = first.page_size
        second = self._meta(1, first.page_size)
        if second.page_size != first.page_size:
            raise self.damaged(
                f"page 1: page size: {expected_got(f'{first.page_size} as in page 0', second.page_size)}"
            )
        return first, second

    def _meta(self, page: int, offset: int) -> Meta:
        content = os.pread(self._descriptor, _META.size, offset)
        if len(content) < _META.size:
            wanted = expected_got(f"at least {offset + _META.size} bytes", self.size)
            raise DataError(f"not an LMDB database: {self.file}: {wanted}", path=self.path)
        number, flags, magic, version, *rest = _META.unpack(content)
        if magic != _MAGIC:
            wrong = expected_got(f"the magic number {_MAGIC:#x}", f"{magic:#x}")
            raise DataError(f"not an LMDB database: {self.file}: page {page}: {wrong}", path=self.path)
        if version != _VERSION:
            raise self.damaged(f"page {page}: version of the format: {expected_got(_VERSION, version)}")
        if number != page or not flags & _META_PAGE:
            got = f"number {number}, flags {flags:#x}"
            raise self.damaged(
                f"page {page}: {expected_got(f'number {page}, flags {_META_PAGE:#x} (a meta page)', got)}"
            )
        meta = Meta(*rest)
        size = meta.page_size
        if not _LEAST_PAGE <= size <= _MOST_PAGE or size & (size - 1):
            wanted = f"a power of 2 from {_LEAST_PAGE} to {_MOST_PAGE}"
            raise self.damaged(f"page {page}: page size: {expected_got(wanted, size)}")
        if (meta.last_page + 1) * size > _MOST_MAPPED:
            wanted = f"less than {_MOST_MAPPED // size}"
            raise self.damaged(f"page {page}: number of the last page: {expected_got(wanted, meta.last_page)}")
        return meta

    def read(self, numbers: Integers) -> _Bytes:
        """The pages of these numbers one after the other, and eight zeros, so that every byte begins a word."""
        size = self.page_size
        content = np.zeros(len(numbers) * size + 8, np.uint8)
        view = content.data
        for start, number in zip(range(0, len(view), size), numbers.tolist(), strict=False):
            if os.preadv(self._descriptor, [view[start : start + size]], number * size) < size:
                raise self.damaged(f"page {number} is cut short")
        return content


class _Tree:
    """The walk through the main database, one level after the other, many pages at a time.

    ``lows`` goes down with the pages: the least key that each may hold. It rises strictly on every level.
    """

    def __init__(self, pages: _Pages, meta: Meta) -> None:
        self.pages, self.meta = pages, meta
        self._in_use: list[tuple[Integers, Integers]] = []  # runs of pages: the first, how many

    def check(self) -> None:
        meta = self.meta
        if meta.flags:
            got = f"flags {meta.flags:#x}: keys in another order, or several values of a key"
            raise DataError(
                f"{self.pages.file}: {expected_got('a database as Caffe writes it', got)}", path=self.pages.path
            )
        if meta.depth == 0 and meta.root == _NO_ROOT and meta.entries == 0:
            return
        if not 1 <= meta.depth <= _MOST_DEPTH:
            raise self.pages.damaged(f"depth of the tree: {expected_got(f'1 to {_MOST_DEPTH}', meta.depth)}")
        level, lows, branches = self._take(np.array([meta.root], np.uint64)), [b""], 0
        for _ in range(meta.depth - 1):
            branches += len(level)
            level, lows = self._check_branches(level, lows)
        entries, overflow_pages = self._check_leaves(level, lows)
        self._require_declared("branch pages", meta.branch_pages, branches)
        self._require_declared("leaf pages", meta.leaf_pages, len(level))
        self._require_declared("records", meta.entries, entries)
        if overflow_pages > meta.overflow_pages:  # fewer are fine: a value that was made smaller keeps its pages
            wanted = f"at most {meta.overflow_pages}, as the meta page declares"
            raise self.pages.damaged(f"overflow pages: {expected_got(wanted, overflow_pages)}")
        self._check_overlaps()

    def _check_branches(self, level: Integers, lows: list[bytes]) -> tuple[Integers, list[bytes]]:
        """The next level's pages and lows. A branch's first page begins where it does: that key has no meaning."""
        next_level, next_lows = [], []
        for nodes in self._nodes(level, _BRANCH, least=2):
            next_level.append(nodes.children())
            is_first = np.diff(nodes.page, prepend=-1) > 0
            for node, (page, first) in enumerate(zip(nodes.page.tolist(), is_first.tolist(), strict=True)):
                next_lows.append(lows[page] if first else nodes.key(node))
                if node and not next_lows[-2] < next_lows[-1]:
                    raise self._out_of_order(nodes.number[node])
        return self._take(np.concatenate(next_level)), next_lows

    def _check_leaves(self, level: Integers, lows: list[bytes]) -> tuple[int, int]:
        """The numbers of records and of overflow pages that their large values need."""
        entries, overflow_pages = 0, 0
        ends = [*lows[1:], None]
        for nodes in self._nodes(level, _LEAF, least=1):
            entries += len(nodes.page)
            overflow_pages += self._take_overflow_pages(nodes)
            self._check_keys_rise(nodes)
            firsts = np.flatnonzero(np.diff(nodes.page, prepend=-1))
            for first, last in zip(firsts.tolist(), [*(firsts[1:] - 1).tolist(), len(nodes.page) - 1], strict=True):
                end = ends[nodes.page[first]]
                if nodes.key(first) < lows[nodes.page[first]] or (end is not None and nodes.key(last) >= end):
                    raise self._out_of_order(nodes.number[first])
        return entries, overflow_pages

    def _check_keys_rise(self, nodes: _Nodes) -> None:
        """Eight bytes at a time, of the neighbours that are alike up to there."""
        index, alike = 0, np.arange(len(nodes.page) - 1)
        while alike.size:
            this, following = nodes.key_words(alike, index), nodes.key_words(alike + 1, index)
            index += 1
            ended = nodes.key_length[alike] <= 8 * index
            shorter = nodes.key_length[alike] < nodes.key_length[alike + 1]
            falls = (this > following) | ((this == following) & ended & ~shorter)
            if falls.any():
                raise self._out_of_order(nodes.number[alike[np.argmax(falls)] + 1])
            alike = alike[(this == following) & ~ended]

    def _take_overflow_pages(self, nodes: _Nodes) -> int:
        large = np.flatnonzero(nodes.flags & _BIG)
        count = (_PAGE_HEADER - 1 + nodes.data_size()[large]) // self.pages.page_size + 1
        self._in_use.append((self._in_the_file(nodes.page_numbers(large), count), count))
        return int(count.sum())

    def _nodes(self, level: Integers, kind: int, least: int) -> Iterator[_Nodes]:
        step = _BYTES_AT_ONCE // self.pages.page_size
        for first in range(0, len(level), step):
            yield _Nodes(self.pages, level[first : first + step], first, kind, least)

    def _take(self, level: NDArray[np.uint64]) -> Integers:
        """A level's pages. No page twice, so that a branch cannot lead back and the work is bounded by the file."""
        one = np.ones(len(level), np.int64)
        self._in_use.append((self._in_the_file(level, one), one))
        self._check_overlaps()
        return self._in_use[-1][0]

    def _in_the_file(self, first: NDArray[np.uint64], count: Integers) -> Integers:
        last_page, size = self.meta.last_page, self.pages.page_size
        known = (first >= 2) & (first <= last_page)
        first_page = np.where(known, first, 0).astype(np.int64)
        known &= first_page + count - 1 <= last_page
        if not known.all():
            wanted = f"in the {last_page - 1} from 2 to {last_page}"
            raise self.pages.damaged(f"number of a page: {expected_got(wanted, first[np.argmin(known)])}")
        needed = int((first_page + count).max(initial=0)) * size
        if needed > self.pages.size:
            wanted = expected_got(f"at least {max(needed, (last_page + 1) * size)} bytes", self.pages.size)
            raise DataError(f"{self.pages.file} is cut short: {wanted}; copy it again", path=self.pages.path)
        return first_page

    def _check_overlaps(self) -> None:
        first, count = (np.concatenate(parts) for parts in zip(*self._in_use, strict=True))
        order = np.argsort(first)
        first, count = first[order], count[order]
        overlap = first[1:] < first[:-1] + count[:-1]
        if overlap.any():
            raise self.pages.damaged(f"page {first[1:][np.argmax(overlap)]} is used twice")

    def _require_declared(self, what: str, declared: int, found: int) -> None:
        if declared != found:
            raise self.pages.damaged(f"{what}: {expected_got(f'{declared}, as the meta page declares', found)}")

    def _out_of_order(self, page: int) -> DataError:
        return self.pages.damaged(f"page {page}: expected keys that rise and lie where their branch says, got others")


class _Nodes:
    """The nodes of some pages of one kind, in the order of their keys, with bounds, offsets and sizes checked.

    Shapes: ``page`` and ``number`` (N,): each node's page, by its place on the level and in the file. ``start`` (N,):
        its place in ``content``. ``key_length``, ``flags`` (N,). ``word`` (N,) uint64: its size or page number, flags
        and length of the key as they are stored.
    """

    def __init__(self, pages: _Pages, numbers: Integers, first: int, kind: int, least: int) -> None:
        self._pages, self._level_numbers = pages, numbers
        self.content = pages.read(numbers)
        self._words = np.ndarray(len(self.content) - 7, "<u8", self.content, 0, (1,))
        count = self._check_headers(kind, least)
        row = np.repeat(np.arange(len(numbers)), count)
        self.page, self.number = first + row, numbers[row]
        self.start = self._check_offsets(row, count)
        self.word = self._words[self.start]
        self.key_length = (self.word >> np.uint64(48)).astype(np.int64)
        self.flags = (self.word >> np.uint64(32)).astype(np.int64) & 0xFFFF
        self.key_start = self.start + _NODE_HEADER
        stored = np.zeros_like(self.start) if kind == _BRANCH else self._check_records()
        self._check_sizes(row, stored)

    def key(self, node: int) -> bytes:
        start = self.key_start[node]
        return self.content[start : start + self.key_length[node]].tobytes()

    def data_size(self) -> Integers:
        """Of a leaf's nodes: the bytes of the value, wherever it is."""
        return (self.word & np.uint64(0xFFFFFFFF)).astype(np.int64)

    def page_numbers(self, nodes: Integers) -> NDArray[np.uint64]:
        """The first page of each of these nodes' large values."""
        return self._words[self.key_start[nodes] + self.key_length[nodes]]

    def children(self) -> NDArray[np.uint64]:
        """Of a branch's nodes: the page that each leads to."""
        return self.word & np.uint64(0xFFFFFFFFFFFF)

    def key_words(self, nodes: Integers, index: int) -> NDArray[np.uint64]:
        """Bytes 8 * ``index`` to 8 * ``index`` + 7 of the nodes' keys as numbers of the same order, 0 where ended."""
        left = np.clip(self.key_length[nodes] - 8 * index, 0, 8)
        at = np.where(left > 0, self.key_start[nodes] + 8 * index, 0)
        shift = (8 * np.maximum(8 - left, 1) * (left < 8)).astype(np.uint64)
        words = np.where(left > 0, self._words[at].byteswap(), 0).astype(np.uint64)
        return (words >> shift) << shift

    # --- checks

    def _check_headers(self, kind: int, least: int) -> Integers:
        """The number of nodes of each page."""
        size = self._pages.page_size
        headers = self.content[:-8].reshape(-1, size)[:, :_PAGE_HEADER]
        fields = headers.view("<u2").astype(np.int64)
        numbers, kinds, lower, upper = headers.view("<u8")[:, 0], fields[:, 5] & _KINDS, fields[:, 6], fields[:, 7]
        what = {_BRANCH: "a branch page", _LEAF: "a leaf page"}[kind]
        self._require(numbers == self._level_numbers.astype(np.uint64), "number in it", "its own", numbers)
        self._require(kinds == kind, "flags", f"{kind:#x} ({what})", kinds)
        bounds_fit = (lower <= upper) & (upper <= size) & (lower % 2 == 0)
        self._require(bounds_fit, "lower bound", f"an even number up to the upper bound, both up to {size}", lower)
        count = (lower - _PAGE_HEADER) >> 1
        self._require(count >= least, "number of nodes", f"at least {least}", count)
        return count

    def _check_offsets(self, row: Integers, count: Integers) -> Integers:
        """Where each node begins in ``content``."""
        size = self._pages.page_size
        halves = self.content[:-8].view("<u2").reshape(-1, size // 2)
        most = int(count.max())
        table = halves[:, _PAGE_HEADER // 2 : _PAGE_HEADER // 2 + most]
        offset = table[np.arange(most) < count[:, None]].astype(np.int64)
        upper = halves[row, 7]
        inside = (offset >= upper) & (offset <= size - _NODE_HEADER) & (offset % 2 == 0)
        self._require(
            inside, "offset of a node", f"an even number from the upper bound to {size - _NODE_HEADER}", offset
        )
        return row * size + offset

    def _check_records(self) -> Integers:
        """The bytes that each record's value takes in its page."""
        wanted = (
            f"0, or {_BIG} for a large value; {_SUB_DATABASE} is a named database, {_SEVERAL_VALUES} several values"
        )
        self._require((self.flags & ~_BIG) == 0, "flags of a node", wanted, self.flags)
        self._require(self.key_length > 0, "length of a key", "at least 1", self.key_length)
        return np.where(self.flags & _BIG, 8, self.data_size())

    def _check_sizes(self, row: Integers, stored: Integers) -> None:
        size = self._pages.page_size
        node_size = _NODE_HEADER + self.key_length + stored
        room = size - self.start % size
        self._require(node_size <= room, "size of a node", "no more than up to the page's end", node_size)
        used = np.bincount(row, node_size + node_size % 2).astype(np.int64)
        upper = self.content[:-8].view("<u2").reshape(-1, size // 2)[:, 7]
        self._require(used <= size - upper, "bytes of all nodes", "no more than from the upper bound on", used)

    def _require(self, ok: NDArray[np.bool_], what: str, expected: str, got: NDArray[Any]) -> None:
        """``ok`` and ``got`` have an element for each page or for each node."""
        if not ok.all():
            bad = int(np.argmin(ok))  # as many pages as nodes: then there is one node a page
            numbers = self._level_numbers if len(ok) == len(self._level_numbers) else self.number
            raise self._pages.damaged(f"page {numbers[bad]}: {what}: {expected_got(expected, got[bad])}")
