"""time_net against real Caffe's lines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from caffe_logs import messages

from caffe_compat import Net
from caffe_compat.cli.time_net import main
from caffe_compat.solver.timing import LayerTimer

_MILLISECONDS = re.compile(r"[^ ]+ ms\.$")


def lines(log: str) -> list[str]:
    """Messages with the milliseconds and the random first loss left out."""
    plain = (_MILLISECONDS.sub("T ms.", line) for line in messages(log))
    return [re.sub(r"^(Initial loss:) .*", r"\1 L", line) for line in plain]


def test_log(golden_run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--model=train_val.prototxt", "--iterations=3"]) == 0
    assert lines(capfd.readouterr().err) == lines((golden_run / "time.log").read_text())


def test_inputs_and_phase(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    deploy = tmp_path / "deploy.prototxt"
    deploy.write_text("""
        layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }
        layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 2 } }
        layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" include { phase: TEST } }
    """)
    assert main(["--model", str(deploy), "--iterations", "1", "--phase", "TEST"]) == 0
    assert "      prob\tforward: " in capfd.readouterr().err


def test_layer_by_layer_gives_the_nets_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timing each backward by itself must do the work of the whole one: splits, shared blobs, two losses."""
    net = Net("""
        layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 3 } } }
        layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 4 } } }
        layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param {
                num_output: 5 weight_filler { type: "gaussian" } bias_filler { value: 1 } } }
        layer { name: "relu" type: "ReLU" bottom: "ip" top: "ip" }
        layer { name: "sum" type: "Eltwise" bottom: "ip" bottom: "ip" top: "sum" }
        layer { name: "loss" type: "SoftmaxWithLoss" bottom: "sum" bottom: "label" top: "loss" loss_weight: 3 }
        layer { name: "other" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "other" }
    """, phase="TRAIN")  # fmt: skip
    net(x=torch.zeros(4, 3), label=torch.zeros(4))
    net.loss.backward()
    whole = [blob.grad for blob in net.parameters()]
    net.zero_grad(set_to_none=True)

    monkeypatch.setattr(net, "zero_grad", lambda set_to_none: None)
    timer = LayerTimer(net, torch.device("cpu"))
    timer.run()
    for blob, expected in zip(net.parameters(), whole, strict=True):
        assert torch.allclose(blob.grad, expected) and blob.grad.abs().max() >= 0
    assert whole[1].abs().max() > 0
    assert min(timer.forward.values()) > 0 and timer.backward["ip"] > 0
