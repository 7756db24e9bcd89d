""".solverstate files: real Caffe's read and written again, legacy shapes, files that are something else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffe_compat.errors import WeightsError
from caffe_compat.proto.caffe_pb2 import SolverState as Message
from caffe_compat.weights import SolverState, read_solverstate, write_blob, write_solverstate

RUN = Path(__file__).parents[1] / "golden" / "run"
SNAPSHOT = RUN / "snap_BINARYPROTO_iter_10.solverstate"


def test_what_caffe_wrote_is_read() -> None:
    state = read_solverstate(SNAPSHOT)
    assert (state.iteration, state.current_step) == (10, 0)
    assert state.learned_net == "snap_BINARYPROTO_iter_10.caffemodel"
    assert [array.shape for array in state.history] == [(8, 3, 3, 3), (8,), (4, 392), (4,)]
    assert state.history[0].flat[0] == np.float32(0.0010898333)


def test_it_is_written_as_caffe_wrote_it(tmp_path: Path) -> None:
    path = tmp_path / "again.solverstate"
    write_solverstate(path, read_solverstate(SNAPSHOT))
    assert Message.FromString(path.read_bytes()) == Message.FromString(SNAPSHOT.read_bytes())
    assert path.read_bytes() == SNAPSHOT.read_bytes()


def test_every_field_makes_the_round_trip(tmp_path: Path) -> None:
    state = SolverState(7, [np.ones((2, 3), np.float32), np.zeros(4, np.float32)], "some/where.caffemodel", 3)
    write_solverstate(tmp_path / "s", state)
    again = read_solverstate(tmp_path / "s")
    assert (again.iteration, again.learned_net, again.current_step) == (7, "some/where.caffemodel", 3)
    for ours, theirs in zip(again.history, state.history, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_legacy_history_has_four_dims(tmp_path: Path) -> None:
    message = Message(iter=1, history=[write_blob(np.arange(6), legacy=True)])
    (tmp_path / "old").write_bytes(message.SerializeToString())
    assert read_solverstate(tmp_path / "old").history[0].shape == (1, 1, 1, 6)


@pytest.mark.parametrize(
    ("content", "pattern"),
    [
        ((RUN / "snap_BINARYPROTO_iter_10.caffemodel").read_bytes(), "not a solver state: no iteration in it"),
        (SNAPSHOT.read_bytes()[:-50], "not a binary SolverState, or cut short"),
        (b"", "the file is empty"),
        (b"iter: 10", "not a (binary SolverState|solver state)"),
        (Message(iter=1, history=[{"data": [1, 2], "shape": {"dim": [3]}}]).SerializeToString(),
         r"history: a blob of shape \(3,\) holds 2 numbers"),
    ],
)  # fmt: skip
def test_files_that_are_something_else(content: bytes, pattern: str, tmp_path: Path) -> None:
    path = tmp_path / "x.solverstate"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=pattern) as caught:
        read_solverstate(path)
    assert caught.value.path == str(path)
