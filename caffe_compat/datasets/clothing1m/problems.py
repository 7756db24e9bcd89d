"""What can be wrong with a copy of Clothing1M, all of it reported at once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

from caffe_compat.errors import DataError

logger = logging.getLogger("caffe_compat")

MALFORMED, OUT_OF_RANGE, CONFLICTING = "malformed_line", "label_out_of_range", "conflicting_label"
LINE_KINDS = (MALFORMED, OUT_OF_RANGE, CONFLICTING)

_SHOWN = 10


class Problem(NamedTuple):
    """What is wrong, and the keys or line numbers it is wrong with.

    Attributes:
        kind: its name in ``check.kinds``.
        file: the text file that has it.
        what: what the items have in common, after their number.
        items: numbers of lines where ``kind`` is one of LINE_KINDS, otherwise keys.
    """

    kind: str
    file: str
    what: str
    items: Sequence[str]

    def __str__(self) -> str:
        more = f", ... and {len(self.items) - _SHOWN} more" if len(self.items) > _SHOWN else ""
        return f"{len(self.items)} {self.what}: {', '.join(self.items[:_SHOWN])}{more}"


def report(problems: Sequence[Problem], root: str, skip: bool) -> None:
    """Warn of the problems if what they concern is skipped, otherwise raise one DataError that lists them."""
    if skip:
        for problem in problems:
            logger.warning("left out: %s", problem)
    elif problems:
        listed = "\n".join(f"  {problem}" for problem in problems)
        raise DataError(f"unusable entries (--skip_unusable leaves them out):\n{listed}", path=root)
