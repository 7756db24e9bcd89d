"""Comparing our log with real Caffe's: line by line, without prefixes and timing, numbers to what printing leaves."""

from __future__ import annotations

import math
import re

_PREFIX = re.compile(r"^[IWEF]\d{4,8} \d\d:\d\d:\d\d\.\d{6} +\d+ [^ ]+\] ")
_DEPENDS_ON_TIMING = ("Waiting for data", "Restarting data prefetching from start.")
_RATE = re.compile(r"\([^ ]+ iter/s, [^ ]+s/(\d+) iters\)")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[-+]\d+)?(?![\w.]*\w)")


def messages(log: str) -> list[str]:
    """The lines without glog's prefix, rates left out, and without those that depend on timing."""
    lines = [_RATE.sub(r"(\1 iters)", _PREFIX.sub("", line)) for line in log.splitlines()]
    return [line for line in lines if line not in _DEPENDS_ON_TIMING]


def assert_same_messages(ours: list[str], theirs: list[str], rel: float = 1e-4, abs: float = 1e-6) -> None:
    """The same lines with the same words and integers; other numbers may differ by the tolerance."""
    for number, (our_line, their_line) in enumerate(zip(ours, theirs, strict=False)):
        assert _same(our_line, their_line, rel, abs), f"line {number}:\nours:   {our_line}\ntheirs: {their_line}"
    assert len(ours) == len(theirs), f"then come: {(ours if len(ours) > len(theirs) else theirs)[number + 1 :]}"


def _same(ours: str, theirs: str, rel: float, abs: float) -> bool:
    pairs = zip(_NUMBER.findall(ours), _NUMBER.findall(theirs), strict=False)
    return _NUMBER.sub("#", ours) == _NUMBER.sub("#", theirs) and all(_close(a, b, rel, abs) for a, b in pairs)


def _close(a: str, b: str, rel: float, abs: float) -> bool:
    if a.isdigit() and b.isdigit():
        return a == b
    return math.isclose(float(a), float(b), rel_tol=rel, abs_tol=abs)
