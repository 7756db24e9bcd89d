"""The fixture of the tests whose programs ``import caffe``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import caffe_compat.pycaffe


@pytest.fixture
def caffe() -> Iterator[Any]:
    """What a script gets that calls install() and then imports caffe; afterwards no caffe is there any more."""
    before = set(sys.modules)
    caffe_compat.pycaffe.install()
    yield importlib.import_module("caffe")
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("caffe", "face_layers", "face_data_layers"):
            del sys.modules[name]
