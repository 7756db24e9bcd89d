"""test_net against real Caffe's."""

from __future__ import annotations

from pathlib import Path

import pytest
from caffe_logs import assert_same_messages, messages

from caffe_compat import Net
from caffe_compat.cli.test_net import main
from caffe_compat.cli.train_net import main as train

ARGS = ["--model", "train_val.prototxt", "--weights"]
WEIGHTS = "snap_BINARYPROTO_iter_30.caffemodel"


def test_log(golden_run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*ARGS, WEIGHTS, "--iterations=2"]) == 0
    assert_same_messages(messages(capfd.readouterr().err), messages((golden_run / "test.log").read_text()))


def test_later_weights_win(golden_run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*ARGS, f"snap_BINARYPROTO_iter_10.caffemodel,{WEIGHTS}", "--iterations=2"]) == 0
    assert_same_messages(messages(capfd.readouterr().err), messages((golden_run / "test.log").read_text()))


def test_a_net_that_has_to_be_fed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Training too."""
    net, solver, weights = tmp_path / "fed.prototxt", tmp_path / "solver.prototxt", tmp_path / "fed.caffemodel"
    net.write_text("""
        layer { name: "d" type: "Input" top: "x" top: "y" input_param { shape { dim: 2 dim: 3 } } }
        layer { name: "loss" type: "EuclideanLoss" bottom: "x" bottom: "y" top: "loss" }
        layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param { num_output: 1 } }
    """)
    solver.write_text(f'net: "{net}" base_lr: 1 lr_policy: "fixed" max_iter: 1 snapshot_prefix: "{tmp_path}/s"')
    Net(net).save_weights(weights)
    for command, argv in ((main, ["--model", str(net), "--weights", str(weights)]), (train, ["--solver", str(solver)])):
        assert command(argv) == 2
        line = capfd.readouterr().err.splitlines()[-1]
        assert line == f"{argv[1]}: expected a net that reads data of its own, got one with the inputs x, y"


def test_wrong_input(golden_run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for argv, line in (
        ([*ARGS, "none.caffemodel"], "none.caffemodel: no such file"),
        (["--model", "none.prototxt", "--weights", WEIGHTS], "none.prototxt: no such file"),
    ):
        assert main(argv) == 2
        assert capfd.readouterr().err.splitlines()[-1] == line
    assert main(["--model", "train_val.prototxt"]) == 2
    assert "--weights" in capfd.readouterr().err
