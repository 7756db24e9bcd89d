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


def test_input_blobs_are_zeros(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """As Caffe has them before anyone writes there; training and its test net too. Loss 1/(2 2) sum (2 - 0)^2."""
    net, solver, weights = tmp_path / "fed.prototxt", tmp_path / "solver.prototxt", tmp_path / "fed.caffemodel"
    net.write_text("""
        layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
        layer { name: "y" type: "Input" top: "y" input_param { shape { dim: 2 dim: 1 } } }
        layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip"
                inner_product_param { num_output: 1 bias_filler { value: 2 } } }
        layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "y" top: "loss" }
    """)
    solver.write_text(f"""
        net: "{net}" base_lr: 0.25 lr_policy: "fixed" max_iter: 1 display: 1 test_iter: 1 test_interval: 1
        snapshot_prefix: "{tmp_path}/s"
    """)
    Net(net).save_weights(weights)
    assert main(["--model", str(net), "--weights", str(weights), "--iterations=2"]) == 0
    assert messages(capfd.readouterr().err)[-3:-1] == ["Batch 1, loss = 2", "Loss: 2"]
    assert train(["--solver", str(solver)]) == 0
    log = messages(capfd.readouterr().err)
    assert [line for line in log if "Test net output" in line] == [
        "    Test net output #0: loss = 2 (* 1 = 2 loss)", "    Test net output #0: loss = 1.125 (* 1 = 1.125 loss)"
    ]  # fmt: skip


def test_wrong_input(golden_run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for argv, line in (
        ([*ARGS, "none.caffemodel"], "none.caffemodel: no such file"),
        (["--model", "none.prototxt", "--weights", WEIGHTS], "none.prototxt: no such file"),
    ):
        assert main(argv) == 2
        assert capfd.readouterr().err.splitlines()[-1] == line
    assert main(["--model", "train_val.prototxt"]) == 2
    assert "--weights" in capfd.readouterr().err
