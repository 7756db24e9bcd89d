"""names.txt: class names, one a line; a label is an index into them."""

from __future__ import annotations

from pathlib import Path

from caffe_compat.errors import DataError, expected_got


def read_names(path: Path) -> list[str]:
    """Raises: DataError naming the file for fewer than two names; FileNotFoundError."""
    names = path.read_text(encoding="utf-8", errors="replace").splitlines()
    if len(names) < 2:
        raise DataError(expected_got("at least two class names, one a line", len(names)), path=str(path))
    return names
