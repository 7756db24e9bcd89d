"""BatchNorm against loops, in both modes, and what may be said about its blobs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from nets import forward, inputs, layer_text, node, one_layer, randn
from numpy.typing import NDArray

from caffe_compat import Net
from caffe_compat.errors import PrototxtError
from caffe_compat.proto.caffe_pb2 import NetParameter

Array = NDArray[np.float64]
SHAPES = [(7, 3), (4, 3, 2), (2, 3, 4, 5), (2, 3, 2, 3, 2), (1, 3, 2, 1, 2, 2)]
EPS = float(np.float32(1e-5))
FRACTION = float(np.float32(0.999))


def by_channel(x: Array) -> Array:
    """(C, values)"""
    return np.moveaxis(x, 1, 0).reshape(x.shape[1], -1)


def as_blob(rows: Array, shape: tuple[int, ...]) -> Array:
    """The inverse of ``by_channel``."""
    return np.moveaxis(rows.reshape(shape[1], shape[0], *shape[2:]), 0, 1)


def loops(x: Array, grad: Array, eps: float = EPS) -> tuple[Array, Array]:
    """Top and gradient of one channel after the other, as batch_norm_layer.cpp goes in training."""
    rows, grads = by_channel(x), by_channel(grad)
    top, grad_x = np.zeros_like(rows), np.zeros_like(rows)
    for c, (row, dy) in enumerate(zip(rows, grads, strict=True)):
        deviation = (((row - row.mean()) ** 2).mean() + eps) ** 0.5
        top[c] = y = (row - row.mean()) / deviation
        grad_x[c] = (dy - dy.mean() - (dy * y).mean() * y) / deviation
    return as_blob(top, x.shape), as_blob(grad_x, x.shape)


def set_sums(net: Net, mean: Array, variance: Array, weight: float) -> None:
    """The running sums behind this mean and variance."""
    with torch.no_grad():
        for blob, value in zip(net.params["layer"], (weight * mean, weight * variance, [weight]), strict=True):
            blob.copy_(torch.as_tensor(value))


# --- the batch's mean and variance ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_training(shape: tuple[int, ...]) -> None:
    """Tops, gradients and sums of two batches."""
    net = one_layer("BatchNorm", "y", phase="TRAIN", x=shape)
    sums: list[Array] = [np.zeros(3), np.zeros(3), np.zeros(1)]
    for seed in range(2):
        x, grad = 2 * randn(*shape, seed=seed) + 5, randn(*shape, seed=9)
        top, grad_x = loops(x, grad)
        np.testing.assert_allclose(forward(net, x=x)["y"], top, rtol=1e-9, atol=1e-11)
        net.blobs["y"].backward(torch.from_numpy(grad))
        np.testing.assert_allclose(net.blobs["x"].grad, grad_x, rtol=1e-8, atol=1e-11)
        rows = by_channel(x)
        new = rows.mean(1), rows.var(1) * rows.shape[1] / (rows.shape[1] - 1), 1
        sums = [FRACTION * old + value for old, value in zip(sums, new, strict=True)]
        for blob, expected in zip(net.params["layer"], sums, strict=True):
            np.testing.assert_allclose(blob.detach(), expected, rtol=1e-10)
            assert blob.grad is None


def test_training_gradient_by_differences() -> None:
    layer = one_layer("BatchNorm", "y", phase="TRAIN", x=(3, 2, 2)).layers["layer"]
    x = torch.from_numpy(randn(3, 2, 2)).requires_grad_()
    assert torch.autograd.gradcheck(lambda value: layer(value)[0], (x,))


def test_one_value_a_channel() -> None:
    """m / (m - 1) is 1 / 0: Caffe takes 1. The top is 0, and so is the gradient."""
    net = one_layer("BatchNorm", "y", phase="TRAIN", x=(1, 3))
    assert forward(net, x=np.array([[4.0, -1, 2]]))["y"].tolist() == [[0, 0, 0]]
    net.blobs["y"].sum().backward()
    assert net.blobs["x"].grad is not None
    assert net.blobs["x"].grad.tolist() == [[0, 0, 0]]
    assert [blob.tolist() for blob in net.params["layer"]] == [[4, -1, 2], [0, 0, 0], [1]]


def test_a_constant_channel() -> None:
    net = one_layer("BatchNorm", "y", phase="TRAIN", x=(2, 1, 2))
    assert forward(net, x=np.full((2, 1, 2), 3.0))["y"].tolist() == [[[0, 0]], [[0, 0]]]
    net.blobs["y"].backward(torch.tensor([[[1.0, 0]], [[0, 0]]], dtype=torch.float64))
    expected = np.array([0.75, -0.25, -0.25, -0.25]).reshape(2, 1, 2) / EPS**0.5
    np.testing.assert_allclose(net.blobs["x"].grad, expected, rtol=1e-10)


def test_sums_move_without_gradients_too() -> None:
    """Caffe's forward pass knows nothing of a backward pass to come."""
    net = one_layer("BatchNorm", "y", phase="TRAIN", x=(4, 3))
    with torch.no_grad():
        net(x=torch.from_numpy(randn(4, 3)))
    assert net.params["layer"][2].tolist() == [1]


def test_channels_last_stays_so() -> None:
    net = one_layer("BatchNorm", "y", phase="TRAIN", x=(2, 3, 4, 5))
    x = torch.from_numpy(randn(2, 3, 4, 5))
    plain = forward(net, x=x)["y"]
    np.testing.assert_allclose(forward(net, x=x.contiguous(memory_format=torch.channels_last))["y"], plain, rtol=1e-12)
    assert net.blobs["y"].is_contiguous(memory_format=torch.channels_last)


# --- the running sums -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_testing(shape: tuple[int, ...]) -> None:
    net = one_layer("BatchNorm", "y", "batch_norm_param { eps: 0.5 }", x=shape)
    mean, variance = randn(3), randn(3, seed=1) ** 2
    set_sums(net, mean, variance, 2.5)
    x, grad = randn(*shape, seed=2), randn(*shape, seed=3)
    top = as_blob((by_channel(x) - mean[:, None]) / np.sqrt(variance + 0.5)[:, None], shape)
    np.testing.assert_allclose(forward(net, x=x)["y"], top, rtol=1e-10, atol=1e-12)
    net.blobs["y"].backward(torch.from_numpy(grad))
    grad_x = as_blob(by_channel(grad) / np.sqrt(variance + 0.5)[:, None], shape)
    np.testing.assert_allclose(net.blobs["x"].grad, grad_x, rtol=1e-10)
    np.testing.assert_array_equal(net.params["layer"][0].detach(), 2.5 * mean)
    assert net.params["layer"][2].tolist() == [2.5] and net.params["layer"][0].grad is None


def test_without_any_batch_mean_and_variance_are_zero() -> None:
    net = one_layer("BatchNorm", "y", "batch_norm_param { eps: 0.25 }", x=(2, 3))
    set_sums(net, np.ones(3), np.ones(3), 1)
    with torch.no_grad():
        net.params["layer"][2].zero_()
    x = randn(2, 3)
    np.testing.assert_allclose(forward(net, x=x)["y"], 2 * x, rtol=1e-12)


@pytest.mark.parametrize(
    ("phase", "options", "moves"),
    [
        ("TRAIN", "", True),
        ("TEST", "", False),
        ("TRAIN", "batch_norm_param { use_global_stats: true }", False),
        ("TEST", "batch_norm_param { use_global_stats: false }", True),
        ("TEST", "phase: TRAIN", True),
        ("TRAIN", "phase: TEST", False),
    ],
)
def test_what_chooses_between_batch_and_sums(phase: str, options: str, moves: bool) -> None:
    net = one_layer("BatchNorm", "y", options, phase=phase, x=(4, 3))
    net(x=torch.from_numpy(randn(4, 3)))
    assert net.params["layer"][2].tolist() == [float(moves)]


def test_train_and_eval_switch() -> None:
    net = one_layer("BatchNorm", "y", phase="TRAIN", x=(4, 3))
    x = torch.from_numpy(randn(4, 3))
    net.eval()(x=x)
    assert net.params["layer"][2].tolist() == [0]
    net.train()(x=x)
    assert net.params["layer"][2].tolist() == [1]


# --- in a net -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_in_place_has_the_gradients_of_out_of_place(phase: str) -> None:
    """Convolution, BatchNorm, Scale, ReLU, all in place, as residual nets have them."""
    results = []
    for first, second, third in (("conv", "conv", "conv"), ("bn", "scale", "relu")):
        torch.manual_seed(0)
        convolution = 'convolution_param { num_output: 3 kernel_size: 2 weight_filler { type: "gaussian" } }'
        scale = 'scale_param { filler { type: "gaussian" } bias_term: true }'
        net = Net(
            inputs(x=(2, 2, 4, 5))
            + layer_text("Convolution", "x", "conv", convolution, name="conv")
            + layer_text("BatchNorm", "conv", first)
            + layer_text("Scale", first, second, scale, name="scale")
            + layer_text("ReLU", second, third, name="relu"),
            phase=phase,
        ).double()
        assert node(net, "relu").overwrites == (third == "conv")
        set_sums(net, randn(3), randn(3) ** 2, 2)
        net(x=torch.from_numpy(randn(2, 2, 4, 5)))
        net.blobs[third].square().sum().backward()
        blobs = [*net.params["conv"], *net.params["scale"]]
        results.append((net.blobs[third].detach(), *(blob.grad for blob in blobs), *net.params["layer"]))
    torch.testing.assert_close(results[0], results[1])


def test_two_layers_that_share_their_blobs_move_the_same_sums() -> None:
    names = "".join(f'param {{ name: "{name}" lr_mult: 0 }} ' for name in "mvw")
    layers = layer_text("BatchNorm", "x", "y", names, "one") + layer_text("BatchNorm", "y", "z", names, "two")
    net = Net(inputs(x=(5, 3)) + layers, phase="TRAIN").double()
    x = randn(5, 3) + 4
    net(x=torch.from_numpy(x))
    mean, variance, weight = net.params["two"]
    assert weight.tolist() == [FRACTION + 1]
    np.testing.assert_allclose(mean.detach(), FRACTION * x.mean(0), rtol=1e-10)  # the second batch's mean is 0
    np.testing.assert_allclose(variance.detach(), FRACTION * x.var(0, ddof=1) + 1.25, rtol=1e-4)


# --- its blobs are no weights ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", range(4))
def test_lr_mult_is_zero_by_force(given: int) -> None:
    net = Net(inputs(x=(5, 3)) + layer_text("BatchNorm", "x", "y", given * "param { lr_mult: 0 } "), phase="TRAIN")
    assert [param.lr_mult for param in net.learnable_params] == [0, 0, 0]
    assert not any(blob.requires_grad for blob in net.params["layer"])
    assert [blob.shape for blob in net.params["layer"]] == [(3,), (3,), (1,)]


def test_three_rates_of_an_old_net_become_zero() -> None:
    """Caffe's upgrade: nets once had to give them."""
    net = Net(inputs(x=(5, 3)) + layer_text("BatchNorm", "x", "y", 3 * "param { lr_mult: 1 } "))
    assert [(param.lr_mult, param.decay_mult) for param in net.learnable_params] == [(0, 0)] * 3


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """With the three ParamSpecs that Caffe writes into the file."""
    text, path = inputs(x=(5, 3)) + layer_text("BatchNorm", "x", "y"), tmp_path / "w.caffemodel"
    net, other = Net(text, phase="TRAIN"), Net(text)
    net(x=torch.randn(5, 3))
    net.save_weights(path)
    (stored,) = [layer for layer in NetParameter.FromString(path.read_bytes()).layer if layer.type == "BatchNorm"]
    assert [param.lr_mult for param in stored.param] == [0, 0, 0] and all(p.HasField("lr_mult") for p in stored.param)
    other.load_weights(path)
    for mine, theirs in zip(other.params["layer"], net.params["layer"], strict=True):
        assert torch.equal(mine, theirs) and mine.abs().sum() > 0


@pytest.mark.parametrize(
    ("options", "shape", "field", "problem"),
    [
        ("param { lr_mult: 1 }", (5, 3), "param[0].lr_mult", "Cannot configure .* expected 0, got 1"),
        ("param { lr_mult: 0 } param { lr_mult: 0.5 }", (5, 3), "param[1].lr_mult", "expected 0, got 0.5"),
        ('param { name: "m" }', (5, 3), "param[0].lr_mult", "expected 0, got 1"),
        (4 * "param { lr_mult: 0 } ", (5, 3), "param", "Too many params specified: 4 for 3 blobs"),
        ("", (5,), "bottom", "expected at least 2 axes"),
        ("", (), "bottom", "expected at least 2 axes"),
        ("blobs { shape { dim: 3 } data: 1 data: 1 data: 1 }", (5, 3), "blobs", "expected 3 weight blobs, got 1"),
    ],
)
def test_errors(options: str, shape: tuple[int, ...], field: str, problem: str) -> None:
    with pytest.raises(PrototxtError, match=problem) as caught:
        one_layer("BatchNorm", "y", options, x=shape)
    assert caught.value.field == field and caught.value.layer == "layer"
