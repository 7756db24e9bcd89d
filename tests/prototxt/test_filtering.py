"""Which layers are in a net, by phase, level and stage."""

from __future__ import annotations

import logging

import pytest

from caffe_compat.errors import PrototxtError
from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt import filter_net, parse_text

TRAIN, TEST = caffe_pb2.TRAIN, caffe_pb2.TEST


def net(rules: str) -> caffe_pb2.NetParameter:
    text = f'name: "n" layer {{ name: "always" type: "X" }} layer {{ name: "maybe" type: "X" {rules} }}'
    return parse_text(text, caffe_pb2.NetParameter())


def state(phase: int = TEST, level: int = 0, stage: str = "") -> caffe_pb2.NetState:
    return caffe_pb2.NetState(phase=phase, level=level, stage=stage.split())


def is_in(rules: str, at: caffe_pb2.NetState) -> bool:
    names = [layer.name for layer in filter_net(net(rules), at).layer]
    assert names[0] == "always"
    return names[1:] == ["maybe"]


@pytest.mark.parametrize(
    ("rules", "at", "expected"),
    [
        ("", state(TRAIN), True),
        ("include { phase: TRAIN }", state(TRAIN), True),
        ("include { phase: TRAIN }", state(TEST), False),
        ("include { }", state(TEST), True),
        ("exclude { phase: TRAIN }", state(TRAIN), False),
        ("exclude { phase: TRAIN }", state(TEST), True),
        ("exclude { }", state(TEST), False),
        ("include { phase: TRAIN } include { phase: TEST }", state(TEST), True),
        ("include { min_level: 2 }", state(level=1), False),
        ("include { min_level: 2 }", state(level=2), True),
        ("include { max_level: 2 }", state(level=2), True),
        ("include { max_level: 2 }", state(level=3), False),
        ("include { min_level: 0 }", state(level=-1), False),
        ("include { min_level: 1 max_level: 3 }", state(level=2), True),
        ("include { stage: 'a' }", state(stage="a b"), True),
        ("include { stage: 'a' }", state(stage="b"), False),
        ("include { stage: 'a' stage: 'b' }", state(stage="a"), False),
        ("include { stage: 'a' stage: 'b' }", state(stage="b a"), True),
        ("include { not_stage: 'a' }", state(stage="b"), True),
        ("include { not_stage: 'a' not_stage: 'b' }", state(stage="b"), False),
        ("include { phase: TRAIN stage: 'a' }", state(TRAIN, stage="b"), False),
        ("include { phase: TRAIN stage: 'a' } include { phase: TEST }", state(TEST), True),
        ("exclude { stage: 'a' } exclude { min_level: 1 }", state(level=1), False),
        ("exclude { stage: 'a' } exclude { min_level: 1 }", state(level=0), True),
    ],
)
def test_rules(rules: str, at: caffe_pb2.NetState, expected: bool) -> None:
    assert is_in(rules, at) is expected


def test_both_kinds_of_rules_are_refused() -> None:
    with pytest.raises(PrototxtError, match="either include rules or exclude rules, not both") as caught:
        filter_net(net("include { } exclude { phase: TEST }"), state(), "net.prototxt")
    assert (caught.value.path, caught.value.layer) == ("net.prototxt", "maybe")


@pytest.mark.parametrize(
    ("rules", "at", "line"),
    [
        ("include { phase: TEST }", state(TRAIN), "The NetState phase (0) differed from the phase (1)"),
        ("include { min_level: 2 }", state(level=1), "The NetState level (1) is above the min_level (2)"),
        ("include { max_level: 2 }", state(level=3), "The NetState level (3) is above the max_level (2)"),
        ("include { stage: 'a' }", state(), "The NetState did not contain stage 'a'"),
        ("include { not_stage: 'a' }", state(stage="a"), "The NetState contained a not_stage 'a'"),
    ],
)
def test_each_rule_that_is_not_met_is_logged_in_caffes_words(
    rules: str, at: caffe_pb2.NetState, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "caffe_compat")
    filter_net(net(rules), at)
    assert caplog.messages == [f"{line} specified by a rule in layer maybe"]


def test_the_net_given_is_left_alone_and_the_state_recorded() -> None:
    original = net("include { phase: TRAIN }")
    before = original.SerializeToString()
    filtered = filter_net(original, state(TEST, level=3))
    assert original.SerializeToString() == before
    assert (filtered.name, filtered.state) == ("n", state(TEST, level=3))
    assert filter_net(filtered, filtered.state) == filtered
