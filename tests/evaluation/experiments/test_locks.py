"""A lock is held by one process and those that inherit it, and goes with the last of them."""

import subprocess
import sys
from pathlib import Path

import pytest

from caffe_compat.errors import CaffeCompatError
from caffe_compat.evaluation.experiments.locks import locked


def test_lock_goes_with_the_last_process_that_holds_it(tmp_path: Path):
    with locked(tmp_path / "lock") as lock:
        with pytest.raises(CaffeCompatError, match=f"{tmp_path}: another process is training here"):
            with locked(tmp_path / "lock"):
                pass
        wait = [sys.executable, "-c", "input()"]
        child = subprocess.Popen(wait, stdin=subprocess.PIPE, pass_fds=(lock,))
    with pytest.raises(CaffeCompatError):
        with locked(tmp_path / "lock"):
            pass
    child.communicate(b"\n")
    with locked(tmp_path / "lock"):
        pass
