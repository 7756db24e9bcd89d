"""Worker processes import the modules of the functions that they run: these are light."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["check.decoding", "near_duplicates.alignment", "near_duplicates.hashing"])
def test_what_workers_import_is_light(module: str) -> None:
    code = (
        f"import sys, caffe_compat.datasets.{module}\n"
        "print(*(name for name in ('torch', 'lmdb', 'matplotlib') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.split() == []
