"""Fixtures that several test folders share."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_data import make_tiny_data


@pytest.fixture
def tiny_data(tmp_path: Path) -> Callable[..., Path]:
    """Makes a data folder of the usual layout with a handful of noise images (see ``make_tiny_data``)."""

    def make(name: str, **options: int) -> Path:
        return make_tiny_data(tmp_path / name, **options)

    return make
