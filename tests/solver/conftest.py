"""What the solver's tests share."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """The library's log lines: ``log.messages``."""
    caplog.set_level(logging.INFO, "caffe_compat")
    return caplog


@pytest.fixture
def golden_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy, to be the current folder, of the files of real Caffe's run; returns the originals' folder."""
    run = tmp_path / "run"
    shutil.copytree(GOLDEN / "run", run, ignore=shutil.ignore_patterns("images", "*_gray_lmdb", "*_asis_lmdb"))
    monkeypatch.chdir(run)
    return GOLDEN / "run"
