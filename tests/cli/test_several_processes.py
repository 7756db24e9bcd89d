"""One net trained by several processes: as one process with larger batches would, with Caffe's signals and log."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TextIO

import numpy as np
import pytest
import torch
from databases import pixels
from waiting import wait_for

from caffe_compat.cli.train_net import choose_device, parse
from caffe_compat.data.datum import encode_datum
from caffe_compat.data.lmdb_store import write_database
from caffe_compat.errors import CaffeCompatError
from caffe_compat.proto.caffe_pb2 import SolverParameter
from caffe_compat.solver.ranks import Seat
from caffe_compat.weights import read_caffemodel, read_solverstate

ROOT = Path(__file__).resolve().parents[2]
PROCESSES, BATCH_SIZE = 2, 3

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(PROCESSES)]
# what train_net does for --gpu 0,1, on the CPU
LAUNCH = f"""
import sys
from caffe_compat.cli.launch import run_on_each
from caffe_compat.cli.train_net import parse, read_parameters, train
from caffe_compat.glog import set_up_logging
set_up_logging()
args = parse(sys.argv[1:])
sys.exit(run_on_each({PROCESSES}, train, (args, read_parameters(args))))
"""

NET = """
layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: TRAIN }}
        transform_param {{ mirror: true crop_size: 7 scale: 0.01 }}
        data_param {{ source: "{db}" batch_size: {batch_size} backend: LMDB shuffle: true }} }}
layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: TEST }}
        transform_param {{ crop_size: 7 scale: 0.01 }}
        data_param {{ source: "{db}" batch_size: 5 backend: LMDB }} }}
layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param {{ num_output: 4 kernel_size: 3 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
        inner_product_param {{ num_output: 5 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "no_loss" type: "InnerProduct" bottom: "conv" top: "no_loss"
        inner_product_param {{ num_output: 2 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }}
layer {{ name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" include {{ phase: TEST }} }}
"""
SOLVER = """
net: "{net}" test_iter: 2 test_interval: 4 base_lr: 0.01 momentum: 0.9 weight_decay: 0.01 lr_policy: "fixed"
display: 4 iter_size: 2 random_seed: 1 snapshot_prefix: "{prefix}" solver_mode: CPU max_iter: {max_iter}
"""


def write_solver(folder: Path, name: str, batch_size: int, max_iter: int = 8, damaged: int | None = None) -> Path:
    """The solver of a net with images of its own, 23 of them; record ``damaged`` has too few pixels."""
    source = folder / f"{name}_db"
    datums = [encode_datum(image, number % 5) for number, image in enumerate(pixels(23, (3, 8, 8)))]
    if damaged is not None:
        datums[damaged] = encode_datum(pixels(1, (3, 6, 6))[0], 0)
    write_database(source, ((b"%08d" % number, datum) for number, datum in enumerate(datums)))
    net, solver = folder / f"{name}_net.prototxt", folder / f"{name}.prototxt"
    net.write_text(NET.format(db=source, batch_size=batch_size))
    solver.write_text(SOLVER.format(net=net, prefix=folder / name, max_iter=max_iter))
    return solver


def start(command: list[str], solver: Path, stderr: TextIO | int = subprocess.PIPE) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*command, "--solver", str(solver)], stderr=stderr, stdout=subprocess.PIPE, text=True, env=environment
    )


def assert_same_weights(ours: Path, theirs: Path) -> None:
    found, wanted = read_caffemodel(ours), read_caffemodel(theirs)
    assert list(found) == list(wanted)
    for name, blobs in wanted.items():
        for blob, expected in zip(found[name], blobs, strict=True):
            np.testing.assert_allclose(blob, expected, atol=1e-5 * max(np.abs(expected).max(), 1e-3), err_msg=name)


def test_processes_of_torchrun_do_as_one_with_their_batches_together(tmp_path: Path) -> None:
    """With crops, mirrors, shuffled rounds, iter_size, and a layer that no loss follows."""
    one = start([sys.executable, "tools/train_net.py"], write_solver(tmp_path, "one", PROCESSES * BATCH_SIZE))
    assert one.communicate(timeout=120) and one.returncode == 0
    several = start([*TORCHRUN, "tools/train_net.py"], write_solver(tmp_path, "several", BATCH_SIZE))
    _, log = several.communicate(timeout=300)
    assert several.returncode == 0, log
    assert_same_weights(tmp_path / "several_iter_8.caffemodel", tmp_path / "one_iter_8.caffemodel")
    assert log.count("Optimization Done.") == 2, "the root alone tells, in the solver and in the tool"
    assert log.count("Testing net (#0)") == 3
    assert "Warning" not in log
    assert read_solverstate(tmp_path / "several_iter_8.solverstate").iteration == 8


def test_ctrl_c_and_hang_ups_are_the_roots(tmp_path: Path) -> None:
    """SIGHUP: a snapshot; SIGINT: a snapshot and the end of all, in the same iteration. There are no others."""
    solver = write_solver(tmp_path, "long", BATCH_SIZE, max_iter=10**6)
    solver.write_text(solver.read_text().replace("test_interval: 4", "test_interval: 1000000"))
    started = tmp_path / "log"
    with started.open("w") as stderr:
        process = start([sys.executable, "-c", LAUNCH], solver, stderr)

    def snapshots() -> list[int]:
        return sorted(int(path.stem.rpartition("_")[2]) for path in tmp_path.glob("long_iter_*.solverstate"))

    wait_for(lambda: "Starting Optimization" in started.read_text(), process)
    process.send_signal(signal.SIGHUP)
    wait_for(snapshots, process)
    first = snapshots()[0]

    def goes_on() -> bool:  # heeded together with the first signal, the second would write the same snapshot again
        return any(int(number) > first for number in re.findall(r"Iteration (\d+)", started.read_text()))

    wait_for(goes_on, process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    log = started.read_text()
    assert process.returncode == 0, log
    assert len(snapshots()) == 2
    assert log.count("Optimization stopped early.") == 1
    last = snapshots()[-1]
    assert (tmp_path / f"long_iter_{last}.caffemodel").exists()
    assert read_solverstate(tmp_path / f"long_iter_{last}.solverstate").iteration == last


def test_sigterm_ends_all_of_them(tmp_path: Path) -> None:
    solver = write_solver(tmp_path, "long", BATCH_SIZE, max_iter=10**6)
    solver.write_text(solver.read_text() + "snapshot: 5")
    process = start([sys.executable, "-c", LAUNCH], solver)
    wait_for(lambda: list(tmp_path.glob("long_iter_*.solverstate")), process)
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=60)  # only when all that write to it have ended
    assert process.returncode == 1
    assert f"of {PROCESSES} was ended by SIGTERM" in log


def test_ctrl_z_stops_all_of_them_and_fg_goes_on(tmp_path: Path) -> None:
    solver = write_solver(tmp_path, "long", BATCH_SIZE, max_iter=10**6)
    solver.write_text(solver.read_text() + "snapshot: 5")
    process = start([sys.executable, "-c", LAUNCH], solver)

    def states() -> list[str]:
        trainers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        stats = [Path(f"/proc/{pid}/stat").read_text() for pid in (str(process.pid), *trainers)]
        return [stat.rpartition(")")[2].split()[0] for stat in stats]

    def count() -> int:
        return len(list(tmp_path.glob("long_iter_*.solverstate")))

    try:
        wait_for(count, process)
        process.send_signal(signal.SIGTSTP)
        wait_for(lambda: states().count("T") > PROCESSES, process)
        stopped_at = count()
        process.send_signal(signal.SIGCONT)
        wait_for(lambda: count() > stopped_at, process)
    finally:
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 1


@pytest.mark.parametrize("damaged", [None, 13])
def test_one_message_whatever_is_wrong(damaged: int | None, tmp_path: Path) -> None:
    """In the net, which all processes would find; in a record that one of them reads."""
    solver = write_solver(tmp_path, "wrong", BATCH_SIZE if damaged else 0, damaged=damaged)
    process = start([sys.executable, "-c", LAUNCH], solver)
    _, log = process.communicate(timeout=120)
    assert process.returncode == 2, log
    said = [line for line in log.splitlines() if "wrong_net.prototxt: layer" in line]
    assert len(said) == 1 and ("00000013" if damaged else "data_param.batch_size: expected > 0, got 0") in said[0]
    assert "Traceback" not in log and "another one has ended" not in log and "SIGTERM" not in log
    assert not list(tmp_path.glob("wrong_iter*"))


@pytest.fixture
def four_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: f"GPU number {number}")


@pytest.mark.parametrize(
    ("flag", "mode", "number"), [("1,3", None, 3), ("all", None, 1), ("", SolverParameter.GPU, 1), ("", None, None)]
)
def test_each_process_has_a_gpu_of_its_own(flag: str, mode: int | None, number: int | None, four_gpus: None) -> None:
    param = SolverParameter(solver_mode=mode)  # type: ignore[arg-type]
    device = choose_device(flag, param, Seat(rank=5, count=8, local_rank=1, local_count=2))
    assert device == (torch.device("cpu") if number is None else torch.device("cuda", number))


def test_fewer_gpus_than_processes(four_gpus: None) -> None:
    with pytest.raises(CaffeCompatError, match=r"^--gpu: expected a GPU for each of 2 processes, got \[3\]"):
        choose_device("3", SolverParameter(), Seat(rank=1, count=2, local_rank=1, local_count=2))


def test_the_flag_says_what_several_gpus_do(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"])
    assert "the mean of their gradients" in " ".join(capsys.readouterr().out.split())
