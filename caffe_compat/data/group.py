"""Databases that belong together, and the check that they still do.

A training record's image and labels live in several databases that are joined by position only. Databases made
together carry a side file that says which group they belong to, how many records they have in reading order, and a
digest of the paths in that order; a net refuses databases of one group that differ.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from caffe_compat.errors import DataError, expected_got
from caffe_compat.files import atomic_path

logger = logging.getLogger("caffe_compat")

SIDE_FILE = "group.json"


@dataclass(frozen=True)
class Group:
    """What a side file says.

    Attributes:
        group: the id shared by all databases made together.
        records: number of records in reading order.
        paths_sha256: SHA-256 of the paths in reading order (UTF-8, one a line, each ended by a newline).
    """

    group: str
    records: int
    paths_sha256: str


def describe(group: str, paths: Iterable[str]) -> Group:
    """The side file of databases whose records, in reading order, come from ``paths``."""
    digest, records = hashlib.sha256(), 0
    for path in paths:
        digest.update(os.fsencode(path) + b"\n")
        records += 1
    return Group(group, records, digest.hexdigest())


def side_file(source: str | os.PathLike[str], index: str | os.PathLike[str] | None = None) -> Path:
    """Where the side file lies: in the database's folder, or beside the index that gives the reading order."""
    return Path(f"{os.fspath(index)}.{SIDE_FILE}") if index else Path(source) / SIDE_FILE


def write_group(path: str | os.PathLike[str], group: Group) -> None:
    """Write ``group`` to the side file ``path`` (see :func:`side_file`)."""
    with atomic_path(path) as part:
        part.write_text(json.dumps(asdict(group), indent=2) + "\n")


def read_group(path: str | os.PathLike[str]) -> Group | None:
    """The side file's content, or None when there is none.

    Raises: DataError naming the file if it is not a side file.
    """
    try:
        content = json.loads(Path(path).read_text())
        group = Group(str(content["group"]), int(content["records"]), str(content["paths_sha256"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as exc:
        raise DataError(f"not a group side file: {exc}; remove it or make the database again", path=str(path)) from exc
    return group


@dataclass(frozen=True)
class SourceInfo:
    """One database as a net reads it.

    Attributes:
        name: how to call it in messages: the source, and the index where there is one.
        records: number of records in reading order, as found on disk.
        group: its side file's content, or None.
        shuffled: whether it is read in a new random order every time round.
    """

    name: str
    records: int
    group: Group | None
    shuffled: bool = False


def check_databases(sources: Sequence[SourceInfo], path: str | None = None) -> None:
    """Check the databases that one net (in one phase) reads in lock-step.

    Args:
        path: the net's file, for messages.
    Raises: DataError if a database no longer has the records its side file tells of, or two databases of one group
        differ in their number of records or in their order, or one of several of equal length is shuffled and
        another is not. Where nothing says that databases belong together, one warning when their lengths differ.
    """
    first: dict[str, SourceInfo] = {}
    for source in sources:
        if source.group is not None:
            _check_against_side_file(source, path)
            other = first.setdefault(source.group.group, source)
            _check_pair(other, source, path)
    _check_all_shuffled_or_none(sources, path)
    if len({source.records for source in sources}) > 1:
        lengths = ", ".join(f"{source.name} ({source.records} records)" for source in sources)
        logger.warning(
            "%sdatabases of different lengths are read side by side: %s. Records are joined by position, so they "
            "drift apart when the shortest starts again.",
            f"{path}: " if path else "",
            lengths,
        )


def _check_all_shuffled_or_none(sources: Sequence[SourceInfo], path: str | None) -> None:
    shuffled = {source.records: source for source in sources if source.shuffled}
    for source in sources:
        if source.records in shuffled and not source.shuffled:
            raise DataError(
                f'database "{shuffled[source.records].name}" is read with "shuffle: true" and database "{source.name}" '
                f"without; read side by side, their records no longer belong together",
                path=path,
                field="data_param.shuffle",
            )


def _check_against_side_file(source: SourceInfo, path: str | None) -> None:
    assert source.group is not None
    if source.records != source.group.records:
        wanted = f"{source.group.records} records, as its side file says"
        raise DataError(f'database "{source.name}": {expected_got(wanted, source.records)}', path=path)


def _check_pair(one: SourceInfo, other: SourceInfo, path: str | None) -> None:
    assert one.group is not None and other.group is not None
    if one.group == other.group:
        return
    if one.group.records != other.group.records:
        what = f"the first has {one.group.records} records, the second {other.group.records}"
    else:
        what = "their records are in different orders or come from different paths"
    raise DataError(
        f'databases "{one.name}" and "{other.name}" belong to one group ({one.group.group}) but do not match: {what}; '
        f"make them again together",
        path=path,
    )
