"""The class names of a data set: a text file, one a line in the order of the labels."""

from __future__ import annotations

import os

from caffe_compat.datasets.text_lines import utf8_lines
from caffe_compat.errors import DataError, expected_got


def read_names(path: str | os.PathLike[str], num_classes: int | None = None) -> list[str]:
    """The names; exactly ``num_classes`` of them where that is given.

    Raises: DataError for text that is not UTF-8, or another number of names; FileNotFoundError.
    """
    names = [line.rstrip("\r\n") for line in utf8_lines(path)]
    if num_classes is not None and len(names) != num_classes:
        raise DataError(expected_got(f"{num_classes} names, one a line", len(names)), path=os.fspath(path))
    return names
