"""The nets that real Caffe printed when it trained (tests/golden/run), from the same files."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt import filter_net, insert_splits, parse_text, read_net, read_solver, to_text

RUN = Path(__file__).parents[1] / "golden" / "run"
LOG = (RUN / "train_BINARYPROTO.log").read_text()
LINE = re.compile(r"^[IWEF]\d{8} [\d:.]+ +\d+ [\w.]+:\d+\] (.*)$", re.MULTILINE)
STATES = {  # what the solver set for each net
    "TRAIN": caffe_pb2.NetState(phase=caffe_pb2.TRAIN, level=0, stage=[""]),
    "TEST": caffe_pb2.NetState(phase=caffe_pb2.TEST),
}


def printed_after(line: str) -> list[str]:
    """The texts (without a log prefix) that follow each such line."""
    blocks = re.split(r"^[IWEF]\d{8} .*$", LOG, flags=re.MULTILINE)
    return [blocks[i + 1].strip() + "\n" for i, found in enumerate(LINE.findall(LOG)) if found.strip() == line]


@pytest.mark.parametrize(("phase", "which"), [("TRAIN", 0), ("TEST", 1)])
def test_the_filtered_net_prints_as_caffe_printed_it(phase: str, which: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "caffe_compat")
    net, _ = read_net(RUN / "train_val.prototxt")
    filtered = filter_net(net, STATES[phase])
    expected = printed_after("Initializing net from parameters:")[which]
    assert to_text(filtered) == expected
    number = STATES[phase].phase
    assert caplog.messages == [
        line for line in LINE.findall(LOG) if line.startswith(f"The NetState phase ({number}) differed")
    ]


@pytest.mark.parametrize(("phase", "which"), [("TRAIN", 0), ("TEST", 1)])
def test_the_splits_are_wired_as_caffe_wired_them(phase: str, which: int) -> None:
    net, _ = read_net(RUN / "train_val.prototxt")
    ours = []
    for layer in insert_splits(filter_net(net, STATES[phase])).layer:
        ours.append(f"Creating Layer {layer.name}")
        ours += [f"{layer.name} <- {bottom}" for bottom in layer.bottom]
        ours += [f"{layer.name} -> {top}" + " (in-place)" * (top in layer.bottom) for top in layer.top]
    section = LOG.split("Initializing net from parameters:")[which + 1]
    assert ours == [line for line in LINE.findall(section) if re.search("Creating Layer | <- | -> ", line)]


def test_the_solver_prints_as_caffe_printed_it() -> None:
    solver, _ = read_solver(RUN / "solver_BINARYPROTO.prototxt")
    solver.train_state.CopyFrom(parse_text('level: 0 stage: ""', caffe_pb2.NetState()))  # as the command line does
    assert to_text(solver) == printed_after("Initializing solver from parameters:")[0]
