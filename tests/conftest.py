"""Fixtures that several test folders share."""

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from tiny_data import make_tiny_data

from caffe_compat.data.loader import set_num_workers


def log_as_it_was_at_first() -> None:
    logger = logging.getLogger("caffe_compat")
    logger.handlers, logger.propagate = [], True
    logger.setLevel(logging.NOTSET)


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """Command lines called in a test, or in a fixture of a whole module, set up the library's log; the next test shall
    not notice.
    """
    log_as_it_was_at_first()
    yield
    log_as_it_was_at_first()


@pytest.fixture
def in_this_process() -> Iterator[None]:
    """Layers read their images without worker processes."""
    set_num_workers(0)
    yield
    set_num_workers(None)


@pytest.fixture
def golden_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy, to be the current folder, of the files of real Caffe's run; returns the originals' folder."""
    original, copy = Path(__file__).parent / "golden/run", tmp_path / "run"
    shutil.copytree(original, copy, ignore=shutil.ignore_patterns("images", "*_gray_lmdb", "*_asis_lmdb"))
    monkeypatch.chdir(copy)
    return original


@pytest.fixture
def tiny_data(tmp_path: Path) -> Callable[..., Path]:
    """Makes a data folder of the usual layout with a handful of noise images (see ``make_tiny_data``)."""

    def make(name: str, **options: int) -> Path:
        return make_tiny_data(tmp_path / name, **options)

    return make


@pytest.fixture(params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> torch.device:
    """Each device in turn. Without a GPU its cases are skipped, which REQUIRE_CUDA=1 makes a failure."""
    if request.param == "cuda" and not torch.cuda.is_available():
        reason = "no GPU, or PyTorch was built without CUDA"
        if os.environ.get("REQUIRE_CUDA") == "1":
            pytest.fail(f"REQUIRE_CUDA=1: {reason}")
        pytest.skip(reason)
    return torch.device(request.param)
