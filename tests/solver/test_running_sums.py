"""BatchNorm's running sums in training: no update touches them, test nets see them, snapshots keep them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_nets import BATCH_SIZE, CLASSIFIER, arrays, feed, make_solver

from caffe_compat.solver import Solver
from caffe_compat.weights import read_caffemodel, read_solverstate

BATCH_NORM = 'layer { name: "bn" type: "BatchNorm" bottom: "x" top: "bn" }\n    layer { name: "ip"'
NET = CLASSIFIER.replace('layer { name: "ip"', BATCH_NORM).replace('bottom: "x" top: "ip"', 'bottom: "bn" top: "ip"')
FRACTION = float(np.float32(0.999))


def expected_sums(num_batches: int) -> list[NDArray[np.float64]]:
    """After so many batches of ``arrays``, by Caffe's recurrence."""
    x = arrays(6)[0].astype(np.float64).reshape(6, BATCH_SIZE, -1)
    mean, variance, weight = np.zeros(3), np.zeros(3), np.zeros(1)
    for batch in np.concatenate([x, x])[:num_batches]:
        mean = FRACTION * mean + batch.mean(0)
        variance = FRACTION * variance + batch.var(0, ddof=1)
        weight = FRACTION * weight + 1
    return [mean, variance, weight]


def sums(solver: Solver) -> list[NDArray[np.float32]]:
    return [blob.detach().numpy().copy() for blob in solver.net.params["bn"]]


@pytest.mark.parametrize("rule", ["SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"])
@pytest.mark.parametrize("regularization", ["L1", "L2"])
def test_no_update_rule_touches_them(rule: str, regularization: str) -> None:
    """Their decay_mult is 1 and they are part of the history, as in Caffe, but the rate is 0."""
    momentum = 0 if rule in ("AdaGrad", "RMSProp") else 0.9
    options = f'type: "{rule}" momentum: {momentum} weight_decay: 0.5 regularization_type: "{regularization}"'
    solver = make_solver(f"{options} clip_gradients: 0.01", NET)
    before = solver.net.params["ip"][0].clone()
    solver.step(8)
    for found, expected in zip(sums(solver), expected_sums(8), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert not (solver.net.params["ip"][0] == before).any()
    assert [blob.shape for blob in solver.history[:5]] == [(3,), (3,), (1,), (3, 3), (3,)]


def test_every_batch_of_iter_size_counts() -> None:
    solver = make_solver("iter_size: 3", NET)
    solver.step(2)
    for found, expected in zip(sums(solver), expected_sums(6), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_test_nets_normalise_with_the_train_nets_sums() -> None:
    solver = make_solver("test_iter: 1 test_interval: 2 test_initialization: false", NET)
    solver.step(3)  # with a test before the third update
    (test_net,) = solver.test_nets
    assert [b.data_ptr() for b in test_net.params["bn"]] == [b.data_ptr() for b in solver.net.params["bn"]]
    solver.test()
    mean, variance, weight = sums(solver)
    for found, expected in zip((mean, variance, weight), expected_sums(3), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    x = test_net.blobs["x"].numpy().reshape(BATCH_SIZE, 3)
    top = (x - mean / weight) / np.sqrt(variance / weight + np.float32(1e-5))
    np.testing.assert_allclose(test_net.blobs["bn"].detach().numpy().reshape(BATCH_SIZE, 3), top, rtol=1e-4, atol=1e-5)


def test_a_run_that_is_resumed_ends_as_one_that_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit; the state's history has a blob for each sum, all zero."""
    monkeypatch.chdir(tmp_path)
    options = 'momentum: 0.9 weight_decay: 0.01 snapshot_prefix: "s"'
    straight = make_solver(options, NET)
    straight.step(5)
    first = make_solver(options, NET)
    first.step(2)
    state = read_solverstate(first.snapshot())
    assert [blob.tolist() for blob in state.history[:3]] == [[0] * 3, [0] * 3, [0]]
    stored = read_caffemodel("s_iter_2.caffemodel")["bn"]
    assert all(np.array_equal(a, b) for a, b in zip(stored, sums(first), strict=True))
    second = make_solver(options, NET)
    feed(second.net, 6, first=2)
    second.restore("s_iter_2.solverstate")
    second.step(3)
    assert second.iter == straight.iter == 5
    for name in ("bn", "ip"):
        for mine, theirs in zip(second.net.params[name], straight.net.params[name], strict=True):
            assert np.array_equal(mine.detach(), theirs.detach())


def test_weights_given_to_the_solver_bring_their_sums(tmp_path: Path) -> None:
    trained, path = make_solver("", NET), tmp_path / "w.caffemodel"
    trained.step(4)
    trained.net.save_weights(path)
    solver = make_solver(f'weights: "{path}" test_iter: 1 test_interval: 100', NET)
    for net in (solver.net, solver.test_nets[0]):
        for mine, theirs in zip(net.params["bn"], trained.net.params["bn"], strict=True):
            assert np.array_equal(mine, theirs)
