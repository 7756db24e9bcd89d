"""test_net against real Caffe's."""

from __future__ import annotations

from pathlib import Path

import pytest
from caffe_logs import assert_same_messages, messages

from caffe_compat.cli.test_net import main

ARGS = ["--model", "train_val.prototxt", "--weights"]
WEIGHTS = "snap_BINARYPROTO_iter_30.caffemodel"


def test_log(golden_run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*ARGS, WEIGHTS, "--iterations=2"]) == 0
    assert_same_messages(messages(capfd.readouterr().err), messages((golden_run / "test.log").read_text()))


def test_later_weights_win(golden_run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*ARGS, f"snap_BINARYPROTO_iter_10.caffemodel,{WEIGHTS}", "--iterations=2"]) == 0
    assert_same_messages(messages(capfd.readouterr().err), messages((golden_run / "test.log").read_text()))


def test_wrong_input(golden_run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for argv, line in (
        ([*ARGS, "none.caffemodel"], "none.caffemodel: no such file"),
        (["--model", "none.prototxt", "--weights", WEIGHTS], "none.prototxt: no such file"),
    ):
        assert main(argv) == 2
        assert capfd.readouterr().err.splitlines()[-1] == line
    assert main(["--model", "train_val.prototxt"]) == 2
    assert "--weights" in capfd.readouterr().err
