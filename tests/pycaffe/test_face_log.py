"""init_log, log and Timer of the pycaffe face, each program in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from face_texts import inputs

import caffe_compat.pycaffe as caffe

ROOT = Path(__file__).parents[2]


def stderr_of(*lines: str) -> str:
    program = "\n".join(["import caffe_compat.pycaffe as caffe", *lines])
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=ROOT).stderr


def test_nothing_is_shown_before_init_log() -> None:
    net = f"caffe.Net({inputs(x=(2, 3))!r}, caffe.TEST)"
    shown = stderr_of(net, "caffe.init_log()", "caffe.log('here % we are')", net)
    first, *rest = shown.splitlines()
    assert re.fullmatch(r"I\d{4} [\d:.]+ +\d+ logs.py:\d+\] here % we are", first)
    assert sum("Creating layer x" in line for line in rest) == 1


def test_levels_are_glogs() -> None:
    lines = ["caffe.log('quiet')", "import logging", "logging.getLogger('caffe_compat').error('loud')"]
    shown = stderr_of("caffe.init_log(2)", *lines)
    assert "quiet" not in shown and re.match(r"E\d{4} .* loud", shown)
    with pytest.raises(ValueError, match="init_log: expected a level from 0 to 3, got 4"):
        caffe.init_log(4)


def test_timer() -> None:
    timer = caffe.Timer()
    assert timer.ms == 0
    timer.start()
    time.sleep(0.02)
    timer.start()  # goes on
    timer.stop()
    assert 20 <= timer.ms < 2000
    before = timer.ms
    timer.stop()
    assert timer.ms == before
