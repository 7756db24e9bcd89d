"""Making a data folder so that it appears whole, and replacing an old one without touching what else lies in it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from caffe_compat.datasets import layout
from caffe_compat.errors import DataError
from caffe_compat.files import atomic_directory


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
    part = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    try:
        yield part
        _replace(part, path, replaces)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _replace(new: Path, old: Path, names: Collection[str]) -> None:
    for name in names:
        _remove(old / name)
    for entry in new.iterdir():
        _remove(old / entry.name)
        entry.rename(old / entry.name)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
