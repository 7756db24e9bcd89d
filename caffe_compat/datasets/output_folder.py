"""Making a data folder so that it appears whole, and replacing an old one without touching what else lies in it."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path

from caffe_compat.datasets import layout
from caffe_compat.errors import DataError
from caffe_compat.files import atomic_directory, remove, temporary_directory


@contextlib.contextmanager
def output_folder(path: Path, force: bool = False, replaces: Collection[str] = layout.EVERYTHING) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; on success it becomes ``path``, on failure it is removed.

    An existing folder is refused, or, with ``force``, the files ``replaces`` in it go once all new ones are written,
    whether or not there are new ones of their names; anything else in it, such as snapshots, stays.
    Raises: DataError if ``path`` exists and ``force`` is not given, or it is not a folder.
    """
    if not path.exists():
        with atomic_directory(path) as part:
            yield part
        return
    if not force or not path.is_dir():
        raise DataError("exists already; --force replaces what this command makes in it" if path.is_dir() else
                        "exists and is not a folder", path=str(path))  # fmt: skip
    with temporary_directory(path) as part:
        yield part
        _replace(part, path, replaces)


def _replace(new: Path, old: Path, names: Collection[str]) -> None:
    for name in names:
        remove(old / name)
    for entry in new.iterdir():
        remove(old / entry.name)
        entry.rename(old / entry.name)
