"""What a net says while it is built and, with debug_info, while it runs: Caffe's lines in Caffe's order."""

from __future__ import annotations

import logging

import pytest
import torch
from product_nets import DATA, LABEL, LOSS, SHARED, product

from caffe_compat import Net


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_log_of_building(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "caffe_compat")
    relu = 'layer { name: "relu" type: "ReLU" bottom: "ip" top: "ip" }\n'
    half_frozen = product(outputs=5, extra="param { lr_mult: 0 }")
    Net('name: "n"\n' + DATA + LABEL + half_frozen + relu + LOSS, phase="TRAIN")
    first, *rest = messages(caplog)
    state = "state {\n  phase: TRAIN\n  level: 0\n}\n"
    assert first.startswith(f'Initializing net from parameters: \nname: "n"\n{state}layer {{')
    assert rest == [
        "Creating layer data",
        "Creating Layer data",
        "data -> data",
        "Setting up data",
        "Top shape: 4 3 (12)",
        "Memory required for data: 48",
        "Creating layer label",
        "Creating Layer label",
        "label -> label",
        "Setting up label",
        "Top shape: 4 (4)",
        "Memory required for data: 64",
        "Creating layer ip",
        "Creating Layer ip",
        "ip <- data",
        "ip -> ip",
        "Setting up ip",
        "Top shape: 4 5 (20)",
        "Memory required for data: 144",
        "Creating layer relu",
        "Creating Layer relu",
        "relu <- ip",
        "relu -> ip (in-place)",
        "Setting up relu",
        "Top shape: 4 5 (20)",
        "Memory required for data: 224",
        "Creating layer loss",
        "Creating Layer loss",
        "loss <- ip",
        "loss <- label",
        "loss -> loss",
        "Creating layer loss",  # the softmax inside
        "Setting up loss",
        "Top shape: (1)",
        "    with loss weight 1",
        "Memory required for data: 228",
        "loss needs backward computation.",
        "relu needs backward computation.",
        "ip needs backward computation.",
        "label does not need backward computation.",
        "data does not need backward computation.",
        "This network produces output loss",
        "Network initialization done.",
    ]


def plan(caplog: pytest.LogCaptureFixture, text: str) -> dict[str, bool]:
    """Which layers need backward computation, by the log."""
    caplog.clear()
    caplog.set_level(logging.INFO, "caffe_compat")
    Net(text, phase="TRAIN")
    lines = [line for line in messages(caplog) if line.endswith("backward computation.")]
    return {line.split()[0]: "needs" in line for line in lines}


def test_log_of_the_backward_plan(caplog: pytest.LogCaptureFixture) -> None:
    branch = product("branch", "ip")  # contributes to no loss
    found = plan(caplog, DATA + LABEL + product() + branch + LOSS)
    assert found == {
        "loss": True,
        "branch": False,
        "ip_ip_0_split": True,
        "ip": True,
        "label": False,
        "data": False,
    }
    frozen = "param { lr_mult: 0 } param { lr_mult: 0 }"
    assert plan(caplog, DATA + LABEL + product(extra=frozen) + LOSS)["loss"] is False
    cut = product("below") + product("ip", "below", extra="propagate_down: false")
    assert plan(caplog, DATA + LABEL + cut + LOSS) == {
        "loss": True,
        "ip": True,
        "below": False,
        "label": False,
        "data": False,
    }


def test_a_batch_norm_layer_on_data_needs_backward_computation(caplog: pytest.LogCaptureFixture) -> None:
    """Its lr_mult 0 stands in no net's text; where it does, Caffe sees it."""
    norm = 'layer {{ name: "norm" type: "BatchNorm" bottom: "data" top: "ip" {} }}\n'
    assert plan(caplog, DATA + LABEL + norm.format("") + LOSS) == {
        "loss": True,
        "norm": True,
        "label": False,
        "data": False,
    }
    for number, needs in ((2, True), (3, False)):
        found = plan(caplog, DATA + LABEL + norm.format("param { lr_mult: 0 } " * number) + LOSS)
        assert (found["norm"], found["loss"]) == (needs, needs)


def test_a_layer_that_shares_a_parameter_counts_by_its_own_text(caplog: pytest.LogCaptureFixture) -> None:
    frozen = 'param { name: "w" lr_mult: 0 } param { lr_mult: 0 }'
    first = DATA + LABEL + product("first", outputs=3, extra=frozen)
    for extra, needs in (('param { name: "w" } param { lr_mult: 0 }', True), (frozen, False)):
        found = plan(caplog, first + product("ip", "first", outputs=3, extra=extra) + LOSS)
        assert (found["first"], found["ip"], found["loss"]) == (False, needs, needs)


def test_log_of_sharing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "caffe_compat")
    Net(DATA + product("a", extra=SHARED) + product("b", bottom="a", extra=SHARED))
    assert "Sharing parameters 'b' owned by layer 'a', param index 1" in messages(caplog)


def test_debug_info(caplog: pytest.LogCaptureFixture) -> None:
    relu = 'layer { name: "relu" type: "ReLU" bottom: "ip" top: "ip" }\n'
    net = Net("debug_info: true\n" + DATA + product(outputs=1, extra='param { name: "w" }') + relu)
    for blob, value in zip(net.params["ip"], (-1.5, 2.0), strict=True):
        blob.data.fill_(value)
    caplog.set_level(logging.INFO, "caffe_compat")
    caplog.clear()
    net(data=torch.tensor([[0.0, 0, 0], [1, 1, 1]]))
    net.blobs["ip"].sum().backward()
    assert messages(caplog) == [
        "    [Forward] Layer data, top blob data data: 0.5",
        "    [Forward] Layer ip, top blob ip data: 2.25",
        "    [Forward] Layer ip, param blob w data: 1.5",
        "    [Forward] Layer ip, param blob 1 data: 2",
        "    [Forward] Layer relu, top blob ip data: 1",
        "    [Backward] Layer relu, bottom blob ip diff: 0.5",
        "    [Backward] Layer ip, param blob 1 diff: 1",
        "    [Backward] Layer ip, param blob w diff: 0",
    ]
