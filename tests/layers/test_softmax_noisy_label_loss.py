"""The layer in a net against the answers of the authors' Caffe (tests/golden/noise_layer)."""

from pathlib import Path

import numpy as np
import pytest
import torch
from google.protobuf import text_format

from caffe_compat import Net, Solver
from caffe_compat.errors import WeightsError
from caffe_compat.proto.caffe_pb2 import SolverParameter
from caffe_compat.weights import write_blobproto_file

GOLDEN = Path(__file__).parents[1] / "golden" / "noise_layer"
CASES = sorted(path.stem for path in GOLDEN.glob("*.npz"))
LOST_ROW = 6  # of "underflow": the authors' layer gave up on it

NET = """
layer {{ name: "in" type: "Input" top: "y" top: "z" top: "noisy"
  input_param {{ shape {{ dim: {batch} dim: {classes} }} shape {{ dim: {batch} dim: 3 }} shape {{ dim: {batch} }} }} }}
layer {{ name: "loss" type: "SoftmaxWithNoisyLabelLoss" bottom: "y" bottom: "z" bottom: "noisy" {tops}
  loss_weight: {weight} param {{ lr_mult: 0 decay_mult: 0 }}
  softmax_noisy_label_loss_param {{
    update_noise_lr: {update_noise_lr} matrix_c_filler {{ type: "blob_proto" source: "{source}" }} }} }}
"""


def run(case, tmp_path: Path, num_tops: int = 4):
    """The net's outputs, and the gradients of both scores."""
    source = tmp_path / "c.binaryproto"
    write_blobproto_file(source, case["C_param"])
    batch, classes = case["scores_y"].shape
    names = ("loss", "prob_y", "prob_z", "posterior")[:num_tops]
    net = Net(
        NET.format(
            batch=batch, classes=classes, weight=float(case["loss_weight"]), source=source,
            update_noise_lr=float(case["update_noise_lr"]), tops=" ".join(f'top: "{name}"' for name in names),
        ),
        phase="TRAIN",
    )  # fmt: skip
    y, z = (torch.from_numpy(case[name]).requires_grad_() for name in ("scores_y", "scores_z"))
    outputs = net(y=y, z=z, noisy=torch.from_numpy(case["noisy"]))
    net.loss.backward()
    return {name: outputs[name].detach().numpy() for name in names}, y.grad.numpy(), z.grad.numpy()


def close(got, wanted, rows):
    wanted = wanted[rows].reshape(got[rows].shape)
    np.testing.assert_allclose(got[rows], wanted, rtol=0, atol=1e-5 * max(1e-6, np.abs(wanted).max()))


@pytest.mark.filterwarnings("ignore:.*diagonal")
@pytest.mark.parametrize("name", CASES)
def test_the_authors_layer(name, tmp_path):
    case = np.load(GOLDEN / f"{name}.npz")
    outputs, grad_y, grad_z = run(case, tmp_path)
    rows = np.arange(len(case["noisy"]))
    if name == "underflow":
        rows = np.delete(rows, LOST_ROW)
    else:
        np.testing.assert_allclose(outputs["loss"], case["loss"], rtol=1e-5, atol=1e-6)
    close(grad_y, case["diff_y"], rows)
    close(grad_z, case["diff_z"], rows)
    for top in ("prob_y", "prob_z", "posterior"):
        if top in case:
            close(outputs[top], case[top], rows)


def test_the_row_the_authors_layer_loses(tmp_path):
    """Its label is not -1, so its posterior sums to 1 and it has a gradient."""
    case = np.load(GOLDEN / "underflow.npz")
    assert case["noisy"][LOST_ROW] != -1 and not case["posterior"][LOST_ROW].any()
    outputs, grad_y, _ = run(case, tmp_path)
    assert outputs["posterior"][LOST_ROW].sum() == pytest.approx(1, abs=1e-5)
    assert np.isfinite(grad_y).all() and grad_y[LOST_ROW].any()
    assert np.isfinite(outputs["loss"])


def test_the_loss_alone_is_the_same(tmp_path):
    case = np.load(GOLDEN / "clothing.npz")
    with_all, alone = run(case, tmp_path), run(case, tmp_path, num_tops=1)
    for got, wanted in zip((alone[0]["loss"], *alone[1:]), (with_all[0]["loss"], *with_all[1:]), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-9)


DECAYING = """
base_lr: 0.5 lr_policy: "fixed" max_iter: 9 momentum: 0 weight_decay: 0.1 random_seed: 1 snapshot_prefix: "{prefix}"
net_param {{
  layer {{ name: "in" type: "DummyData" top: "x" top: "noisy"
    dummy_data_param {{ shape {{ dim: 4 dim: 3 }} shape {{ dim: 4 }} }} }}
  layer {{ name: "y" type: "InnerProduct" bottom: "x" top: "y" inner_product_param {{ num_output: 3 }} }}
  layer {{ name: "z" type: "InnerProduct" bottom: "x" top: "z" inner_product_param {{ num_output: 3 }} }}
  layer {{ name: "loss" type: "SoftmaxWithNoisyLabelLoss" bottom: "y" bottom: "z" bottom: "noisy" top: "loss" {param}
    softmax_noisy_label_loss_param {{ matrix_c_filler {{ type: "blob_proto" source: "{source}" }} }} }} }}
"""


def trained(folder: Path, param: str = "") -> tuple[Solver, np.ndarray]:
    """A solver after three iterations, and the C that it began with."""
    C = np.array([[0, 0.5, 0], [1, 0, 0], [0, 0.5, 0]], np.float32)
    write_blobproto_file(folder / "c.binaryproto", C[None, None])
    text = DECAYING.format(prefix=folder / "net", source=folder / "c.binaryproto", param=param)
    solver = Solver(text_format.Parse(text, SolverParameter()))
    solver.step(3)
    return solver, C


def test_weight_decay_shrinks_C_unless_its_rate_is_0(tmp_path: Path) -> None:
    solver, C = trained(tmp_path)
    np.testing.assert_allclose(solver.net.params["loss"][0].detach()[0, 0], C * (1 - 0.5 * 0.1) ** 3, rtol=1e-6)
    solver, C = trained(tmp_path, "param { lr_mult: 0 }")
    assert (solver.net.params["loss"][0].detach().numpy()[0, 0] == C).all()


def test_a_C_that_has_decayed_can_be_loaded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    solver, C = trained(tmp_path)
    state = solver.snapshot()
    other = Solver(solver.param)
    caplog.clear()
    other.restore(str(state))
    assert torch.equal(other.net.params["loss"][0], solver.net.params["loss"][0])
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "Layer loss: C: weight decay has shrunk it to 0.857375 of itself" in warning


@pytest.mark.parametrize("columns", [(0.5, 0.9), (2, 2), (0.9, -0.1)], ids=str)
def test_other_matrices_are_refused(columns: tuple[float, float], tmp_path: Path) -> None:
    solver, C = trained(tmp_path)
    weights = tmp_path / "other.caffemodel"
    with torch.no_grad():
        solver.net.params["loss"][0].copy_(torch.from_numpy(C * np.array([*columns, 0], np.float32)))
    solver.net.save_weights(weights)
    with pytest.raises(WeightsError, match="C: expected"):
        solver.net.load_weights(weights)
