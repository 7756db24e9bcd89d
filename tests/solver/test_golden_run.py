"""Real Caffe's training run on images (tests/golden/run): going on from its snapshots arrives at its snapshots."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from caffe_logs import assert_same_messages, messages

from caffe_compat.solver import Solver
from caffe_compat.weights import read_caffemodel, read_solverstate

BATCH_SIZE = 10
AGREEMENT = 1e-6  # of the largest weight or history of a blob
RIGHT_POSITION = 10 * BATCH_SIZE
SUFFIXES = {"BINARYPROTO": "", "HDF5": ".h5"}


def deviation(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def largest_deviation(solver: Solver, stem: Path, suffix: str = "") -> float:
    """Over all parameters and histories, between the solver and real Caffe's snapshot ``stem``."""
    weights = read_caffemodel(f"{stem}.caffemodel{suffix}")
    state = read_solverstate(f"{stem}.solverstate{suffix}")
    assert solver.iter == state.iteration
    pairs = [(ours, theirs) for layer, ours in solver.net.params.items() for theirs in [weights[layer]]]
    found = [deviation(a.detach().numpy(), b) for ours, theirs in pairs for a, b in zip(ours, theirs, strict=True)]
    found += [deviation(a.numpy(), b) for a, b in zip(solver.history, state.history, strict=True)]
    assert len(found) == 8
    return max(found)


def resume(iteration: int, data_start: int, kind: str = "BINARYPROTO") -> Solver:
    solver = Solver(f"solver_{kind}.prototxt", data_start=data_start)
    solver.restore(f"snap_{kind}_iter_{iteration}.solverstate{SUFFIXES[kind]}")
    return solver


@pytest.mark.parametrize("kind", SUFFIXES)
def test_from_10_to_20_and_30(golden_run: Path, kind: str) -> None:
    """What the snapshots say and what they were made of: those that our solver takes on the way are compared, too."""
    solver = resume(10, RIGHT_POSITION, kind)
    for stop in (20, 30):
        Path(f"snap_{kind}_iter_{stop}.solverstate{SUFFIXES[kind]}").unlink()
        solver.step(10)
        assert largest_deviation(solver, golden_run / f"snap_{kind}_iter_{stop}", SUFFIXES[kind]) < AGREEMENT
        assert largest_deviation(solver, Path(f"snap_{kind}_iter_{stop}"), SUFFIXES[kind]) == 0


@pytest.mark.parametrize("position", [0, RIGHT_POSITION - 1, RIGHT_POSITION + BATCH_SIZE])
def test_a_wrong_data_position_shows(golden_run: Path, position: int) -> None:
    solver = resume(10, position)
    solver.step(10)
    assert largest_deviation(solver, golden_run / "snap_BINARYPROTO_iter_20") > 100 * AGREEMENT


def test_resuming_starts_the_data_over(golden_run: Path) -> None:
    solver = Solver("resumed/solver.prototxt")
    solver.solve(snapshot="snap_BINARYPROTO_iter_20.solverstate")
    assert largest_deviation(solver, golden_run / "resumed/snap_iter_30") < AGREEMENT


@pytest.mark.parametrize("kind", SUFFIXES)
def test_the_log_from_10_on(golden_run: Path, log: pytest.LogCaptureFixture, kind: str) -> None:
    """Line by line, but for the first loss: its mean runs over iterations before 10, which we have not seen."""
    solver = resume(10, RIGHT_POSITION, kind)
    log.clear()
    solver.solve()
    ours = messages("\n".join(log.messages))
    theirs = messages((golden_run / f"train_{kind}.log").read_text())
    assert ours[:2] == ["Solving golden_run", "Learning Rate Policy: step"]
    start = theirs.index("Iteration 10, Testing net (#0)")
    ours, theirs = ours[2:], theirs[start:-1]  # the last line is the command line's own
    first_loss = next(index for index, line in enumerate(theirs) if line.startswith("Iteration 10 ("))
    assert ours.pop(first_loss).startswith("Iteration 10 (5 iters), loss = ")
    assert theirs.pop(first_loss) == "Iteration 10 (5 iters), loss = 0.0231003"
    assert_same_messages(ours, theirs)
