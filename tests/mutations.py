"""Accidents that happen to files, and some that are made to happen: seeded, so that every run has the same ones."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence

Accident = Callable[[bytearray, random.Random, Sequence[bytes]], None]

_EDGE_BYTES = (0, 1, 0x7F, 0x80, 0xFF)
_EDGE_NUMBERS = (b"", b"-1", b"0", b"1.5", b"nan", b"1e999", b"2147483648", b"4294967296", b"9" * 25, b"9" * 5000)
_EDGE_SIZES = (0, 1, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1)
_EDGE_TEXTS = (b"\0", b"\n", b"\r", b" ", b'"', b",", b"{", b"}", b"[" * 3000, b"\xff\xfe", "\u00e9\u0663".encode())


def mutants(originals: Sequence[bytes], count: int, seed: int = 0) -> Iterator[bytes]:
    """``count`` files, each one of ``originals`` with one to three accidents."""
    rng = random.Random(seed)
    for _ in range(count):
        content = bytearray(rng.choice(originals))
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            rng.choice(ACCIDENTS)(content, rng, originals)
        yield bytes(content)


def _place(content: bytearray, rng: random.Random) -> int:
    """Anywhere, but mostly where the structure is: in the first bytes, or the last."""
    size = len(content)
    return min(size, rng.choice((rng.randint(0, size), rng.randint(0, 100), max(0, size - rng.randint(0, 60)))))


def _run(content: bytearray, rng: random.Random) -> slice:
    """A few bytes, now and then many."""
    start = _place(content, rng)
    return slice(start, min(len(content), start + rng.choice((1, 4, 20, len(content) // 4 + 1))))


def _truncate(content: bytearray, rng: random.Random, originals: Sequence[bytes]) -> None:
    del content[_place(content, rng) :]


def _flip_a_bit(content: bytearray, rng: random.Random, originals: Sequence[bytes]) -> None:
    if content:
        content[min(_place(content, rng), len(content) - 1)] ^= 1 << rng.randrange(8)


def _set_a_byte(content: bytearray, rng: random.Random, originals: Sequence[bytes]) -> None:
    if content:
        content[min(_place(content, rng), len(content) - 1)] = rng.choice(_EDGE_BYTES)


def _overwrite(content: bytearray, rng: random.Random, originals: Sequence[bytes]) -> None:
    run = _run(content, rng)
    length = run.stop - run.start
    content[run] = rng.choice((rng.randbytes(length), bytes(length), b"\xff" * length))


def _insert(content: bytearray, rng: random.Random, originals: Sequence[bytes]) -> None:
    place = _place(content, rng)
    content[place:place] = rng.choice((rng.randbytes(rng.randint(1, 20)), rng.choice(_EDGE_TEXTS)))


def _delete(content: bytearray, rng: random.Random, originals: Sequence[bytes]) -> None:
    del content[_run(content, rng)]


def _duplicate(content: bytearray, rng: random.Random, originals: Sequence[bytes]) -> None:
    place = _place(content, rng)
    content[place:place] = content[_run(content, rng)] * rng.choice((1, 1, 2, 50))


def _swap(content: bytearray, rng: random.Random, originals: Sequence[bytes]) -> None:
    one, other = sorted((_place(content, rng), _place(content, rng)))
    length = min(rng.randint(1, 20), other - one, len(content) - other)
    ours, theirs = slice(one, one + length), slice(other, other + length)
    content[ours], content[theirs] = content[theirs], content[ours]


def _splice(content: bytearray, rng: random.Random, originals: Sequence[bytes]) -> None:
    other = bytearray(rng.choice(originals))
    content[_place(content, rng) :] = other[_place(other, rng) :]


def _inflate(content: bytearray, rng: random.Random, originals: Sequence[bytes]) -> None:
    """An extreme size as binary formats write sizes: fixed, of either byte order, or a varint of protobuf's."""
    place, size = _place(content, rng), rng.choice(_EDGE_SIZES)
    kind = rng.choice((1, 2, 4, 8, 0))
    order = rng.choice(("big", "little"))
    written = (size % 2 ** (8 * kind)).to_bytes(kind, order) if kind else varint(size)  # type: ignore[arg-type]
    content[place : place + (kind or 1)] = written


def _number(content: bytearray, rng: random.Random, originals: Sequence[bytes]) -> None:
    """An extreme number in place of one that is written out, if there is any."""
    numbers = list(re.finditer(rb"-?\d+", content))
    if numbers:
        number = rng.choice(numbers)
        content[number.start() : number.end()] = rng.choice(_EDGE_NUMBERS)


def _word(content: bytearray, rng: random.Random, originals: Sequence[bytes]) -> None:
    """A word of the file in the place of another one."""
    words = list(re.finditer(rb"\w+", content))
    if words:
        old, new = rng.choice(words), rng.choice(words)
        content[old.start() : old.end()] = new[0]


ACCIDENTS: tuple[Accident, ...] = (
    _truncate, _flip_a_bit, _set_a_byte, _overwrite, _insert, _delete, _duplicate, _swap, _splice, _inflate,
    _number, _number, _word, _word,
)  # fmt: skip


def varint(value: int) -> bytes:
    """As protobuf writes whole numbers."""
    return bytes([value]) if value < 0x80 else bytes([value & 0x7F | 0x80]) + varint(value >> 7)
