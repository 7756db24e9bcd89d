"""Several processes with a solver each, as Caffe's python/train.py starts them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from databases import pixels, write_images
from torch import multiprocessing

from caffe_compat import pycaffe as caffe
from caffe_compat.prototxt import read_solver

BATCH_SIZE, SOLVERS, STEPS = 2, 2, 4

NET = """
layer {{ name: "data" type: "Data" top: "data" top: "label" transform_param {{ scale: 0.01 }}
        data_param {{ source: "{folder}/db" batch_size: {batch_size} backend: LMDB }} }}
layer {{ name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
        inner_product_param {{ num_output: 7 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "bn" type: "BatchNorm" bottom: "ip" top: "bn" batch_norm_param {{ use_global_stats: true }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "bn" bottom: "label" top: "loss" }}
"""
SOLVER = """net: "{net}" base_lr: 0.1 momentum: 0.9 lr_policy: "fixed" iter_size: 2 max_iter: {steps}
    snapshot: {steps} snapshot_prefix: "{folder}/{name}" random_seed: 1 test_iter: 1 test_interval: {steps} """


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_images(tmp_path / "db", pixels(7))
    for name, batch_size in (("one", SOLVERS * BATCH_SIZE), ("several", BATCH_SIZE)):
        net, solver = tmp_path / f"{name}_net.prototxt", tmp_path / f"{name}.prototxt"
        net.write_text(NET.format(folder=tmp_path, batch_size=batch_size))
        solver.write_text(SOLVER.format(net=net, folder=tmp_path, name=name, steps=STEPS))
    return tmp_path


def solve(rank: int, folder: str, uid: str) -> None:
    """Caffe's python/train.py, on CPUs."""
    caffe.set_solver_count(SOLVERS)
    caffe.set_solver_rank(rank)
    caffe.set_multiprocess(True)
    solver = caffe.SGDSolver(f"{folder}/several.prototxt")
    nccl = caffe.NCCL(solver, uid)
    nccl.bcast()
    solver.add_callback(nccl)
    if solver.param.layer_wise_reduce:
        solver.net.after_backward(nccl)
    solver.step(STEPS)
    assert len(solver.test_nets) == (1 if rank == 0 else 0), "the root alone tests"
    np.save(f"{folder}/{rank}.npy", solver.net.params["ip"][0].data)


def test_solvers_with_an_nccl_do_as_one(folder: Path) -> None:
    one = caffe.SGDSolver(str(folder / "one.prototxt"))
    one.step(STEPS)
    multiprocessing.spawn(solve, (str(folder), caffe.NCCL.new_uid()), nprocs=SOLVERS, daemon=True)
    for rank in range(SOLVERS):
        weights = np.load(folder / f"{rank}.npy")
        np.testing.assert_allclose(weights, one.net.params["ip"][0].data, rtol=1e-4, atol=1e-6)
    snapshot = caffe.Net(str(folder / "several_net.prototxt"), str(folder / f"several_iter_{STEPS}.caffemodel"), 0)
    np.testing.assert_array_equal(snapshot.params["ip"][0].data, np.load(folder / "0.npy"))


def test_one_solver_is_the_default() -> None:
    assert (caffe.solver_count(), caffe.solver_rank(), caffe.has_nccl()) == (1, 0, True)
    assert caffe.NCCL.new_uid() != caffe.NCCL.new_uid()


def test_solvers_without_a_seed_agree(folder: Path) -> None:
    """On the order of shuffled rounds, so that no record is read by two of them."""
    net = folder / "several_net.prototxt"
    net.write_text(net.read_text().replace("backend: LMDB", "backend: LMDB shuffle: true"))
    param = read_solver(str(folder / "several.prototxt"))[0]
    param.random_seed = -1
    labels = []
    caffe.set_solver_count(7)  # times 2: two rounds of the 7 records
    try:
        for rank in range(7):
            caffe.set_solver_rank(rank)
            solver = caffe.SGDSolver(param)
            solver.net.forward()
            labels.append(solver.net.blobs["label"].data.tolist())
    finally:
        caffe.set_solver_rank(0)
        caffe.set_solver_count(1)
    for item in range(BATCH_SIZE):
        assert sorted(label[item] for label in labels) == list(range(7))


def test_wrong_places() -> None:
    with pytest.raises(ValueError, match=r"^set_solver_count: expected >= 1, got 0"):
        caffe.set_solver_count(0)
    with pytest.raises(ValueError, match=r"^set_solver_rank: expected >= 0, got -1"):
        caffe.set_solver_rank(-1)
    caffe.set_solver_rank(3)
    try:
        with pytest.raises(ValueError, match=r"^NCCL: expected a solver_rank below solver_count, 1, got 3"):
            caffe.NCCL(None, caffe.NCCL.new_uid())  # type: ignore[arg-type]
    finally:
        caffe.set_solver_rank(0)


def test_one_function_is_no_callback(folder: Path) -> None:
    with pytest.raises(TypeError, match="expected two functions, or an NCCL"):
        caffe.SGDSolver(str(folder / "one.prototxt")).add_callback(lambda: None)
