"""``caffe train|test|time|device_query``: Caffe's own command lines, its log, its usage."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from caffe_logs import assert_same_messages, messages

from caffe_compat.cli import caffe
from caffe_compat.cli.caffe import main

SOLVER, WEIGHTS = "solver_BINARYPROTO.prototxt", "snap_BINARYPROTO_iter_30.caffemodel"
RESUME = "-solver resumed/solver.prototxt -snapshot=snap_BINARYPROTO_iter_20.solverstate"


@pytest.mark.parametrize("line", [f"train {RESUME}", f"{RESUME} --gpu= -iterations 3 train"])
def test_train_is_caffes_run(line: str, golden_run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The whole log; -iterations is a flag of other commands, which Caffe's train does not stop at."""
    assert main(line.split()) == 0
    ours = messages(capfd.readouterr().err)
    if "-iterations" in line:
        assert ours.pop(0) == "train does not read the flag 'iterations'"
    assert_same_messages(ours, messages((golden_run / "resumed/train.log").read_text()))


@pytest.mark.parametrize(
    "flags", ["-iterations 2 -model train_val.prototxt", "--model=train_val.prototxt --iterations=2"]
)
def test_test_is_caffes_run(flags: str, golden_run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["test", *flags.split(), "-weights", WEIGHTS]) == 0
    assert_same_messages(messages(capfd.readouterr().err), messages((golden_run / "test.log").read_text()))


def test_time(golden_run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main("time -model train_val.prototxt -iterations 1 -phase TEST".split()) == 0
    log = capfd.readouterr().err
    assert "  accuracy\tforward: " in log and "Testing for 1 iterations." in log


def test_every_flag_reaches_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: dict[str, list[str]] = {}

    def stand_in(name: str) -> caffe._Command:
        def remember(argv: list[str]) -> int:
            calls[name] = argv
            return 7

        return caffe._Command(remember, caffe._COMMANDS[name].flags)

    monkeypatch.setattr(caffe, "_COMMANDS", {name: stand_in(name) for name in caffe._COMMANDS})
    everything = [f"-{flag}={flag}-value" for flag in caffe._FLAGS]
    net = {"gpu", "level", "stage"}
    read_by = {
        "train": net | {"solver", "snapshot", "weights", "sigint_effect", "sighup_effect"},
        "test": net | {"model", "weights", "iterations"},
        "time": net | {"model", "phase", "iterations"},
        "device_query": {"gpu"},
    }
    for name, flags in read_by.items():
        assert main([*everything, name]) == 7
        assert sorted(calls[name]) == sorted(f"--{flag}={flag}-value" for flag in flags)


def test_usage_without_a_command(capfd: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    assert "command line brew\nusage: caffe <command> <args>\n\ncommands:\n  train           train or finetune" in out
    assert all(f"--{flag} " in out for flag in caffe._FLAGS)


@pytest.mark.parametrize(
    "line, message",
    [
        ("train -solvre x", "unknown command line flag 'solvre'"),
        ("train test", "expected one command, got train test"),
        ("train", "--solver"),
        ("test -model train_val.prototxt", "--weights"),
        (f"train -solver {SOLVER} -snapshot a -weights b", "not allowed with"),
    ],
)
def test_wrong_usage(line: str, message: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(line.split()) == 2
    out, err = capfd.readouterr()
    assert out == "" and "Traceback" not in err and message in err.splitlines()[-1]


def test_unknown_command_lists_the_known_ones(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["trian"]) == 2
    lines = capfd.readouterr().err.splitlines()
    assert [line[0] for line in lines] == ["E"] * 5 + ["F"]
    assert messages("\n".join(lines)) == [
        "Available caffe actions:", "\tdevice_query", "\ttest", "\ttime", "\ttrain", "Unknown action: trian"
    ]  # fmt: skip


def test_device_query(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["device_query"]) == 0
    assert messages(capfd.readouterr().err) == ["Querying GPUs "]
    properties = type("Properties", (), {
        "name": "Some GPU", "major": 9, "minor": 1, "total_memory": 2**33, "shared_memory_per_block": 49152,
        "warp_size": 32, "multi_processor_count": 7,
    })  # fmt: skip
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: properties)
    assert main(["device_query", "-gpu", "0,2"]) == 0
    lines = messages(capfd.readouterr().err)
    assert len(lines) == 1 + 2 * 8
    assert lines[0] == "Querying GPUs 0,2"
    assert lines[1] == "Device id:                     0" and lines[9] == "Device id:                     2"
    assert lines[4:6] == ["Name:                          Some GPU", "Total global memory:           8589934592"]


@pytest.fixture
def files_closed_again() -> Iterator[None]:
    yield
    for handler in logging.getLogger("caffe_compat").handlers:
        if isinstance(handler, logging.FileHandler):
            handler.close()


def test_glogs_flags(golden_run: Path, capfd: pytest.CaptureFixture[str], files_closed_again: None) -> None:
    """--log_dir keeps the log in a file too, under glog's name and behind its link."""
    Path("logs").mkdir()
    flags = (
        f"--logtostderr=1 -alsologtostderr --log_dir=logs -model train_val.prototxt -iterations 2 -weights {WEIGHTS}"
    )
    assert main(["test", *flags.split()]) == 0
    written = Path("logs/caffe.INFO")
    assert written.read_text() == capfd.readouterr().err
    assert written.is_symlink() and ".log.INFO." in written.readlink().name
    assert main(["test", "--log_dir=nowhere"]) == 2
    assert "nowhere" in capfd.readouterr().err
