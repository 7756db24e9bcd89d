"""train_net against real Caffe's run, its flags, its signals and its progress bar."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from caffe_logs import assert_same_messages, messages
from waiting import wait_for

from caffe_compat.cli.train_net import main, parse, read_parameters
from caffe_compat.solver import Solver
from caffe_compat.weights import read_caffemodel, read_solverstate

SOLVER = "solver_BINARYPROTO.prototxt"


def assert_same_snapshot(ours: str, theirs: Path) -> None:
    """Weights and history to 1e-6 of the largest of each blob."""
    our_weights, their_weights = read_caffemodel(f"{ours}.caffemodel"), read_caffemodel(f"{theirs}.caffemodel")
    pairs = [(our_weights[name], blobs) for name, blobs in their_weights.items()]
    our_state, their_state = read_solverstate(f"{ours}.solverstate"), read_solverstate(f"{theirs}.solverstate")
    pairs.append((our_state.history, their_state.history))
    assert (our_state.iteration, our_state.current_step) == (their_state.iteration, their_state.current_step)
    for our_blobs, their_blobs in pairs:
        for our_blob, their_blob in zip(our_blobs, their_blobs, strict=True):
            assert np.abs(our_blob - their_blob).max() < 1e-6 * np.abs(their_blob).max()


# --- real Caffe's run -------------------------------------------------------------------------------------------


def test_resuming_gives_caffes_log_and_snapshot(golden_run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("caffemodel", "solverstate"):
        Path(f"resumed/snap_iter_30.{name}").unlink()
    assert main(["--solver=resumed/solver.prototxt", "--snapshot=snap_BINARYPROTO_iter_20.solverstate"]) == 0
    out, err = capfd.readouterr()
    assert out == ""
    assert_same_messages(messages(err), messages((golden_run / "resumed/train.log").read_text()))
    assert_same_snapshot("resumed/snap_iter_30", golden_run / "resumed/snap_iter_30")


@pytest.mark.parametrize("flags, is_there", [([], False), (["--level", "3"], True)])
def test_the_level_of_the_solver_file_is_overwritten(flags: list[str], is_there: bool, tmp_path: Path) -> None:
    """By --level's 0 too, as in Caffe."""
    (tmp_path / "solver.prototxt").write_text("""
        net_param {
          layer { name: "data" type: "DummyData" top: "x" dummy_data_param { shape { dim: 1 } } }
          layer { name: "deep" type: "Silence" bottom: "x" include { min_level: 3 } } }
        train_state { level: 3 } base_lr: 1 lr_policy: "fixed" max_iter: 0
    """)
    parameters = read_parameters(parse(["--solver", str(tmp_path / "solver.prototxt"), *flags]))
    assert ("deep" in Solver(parameters).net.layers) == is_there


def test_data_start_goes_on_where_the_run_stopped(golden_run: Path) -> None:
    for iteration in (20, 30):
        for name in ("caffemodel", "solverstate"):
            Path(f"snap_BINARYPROTO_iter_{iteration}.{name}").unlink()
    assert main(["--solver", SOLVER, "--snapshot", "snap_BINARYPROTO_iter_10.solverstate", "--data_start", "100"]) == 0
    for iteration in (20, 30):
        stem = f"snap_BINARYPROTO_iter_{iteration}"
        assert_same_snapshot(stem, golden_run / stem)


# --- flags ------------------------------------------------------------------------------------------------------


def error_of(argv: list[str], capfd: pytest.CaptureFixture[str]) -> str:
    """The last line on stderr of a call that ends with 2."""
    assert main(argv) == 2
    out, err = capfd.readouterr()
    assert out == "" and "Traceback" not in err
    return err.splitlines()[-1]


def test_snapshot_and_weights_exclude_each_other(capfd: pytest.CaptureFixture[str]) -> None:
    line = error_of(["--solver", SOLVER, "--snapshot", "a.solverstate", "--weights", "b.caffemodel"], capfd)
    assert "--weights: not allowed with argument --snapshot" in line


def test_wrong_usage(golden_run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert "--solver" in error_of([], capfd)
    assert "unrecognized arguments: --solvre" in error_of(["--solver", SOLVER, "--solvre", "x"], capfd)
    assert "expected a number above 0, got 0" in error_of(["--solver", SOLVER, "--iterations", "0"], capfd)
    assert "expected a number from 0, got -1" in error_of(["--solver", SOLVER, "--data_start=-1"], capfd)
    assert "'kill'" in error_of(["--solver", SOLVER, "--sigint_effect", "kill"], capfd)
    assert error_of(["--solver", "none.prototxt"], capfd) == "none.prototxt: no such file"
    assert error_of(["--solver", SOLVER, "--snapshot", "none.solverstate"], capfd) == "none.solverstate: no such file"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_gpu_where_there_is_none(golden_run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for flag in ("0", "all"):
        assert error_of(["--solver", SOLVER, "--gpu", flag], capfd).startswith("--gpu: no CUDA device can be used here")


def test_weights_replace_the_solvers_own(golden_run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = Path(SOLVER).read_text() + 'weights: "missing.caffemodel"'
    Path("with_weights.prototxt").write_text(text)
    weights = "snap_BINARYPROTO_iter_10.caffemodel,snap_BINARYPROTO_iter_30.caffemodel"
    assert main(["--solver", "with_weights.prototxt", "--weights", weights, "--iterations", "1"]) == 0
    lines = messages(capfd.readouterr().err)
    assert lines.count("Finetuning from snap_BINARYPROTO_iter_30.caffemodel") == 2
    first_test = lines.index("Iteration 0, Testing net (#0)")
    assert_same_messages(lines[first_test + 2 : first_test + 3],
                         ["    Test net output #1: loss = 0.00312688 (* 1 = 0.00312688 loss)"])  # fmt: skip
    assert lines[-2:] == ["Optimization stopped early.", "Optimization Done."]
    assert Path("snap_BINARYPROTO_iter_1.solverstate").exists()
    assert "missing.caffemodel" in error_of(["--solver", "with_weights.prototxt"], capfd)


def test_level_stage_and_phase(golden_run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    net = Path("train_val.prototxt").read_text()
    extra = 'layer {{ name: "{}" type: "Silence" bottom: "data" include {{ {} }} }}\n'
    rules = {"high": "min_level: 3", "fine": 'stage: "a" stage: "b"', "no_stage": 'stage: ""'}
    Path("train_val.prototxt").write_text(net + "".join(extra.format(*rule) for rule in rules.items()))

    def kept(*flags: str) -> set[str]:
        assert main(["--solver", SOLVER, "--iterations", "1", *flags]) == 0
        training = capfd.readouterr().err.split("Creating test net")[0]
        return {name for name in rules if f"Creating Layer {name}\n" in training}

    assert kept() == {"no_stage"}  # Caffe adds an empty stage when none is given
    assert kept("--level", "3", "--stage=a,b") == {"high", "fine"}
    assert kept("--stage", "a") == set()
    rules["accuracy"] = "only in TEST"
    assert kept("--phase", "TEST") == {"no_stage", "accuracy"}


@pytest.mark.parametrize(
    "folder, commands",
    [
        ("data/clothing1m", ["tools/import_clothing1m.py", "make_demo_data.py --like clothing1m data/clothing1m"]),
        ("data/cifar10n", ["tools/import_cifar10n.py"]),
        ("data/demo", ["tools/make_demo_data.py data/demo"]),
    ],
)
@pytest.mark.parametrize("field", ["source", "mean_file", "snapshot_prefix", "weights"])
def test_missing_data_tell_which_command_makes_them(
    golden_run: Path, folder: str, commands: list[str], field: str, capfd: pytest.CaptureFixture[str]
) -> None:
    net, solver = Path("train_val.prototxt").read_text(), Path(SOLVER).read_text()
    if field in ("source", "mean_file"):
        net = net.replace(f'{field}: "', f'{field}: "{folder}/')
    elif field == "snapshot_prefix":
        solver = solver.replace('_prefix: "', f'_prefix: "{folder}/')
    else:
        solver += f'weights: "{folder}/start.caffemodel"'
    Path("train_val.prototxt").write_text(net)
    Path(SOLVER).write_text(solver)
    line = error_of(["--solver", SOLVER], capfd)
    assert line.startswith(folder) and all(command in line for command in commands)


# --- a process of its own ---------------------------------------------------------------------------------------

ENDLESS = 'net: "train_val.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 1000000 snapshot_prefix: "s"'
TRAINER = """
from caffe_compat.data.loader import set_num_workers
from caffe_compat.cli.train_net import main
set_num_workers(1)
raise SystemExit(main(["--solver", "endless.prototxt"]))
"""


class Terminal(threading.Thread):
    """A terminal of 100 columns; collects what is written to it."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._master, self.end = pty.openpty()
        termios.tcsetwinsize(self.end, (40, 100))
        self.shown = b""

    def run(self) -> None:
        os.close(self.end)
        with contextlib.suppress(OSError), open(self._master, "rb", buffering=0) as master:
            while chunk := master.read(65536):
                self.shown += chunk


def test_signals_and_progress_bar_on_a_terminal(golden_run: Path) -> None:
    """SIGHUP takes a snapshot and goes on; SIGINT finishes the iteration, takes one and stops; workers stay calm."""
    pytest.importorskip("tqdm")
    Path("endless.prototxt").write_text(ENDLESS)
    terminal = Terminal()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    # a process group of its own: that is what a terminal sends its signals to, workers included
    with subprocess.Popen(
        [sys.executable, "-c", TRAINER], stderr=terminal.end, process_group=0, env=environment
    ) as process:
        terminal.start()
        try:
            wait_for(lambda: b" images/s" in terminal.shown, process)
            os.killpg(process.pid, signal.SIGHUP)
            wait_for(lambda: list(Path().glob("s_iter_*.solverstate")), process)
            time.sleep(0.2)
            os.killpg(process.pid, signal.SIGINT)
            assert process.wait(60) == 0
        finally:
            process.kill()
    terminal.join(10)
    lines = [line for line in terminal.shown.decode().replace("\r", "\n").splitlines() if "] " in line]
    assert messages("\n".join(lines))[-2:] == ["Optimization stopped early.", "Optimization Done."]
    iterations = sorted(read_solverstate(path).iteration for path in Path().glob("s_iter_*.solverstate"))
    assert len(iterations) == 2 and iterations[0] < iterations[1]
    assert list(Path().glob(".s_iter*")) == []
