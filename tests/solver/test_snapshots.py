"""Snapshots: their names and contents, whole or not at all; what can be resumed from and what cannot."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from tiny_nets import CLASSIFIER, LEAST_SQUARES, feed, make_solver, weights

from caffe_compat.errors import CaffeCompatError, PrototxtError, WeightsError
from caffe_compat.proto.caffe_pb2 import NetParameter, SolverParameter
from caffe_compat.solver import Solver
from caffe_compat.solver.snapshots import snapshot_prefix
from caffe_compat.weights import SolverState, read_blob, read_caffemodel, read_solverstate, write_solverstate


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*") if path.is_file())


def test_names_and_times() -> None:
    make_solver('max_iter: 5 snapshot: 2 snapshot_after_train: true snapshot_prefix: "s"').solve()
    assert files() == [f"s_iter_{i}.{end}" for i in (2, 4, 5) for end in ("caffemodel", "solverstate")]


def test_no_second_snapshot_when_the_last_iteration_has_one(log: pytest.LogCaptureFixture) -> None:
    make_solver('max_iter: 4 snapshot: 2 snapshot_after_train: true snapshot_prefix: "s"').solve()
    assert sum(line.startswith("Snapshotting to binary proto file s_iter_4") for line in log.messages) == 1


def test_contents() -> None:
    solver = make_solver('lr_policy: "multistep" gamma: 0.5 stepvalue: 1 momentum: 0.9 snapshot_prefix: "s"')
    solver.step(3)
    assert solver.snapshot() == "s_iter_3.solverstate"
    stored, state = read_caffemodel("s_iter_3.caffemodel"), read_solverstate("s_iter_3.solverstate")
    assert all(np.array_equal(a, b) for a, b in zip(stored["ip"], weights(solver), strict=True))
    assert (state.iteration, state.learned_net, state.current_step) == (3, "s_iter_3.caffemodel", 1)
    assert [blob.shape for blob in state.history] == [(1, 1), (1, 3), (1,)]
    assert all(np.array_equal(a, b) for a, b in zip(state.history, solver.history, strict=True))


def diffs(path: str) -> list[np.ndarray | None]:
    net = NetParameter.FromString(Path(path).read_bytes())
    blobs = next(layer.blobs for layer in net.layer if layer.name == "ip")
    return [np.array(blob.diff, np.float32) if blob.diff else None for blob in blobs]


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_snapshot_diff_is_what_the_last_update_subtracted(kind: str) -> None:
    solver = make_solver(f'snapshot_diff: true snapshot_prefix: "s" momentum: 0.9 type: "{kind}"')
    solver.step(1)
    before = weights(solver)
    solver.step(1)
    solver.snapshot()
    for stored, old, new in zip(diffs("s_iter_2.caffemodel"), before, weights(solver), strict=True):
        assert stored == pytest.approx((old - new).reshape(-1), abs=1e-6)


def test_no_diffs_unless_asked_for() -> None:
    make_solver('snapshot_prefix: "s"').snapshot()
    assert diffs("s_iter_0.caffemodel") == [None, None]


# --- where they go ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given, path, expected",
    [
        ("a/b", "dir/solver.prototxt", "a/b"),
        ("", "dir/solver.prototxt", "dir/solver"),
        ("there", "dir/solver.prototxt", "there/solver"),
        ("there/", "dir/solver.prototxt", "there/solver"),
        ("there", None, "there"),
        ("", None, ""),
    ],
)
def test_prefix(given: str, path: str | None, expected: str) -> None:
    Path("there").mkdir()
    assert snapshot_prefix(SolverParameter(snapshot_prefix=given), path) == expected


def test_a_place_that_cannot_be_written_is_found_before_training() -> None:
    with pytest.raises(PrototxtError, match="snapshot_prefix: Cannot write to snapshot prefix 'no/where'"):
        make_solver('snapshot: 5 snapshot_prefix: "no/where"')
    solver = make_solver('max_iter: 3 snapshot_after_train: true snapshot_prefix: "no/where"')
    with pytest.raises(PrototxtError, match="Cannot write"):
        solver.solve()
    assert solver.iter == 0


def test_a_place_that_cannot_be_written_is_found_before_the_nets_are_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caffe_compat.solver.solver.build_train_net", lambda *_: pytest.fail("built a net"))
    with pytest.raises(PrototxtError, match="Cannot write to snapshot prefix 'no/where'"):
        make_solver('snapshot: 5 snapshot_prefix: "no/where"')


def test_a_net_that_hdf5_cannot_hold_is_found_before_training(tmp_path: Path) -> None:
    namesakes = LEAST_SQUARES.replace('name: "flat"', 'name: "ip"')
    options = f'snapshot_format: HDF5 snapshot_prefix: "{tmp_path}/x" '
    with pytest.raises(WeightsError, match='layer "ip": HDF5 holds one layer of a name, the net has 2'):
        make_solver(f"{options} snapshot: 5", namesakes)
    solver = make_solver(f"{options} max_iter: 3 snapshot_after_train: true", namesakes)
    with pytest.raises(WeightsError, match="HDF5 holds one layer of a name"):
        solver.solve()
    assert solver.iter == 0


def test_no_prefix() -> None:
    with pytest.raises(PrototxtError, match="snapshot_prefix: snapshots are asked for, but not where"):
        make_solver("snapshot: 5")


def test_a_write_that_fails_leaves_nothing_new(monkeypatch: pytest.MonkeyPatch) -> None:
    solver = make_solver('snapshot_prefix: "s"')
    solver.snapshot()
    old = {name: Path(name).read_bytes() for name in files()}
    solver.net.params["ip"][0].data.fill_(7)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        solver.snapshot()
    assert {name: Path(name).read_bytes() for name in files()} == old


# --- resuming ---------------------------------------------------------------------------------------------------


def state_of(solver: Solver) -> tuple[object, ...]:
    return solver.iter, [w.tolist() for w in weights(solver)], [h.tolist() for h in solver.history]


def refuses(solver: Solver, path: str, pattern: str) -> None:
    before = state_of(solver)
    with pytest.raises(CaffeCompatError, match=pattern):
        solver.restore(path)
    assert state_of(solver) == before


@pytest.fixture
def snapshot() -> str:
    solver = make_solver('momentum: 0.9 snapshot_prefix: "s"')
    solver.step(2)
    return solver.snapshot()


def test_what_cannot_be_resumed_from(snapshot: str) -> None:
    solver = make_solver("momentum: 0.9")
    refuses(solver, "nowhere.solverstate", "nowhere.solverstate: no such file")
    refuses(solver, "s_iter_2.caffemodel", "s_iter_2.caffemodel: not a .*solver ?state")
    refuses(make_solver('momentum: 0.9 type: "Adam"'), snapshot,
            r"s_iter_2.solverstate: history: Incorrect length of history blobs: expected 6, got 3")  # fmt: skip
    refuses(make_solver("", CLASSIFIER), snapshot, "Incorrect length of history blobs: expected 2, got 3")
    Path("s_iter_2.caffemodel").unlink()
    refuses(solver, snapshot, "s_iter_2.caffemodel: no such file")


@pytest.mark.parametrize("kind, index, name", [("SGD", 2, "param 1"), ("Adam", 4, "param 0")])
def test_a_history_of_another_net(kind: str, index: int, name: str) -> None:
    """The layer and its parameter are named; Adam has two moments of each of the three."""
    solver = make_solver(f'momentum: 0.9 type: "{kind}"')
    history = [np.zeros(blob.shape) for blob in solver.history]
    wanted, history[index] = history[index].size, np.zeros(7)
    write_solverstate("other.solverstate", SolverState(2, history))
    problem = rf'layer "ip": history\[{index}\]: of {name}: expected {wanted} numbers, got 7'
    refuses(solver, "other.solverstate", f"other.solverstate: {problem}")


def test_legacy_shapes_of_the_history_are_taken(snapshot: str) -> None:
    state = read_solverstate(snapshot)
    legacy = [blob.reshape((1,) * (4 - blob.ndim) + blob.shape) for blob in state.history]
    write_solverstate("legacy.solverstate", SolverState(2, legacy, state.learned_net))
    solver = make_solver("momentum: 0.9")
    solver.restore("legacy.solverstate")
    assert all(np.array_equal(a, b) for a, b in zip(solver.history, state.history, strict=True))


def test_a_state_without_weights_keeps_those_there_are() -> None:
    write_solverstate("bare.solverstate", SolverState(4, [np.ones((1, 1)), np.ones((1, 3)), np.ones(1)]))
    solver = make_solver("")
    before = weights(solver)
    solver.restore("bare.solverstate")
    assert solver.iter == 4 and np.array_equal(weights(solver)[0], before[0])


def test_weights_that_do_not_fit(snapshot: str) -> None:
    make_solver('snapshot_prefix: "t"', CLASSIFIER).snapshot()
    Path("t_iter_0.caffemodel").replace("s_iter_2.caffemodel")
    with pytest.raises(WeightsError, match="Cannot copy param 0 weights from layer 'ip'; shape mismatch"):
        make_solver("").restore(snapshot)


def test_weights_that_were_moved_with_their_state_are_found(snapshot: str, log: pytest.LogCaptureFixture) -> None:
    Path("moved").mkdir()
    for name in files():
        Path(name).rename(f"moved/{name}")
    solver = make_solver("momentum: 0.9")
    solver.restore("moved/s_iter_2.solverstate")
    assert np.array_equal(weights(solver)[0], read_caffemodel("moved/s_iter_2.caffemodel")["ip"][0])
    assert log.messages.count(
        "moved/s_iter_2.solverstate: the weights it names, s_iter_2.caffemodel, are not there; "
        "taking moved/s_iter_2.caffemodel"
    ) == 1  # fmt: skip
    Path("moved/s_iter_2.caffemodel").unlink()
    refuses(make_solver("momentum: 0.9"), "moved/s_iter_2.solverstate",
            "s_iter_2.caffemodel: no such file, nor is moved/s_iter_2.caffemodel; moved/s_iter_2.solverstate names it",
    )  # fmt: skip


def test_weights_where_the_state_says_come_first(snapshot: str, log: pytest.LogCaptureFixture) -> None:
    Path("moved").mkdir()
    Path(snapshot).rename("moved/s.solverstate")
    Path("moved/s_iter_2.caffemodel").write_bytes(b"another one")
    make_solver("momentum: 0.9").restore("moved/s.solverstate")
    assert not [line for line in log.messages if "taking" in line]


# --- HDF5 -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_a_run_in_two_parts_is_one_run_in_hdf5(kind: str, log: pytest.LogCaptureFixture) -> None:
    options = f'type: "{kind}" momentum: 0.9 lr_policy: "multistep" gamma: 0.5 stepvalue: 1'
    options += ' snapshot_format: HDF5 snapshot_prefix: "s"'
    whole = make_solver(options)
    whole.step(2)
    assert whole.snapshot() == "s_iter_2.solverstate.h5"
    assert files() == ["s_iter_2.caffemodel.h5", "s_iter_2.solverstate.h5"]
    assert log.messages[-2:] == [
        "Snapshotting to HDF5 file s_iter_2.caffemodel.h5",
        "Snapshotting solver state to HDF5 file s_iter_2.solverstate.h5",
    ]
    state = read_solverstate("s_iter_2.solverstate.h5")
    assert (state.iteration, state.learned_net, state.current_step) == (2, "s_iter_2.caffemodel.h5", 1)
    whole.step(2)
    second = make_solver(options, num_batches=6)
    feed(second.net, 6, first=2)
    second.restore("s_iter_2.solverstate.h5")
    second.step(2)
    assert state_of(second) == state_of(whole)


def test_hdf5_snapshots_have_diffs_if_asked_for() -> None:
    solver = make_solver('snapshot_format: HDF5 snapshot_diff: true snapshot_prefix: "s"')
    solver.step(1)
    before = weights(solver)
    solver.step(1)
    solver.snapshot()
    with h5py.File("s_iter_2.caffemodel.h5") as file:
        for index, (old, new) in enumerate(zip(before, weights(solver), strict=True)):
            assert file[f"diff/ip/{index}"][()] == pytest.approx(old - new, abs=1e-6)


def test_what_cannot_be_resumed_from_in_hdf5() -> None:
    make_solver('momentum: 0.9 snapshot_format: HDF5 snapshot_prefix: "s"').snapshot()
    solver = make_solver("momentum: 0.9")
    refuses(solver, "s_iter_0.caffemodel.h5", "s_iter_0.caffemodel.h5: not a solver state: no group 'history' in it")
    refuses(make_solver("", CLASSIFIER), "s_iter_0.solverstate.h5", "history blobs: expected 2, got 3")
    Path("s_iter_0.solverstate.h5").write_bytes(Path("s_iter_0.solverstate.h5").read_bytes()[:-100])
    refuses(solver, "s_iter_0.solverstate.h5", "s_iter_0.solverstate.h5: not an HDF5 file, or broken")


def test_blobs_are_read_back(snapshot: str) -> None:
    stored = NetParameter.FromString(Path("s_iter_2.caffemodel").read_bytes())
    assert read_blob(next(layer for layer in stored.layer if layer.name == "ip").blobs[0]).shape == (1, 3)
