"""Which nets a solver names, in which state, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf import text_format

from caffe_compat.errors import PrototxtError
from caffe_compat.proto.caffe_pb2 import TEST, TRAIN, SolverParameter
from caffe_compat.solver.descriptions import describe_test_nets, describe_train_net


@pytest.fixture(autouse=True)
def net_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.prototxt").write_text(f'name: "{name}"')


def solver(text: str) -> SolverParameter:
    return text_format.Parse(text, SolverParameter())


@pytest.mark.parametrize(
    "text, source",
    [
        ('net: "a.prototxt"', "net file: a.prototxt"),
        ('train_net: "a.prototxt"', "train_net file: a.prototxt"),
        ('net_param { name: "a" }', "net_param"),
        ('train_net_param { name: "a" }', "train_net_param"),
    ],
)
def test_train_net(text: str, source: str) -> None:
    described = describe_train_net(solver(text))
    assert (described.net.name, described.source) == ("a", source)
    assert described.path == ("a.prototxt" if "file" in source else None)


def test_test_nets_come_as_messages_then_files_then_the_generic_net() -> None:
    text = 'net: "a.prototxt" test_net: "b.prototxt" test_net: "c.prototxt" test_net_param { name: "d" }'
    nets = describe_test_nets(solver(text + " test_iter: 1" * 5 + " test_interval: 9"))
    assert [net.net.name for net in nets] == ["d", "b", "c", "a", "a"]
    assert [net.source for net in nets] == [
        "test_net_param", "test_net file: b.prototxt", "test_net file: c.prototxt",
        "net file: a.prototxt", "net file: a.prototxt",
    ]  # fmt: skip


def test_no_test_iter_no_test_net() -> None:
    assert describe_test_nets(solver('net: "a.prototxt"')) == []


def test_states_merge_phase_then_the_nets_then_the_solvers() -> None:
    text = """
        net_param { name: "a" state { phase: TEST level: 3 stage: "net" } }
        train_state { level: 5 stage: "train" }
        test_iter: 1 test_iter: 1 test_interval: 2
        test_state { stage: "first" } test_state { level: 7 }
    """
    text_of_train = 'net_param { name: "a" state { level: 3 } } train_state { stage: "s" }'
    train = describe_train_net(solver(text_of_train)).net.state
    assert (train.phase, train.level, list(train.stage)) == (TRAIN, 3, ["s"])
    overridden = describe_train_net(solver(text)).net.state
    assert (overridden.phase, overridden.level, list(overridden.stage)) == (TEST, 5, ["net", "train"])
    first, second = (net.net.state for net in describe_test_nets(solver(text)))
    assert (first.phase, first.level, list(first.stage)) == (TEST, 3, ["net", "first"])
    assert (second.phase, second.level, list(second.stage)) == (TEST, 7, ["net"])


@pytest.mark.parametrize(
    "text, pattern",
    [
        ("", "expected exactly one of net, net_param, train_net, train_net_param, for the train net, got none"),
        ('net: "a.prototxt" train_net: "b.prototxt"', "got net and train_net"),
        ('net: "missing.prototxt"', "missing.prototxt: no such file"),
    ],
)
def test_train_net_errors(text: str, pattern: str) -> None:
    with pytest.raises(PrototxtError, match=pattern):
        describe_train_net(solver(text), "s.prototxt")


@pytest.mark.parametrize(
    "text, field",
    [
        ('net: "a.prototxt" test_net: "b.prototxt" test_interval: 1', "test_iter"),
        ('train_net: "a.prototxt" test_net: "b.prototxt" test_iter: 1 test_iter: 1 test_interval: 1', "test_iter"),
        ('net: "a.prototxt" test_iter: 0 test_interval: 1', "test_iter"),
        ('net: "a.prototxt" test_iter: 1 test_state {} test_state {} test_interval: 1', "test_state"),
        ('net: "a.prototxt" test_iter: 1', "test_interval"),
    ],
)
def test_test_net_errors(text: str, field: str) -> None:
    with pytest.raises(PrototxtError, match=f"^s.prototxt: {field}: expected") as caught:
        describe_test_nets(solver(text), "s.prototxt")
    assert caught.value.field == field
