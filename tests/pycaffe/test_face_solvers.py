"""The solvers of the pycaffe face: real Caffe's updates and snapshots, and what scripts do with solvers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import caffe_compat.pycaffe as caffe
from caffe_compat.proto.caffe_pb2 import NetParameter, SolverParameter
from caffe_compat.prototxt import parse_text
from caffe_compat.weights import read_caffemodel

CASES = sorted((Path(__file__).parent.parent / "golden/solvers").glob("*.npz"))
NUM_UPDATES = 8


def build(case: dict[str, np.ndarray]) -> caffe.SGDSolver:
    """The case's solver with real Caffe's start in it."""
    param = parse_text(str(case["solver"]), SolverParameter())
    param.ClearField("net")
    param.net_param.CopyFrom(parse_text(str(case["net"]), NetParameter()))
    solver = caffe.get_solver(param)
    for layer, blobs in solver.net.params.items():
        for index, blob in enumerate(blobs):
            blob.data[...] = case[f"param/0/{layer}/{index}"]
    return solver


def read(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as stored:
        return dict(stored)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_eight_updates_as_caffe(path: Path) -> None:
    run_as_caffe(read(path))


def run_as_caffe(case: dict[str, np.ndarray]) -> None:
    """Train on the case's data and compare every update."""
    solver = build(case)
    assert type(solver).__name__ == f"{solver.param.type}Solver"
    for update in range(1, NUM_UPDATES + 1):
        solver.net.set_input_arrays(case[f"data/{update}"], case[f"label/{update}"])
        before = {key: [blob.data.copy() for blob in blobs] for key, blobs in solver.net.params.items()}
        solver.step(1)
        assert float(solver.net.blobs["loss"].data) == pytest.approx(float(case[f"loss/{update}"]), rel=1e-5)
        for layer, blobs in solver.net.params.items():
            for index, blob in enumerate(blobs):
                expected = case[f"param/{update}/{layer}/{index}"]
                assert np.abs(blob.data - expected).max() <= 3e-6 * np.abs(expected).max()
                # As in Caffe the diff is now what was subtracted.
                np.testing.assert_allclose(before[layer][index] - blob.diff, blob.data, atol=1e-6)
    assert solver.iter == NUM_UPDATES


@pytest.mark.parametrize("name", ["SGD_step", "SGD_L1", "Adam", "SGD_iter_size_clip"])
def test_a_python_layer_in_place_of_a_built_in_one_learns_as_caffe_does(caffe: object, name: str) -> None:
    """Real Caffe's run of a net, whose inner product is the user's here: its multipliers, decay and gradient count."""
    case = read(next(path for path in CASES if path.stem == name))
    text = str(case["net"])
    options = 'inner_product_param { num_output: 5 weight_filler { type: "xavier" } }'
    by_hand = 'python_param { module: "face_layers" layer: "InnerProductByLoops" param_str: "5" }'
    assert text.count(options) == text.count('type: "InnerProduct"') == 1
    case["net"] = np.array(text.replace(options, by_hand).replace('type: "InnerProduct"', 'type: "Python"'))
    run_as_caffe(case)


def test_views_of_before_a_step_show_what_is_after_it() -> None:
    case = read(CASES[-1])
    solver = build(case)
    solver.net.set_input_arrays(case["data/1"], case["label/1"])
    blobs = [solver.net.params["conv"][0], solver.net.params["ip"][1], solver.net.blobs["conv"], solver.net.blobs["ip"]]
    views = [view for blob in blobs for view in (blob.data, blob.diff)]
    assert all(view.flags.c_contiguous for view in views)
    before = [view.copy() for view in views]
    solver.step(1)
    assert all((view != old).any() for view, old in zip(views, before, strict=True))


def test_the_class_decides_the_rule() -> None:
    case = read(next(path for path in CASES if path.stem == "SGD_fixed"))
    param = parse_text(str(case["solver"]), SolverParameter(type="AdaGrad"))
    param.ClearField("net")
    param.net_param.CopyFrom(parse_text(str(case["net"]), NetParameter()))
    assert caffe.NesterovSolver(param).param.type == "Nesterov"
    assert param.type != "Nesterov"


def test_from_snapshot_10_to_20_as_caffe(golden_run: Path) -> None:
    """Real Caffe's files, with the data where its run had them: to 1e-6 of the largest weight."""
    solver = caffe.SGDSolver("solver_BINARYPROTO.prototxt")
    for _ in range(10):  # past the records of its first ten iterations
        solver.net.forward()
    solver.restore("snap_BINARYPROTO_iter_10.solverstate")
    solver.step(10)
    assert solver.iter == 20
    for layer, blobs in read_caffemodel(golden_run / "snap_BINARYPROTO_iter_20.caffemodel").items():
        for blob, expected in zip(solver.net.params[layer], blobs, strict=True):
            assert np.abs(blob.data - expected).max() <= 1e-6 * np.abs(expected).max()


def test_solve_restores_and_snapshots(golden_run: Path) -> None:
    solver = caffe.get_solver("solver_BINARYPROTO.prototxt")
    Path("snap_BINARYPROTO_iter_30.caffemodel").unlink()
    solver.solve("snap_BINARYPROTO_iter_20.solverstate")
    assert solver.iter == 30 and Path("snap_BINARYPROTO_iter_30.caffemodel").exists()
    stored = read_caffemodel("snap_BINARYPROTO_iter_30.caffemodel")
    np.testing.assert_array_equal(stored["conv1"][0], solver.net.params["conv1"][0].data)
    solver.step(1)
    solver.snapshot()
    assert Path("snap_BINARYPROTO_iter_31.solverstate").exists()


def test_test_nets_see_the_train_nets_weights_and_keep_the_last_batch(golden_run: Path) -> None:
    solver = caffe.get_solver("solver_BINARYPROTO.prototxt")
    (test_net,) = solver.test_nets
    test_net.share_with(solver.net)
    solver.net.params["ip1"][1].data[...] = [1, 2, 3, 4]
    assert (test_net.params["ip1"][1].data == [1, 2, 3, 4]).all()
    solver.step(1)  # tests first
    assert test_net.blobs["ip1"].data.shape == (16, 4) and test_net.blobs["accuracy"].data.shape == ()
    assert np.abs(test_net.blobs["data"].data).max() > 0
    other = caffe.Net("train_val.prototxt", caffe.TEST)
    solver.share_weights(other)
    assert (other.params["conv1"][0].data == solver.net.params["conv1"][0].data).all()
    assert np.shares_memory(other.params["conv1"][0].data, solver.net.params["conv1"][0].data)


def test_a_step_takes_what_is_in_the_input_blobs() -> None:
    """Zeros at first, then what the script puts there, for as long as it leaves it."""
    solver = caffe.get_solver(parse_text("""
        base_lr: 0 lr_policy: "fixed" snapshot_after_train: false net_param {
          layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 } } }
          layer { name: "sum" type: "Reduction" bottom: "x" top: "sum" loss_weight: 1 }
        }
    """, SolverParameter()))  # fmt: skip
    losses = []
    for value in (None, 3, None):
        if value is not None:
            solver.net.blobs["x"].data[...] = value
        solver.step(1)
        losses.append(float(solver.net.blobs["sum"].data))
    assert losses == [0, 6, 6]


def test_callbacks_come_before_and_after_the_passes(golden_run: Path) -> None:
    """A callback that clears the gradients leaves nothing but weight decay's share of the update."""
    solver = caffe.get_solver("solver_BINARYPROTO.prototxt")
    seen: list[tuple[str, int]] = []
    before = solver.net.params["conv1"][0].data.copy()

    def clear() -> None:
        seen.append(("ready", solver.iter))
        assert np.abs(solver.net.params["conv1"][0].diff).max() > 0
        solver.net.clear_param_diffs()

    solver.add_callback(lambda: seen.append(("start", solver.iter)), clear)
    solver.step(1)
    assert seen == [("start", 0), ("ready", 0)]
    np.testing.assert_allclose(solver.net.params["conv1"][0].data, before * (1 - 0.05 * 0.0005), rtol=1e-6)


def test_apply_update_by_hand_is_a_step(golden_run: Path) -> None:
    """What step does, done in parts, on the same batch."""
    by_hand, stepped = (caffe.get_solver("solver_BINARYPROTO.prototxt") for _ in range(2))
    by_hand.net.clear_param_diffs()
    by_hand.net.forward()
    by_hand.net.backward()
    by_hand.apply_update()
    stepped.step(1)
    assert (by_hand.iter, stepped.iter) == (0, 1)
    for layer in ("conv1", "ip1"):
        for one, other in zip(by_hand.net.params[layer], stepped.net.params[layer], strict=True):
            np.testing.assert_array_equal(one.data, other.data)
