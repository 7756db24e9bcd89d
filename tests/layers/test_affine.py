"""Bias and Scale against einsum: where the operand goes, learned or given, in place, and what must fit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nets import forward, inputs, layer_text, node, one_layer, randn

from caffe_compat import Net
from caffe_compat.errors import PrototxtError
from caffe_compat.layers import BuildContext, create_layer
from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt import parse_text

SHAPE = (2, 3, 4, 5)  # n c h w
GAUSSIAN = 'filler { type: "gaussian" }'
PLACES = [
    ("", "c"),
    ("axis: 0", "n"),
    ("axis: -1", "w"),
    ("axis: 2 num_axes: 2", "hw"),
    ("axis: 1 num_axes: -1", "chw"),
]
PLACES += [("axis: 0 num_axes: -1", "nchw"), ("num_axes: 0", ""), ("axis: -3 num_axes: 2", "ch")]


def shape_of(axes: str) -> tuple[int, ...]:
    return tuple(SHAPE["nchw".index(axis)] for axis in axes)


@pytest.mark.parametrize(("options", "axes"), PLACES)
def test_learned_bias(options: str, axes: str) -> None:
    net = one_layer("Bias", "y", f"bias_param {{ {options} {GAUSSIAN} }}", x=SHAPE)
    bias, x, grad = net.params["layer"][0], randn(*SHAPE), randn(*SHAPE, seed=1)
    assert bias.shape == shape_of(axes)
    expected = x + np.einsum(f"nchw,{axes}->nchw", np.ones(SHAPE), bias.detach())
    np.testing.assert_allclose(forward(net, x=x)["y"], expected, rtol=1e-12)
    net.blobs["y"].backward(torch.from_numpy(grad))
    np.testing.assert_allclose(bias.grad, np.einsum(f"nchw->{axes}", grad), atol=1e-12)
    np.testing.assert_array_equal(net.blobs["x"].grad, grad)


@pytest.mark.parametrize("bias_term", ["false", "true"])
@pytest.mark.parametrize(("options", "axes"), PLACES)
def test_learned_scale(options: str, axes: str, bias_term: str) -> None:
    options = f"{options} {GAUSSIAN} bias_term: {bias_term} bias_{GAUSSIAN}"
    net = one_layer("Scale", "y", f"scale_param {{ {options} }}", x=SHAPE)
    (scale, *bias), x, grad = net.params["layer"], randn(*SHAPE), randn(*SHAPE, seed=1)
    assert [blob.shape for blob in (scale, *bias)] == [shape_of(axes)] * (2 if bias_term == "true" else 1)
    expected = np.einsum(f"nchw,{axes}->nchw", x, scale.detach())
    if bias:
        expected += np.einsum(f"nchw,{axes}->nchw", np.ones(SHAPE), bias[0].detach())
    np.testing.assert_allclose(forward(net, x=x)["y"], expected, rtol=1e-10, atol=1e-12)
    net.blobs["y"].backward(torch.from_numpy(grad))
    np.testing.assert_allclose(scale.grad, np.einsum(f"nchw,nchw->{axes}", grad, x), atol=1e-12)
    np.testing.assert_allclose(net.blobs["x"].grad, np.einsum(f"nchw,{axes}->nchw", grad, scale.detach()), atol=1e-12)
    if bias:
        np.testing.assert_allclose(bias[0].grad, np.einsum(f"nchw->{axes}", grad), atol=1e-12)


@pytest.mark.parametrize("type_name", ["Bias", "Scale"])
@pytest.mark.parametrize(
    ("options", "axes"),
    [("", "ch"), ("axis: 0", "n"), ("axis: 0", "nchw"), ("axis: -2", "hw"), ("axis: 9", ""), ("num_axes: 3", "c")],
)
def test_operand_from_the_second_bottom(type_name: str, options: str, axes: str) -> None:
    """Its own axes count, not num_axes; a single number goes anywhere."""
    message = f"{type_name.lower()}_param {{ {options} }}"
    net = one_layer(type_name, "y", message, x=SHAPE, operand=shape_of(axes))
    assert "layer" not in net.params
    x, operand, grad = randn(*SHAPE), np.asarray(randn(*shape_of(axes), seed=1)), randn(*SHAPE, seed=2)
    spread = np.einsum(f"nchw,{axes}->nchw", np.ones(SHAPE), operand)
    is_bias = type_name == "Bias"
    top = forward(net, x=x, operand=operand)["y"]
    np.testing.assert_allclose(top, x + spread if is_bias else x * spread, rtol=1e-12)
    net.blobs["y"].backward(torch.from_numpy(grad))
    np.testing.assert_allclose(net.blobs["x"].grad, grad if is_bias else grad * spread, rtol=1e-12)
    wanted = np.einsum(f"nchw->{axes}", grad if is_bias else grad * x)
    np.testing.assert_allclose(net.blobs["operand"].grad, wanted, atol=1e-12)


def test_scale_by_a_bottom_with_a_learned_bias() -> None:
    """The bias has the second bottom's shape and is the only blob."""
    options = f"scale_param {{ axis: 0 bias_term: true bias_{GAUSSIAN} }}"
    net = one_layer("Scale", "y", options, x=SHAPE, operand=(2, 3))
    (bias,) = net.params["layer"]
    assert bias.shape == (2, 3)
    x, operand = randn(*SHAPE), randn(2, 3, seed=1)
    expected = x * operand[:, :, None, None] + bias.detach().numpy()[:, :, None, None]
    np.testing.assert_allclose(forward(net, x=x, operand=operand)["y"], expected, rtol=1e-12)
    net.blobs["y"].sum().backward()
    assert bias.grad is not None
    assert bias.grad.unique().tolist() == [20]


def test_unfilled_they_change_nothing() -> None:
    """The scale's default filler is 1, unlike every other layer's."""
    text = inputs(x=(2, 3)) + layer_text("Scale", "x", "y", "scale_param { bias_term: true }")
    net = Net(text + layer_text("Bias", "y", "z", name="bias"))
    x = torch.randn(2, 3)
    assert torch.equal(net(x=x)["z"], x)
    assert net.params["layer"][0].tolist() == [1, 1, 1] and net.params["layer"][1].tolist() == [0, 0, 0]


@pytest.mark.parametrize("type_name", ["Bias", "Scale"])
@pytest.mark.parametrize("operand", ["learned", "bottom"])
def test_in_place_has_the_gradients_of_out_of_place(type_name: str, operand: str) -> None:
    """Followed by a ReLU in place, as in every residual net."""
    results = []
    for top in ("conv", "y"):
        torch.manual_seed(0)
        convolution = f"convolution_param {{ num_output: 3 kernel_size: 2 weight_{GAUSSIAN} }}"
        message = f"{type_name.lower()}_param {{ {GAUSSIAN} {'bias_term: true' if type_name == 'Scale' else ''} }}"
        bottoms = "conv" if operand == "learned" else "conv v"
        net = Net(
            "force_backward: true "
            + inputs(x=(2, 2, 4, 5), v=(3,))
            + layer_text("Convolution", "x", "conv", convolution, name="conv")
            + layer_text(type_name, bottoms, top, message)
            + layer_text("ReLU", top, top, name="relu")
        ).double()
        assert node(net, "layer").overwrites == (type_name == "Bias" and bottoms == top == "conv")
        assert node(net, "relu").overwrites
        net(x=torch.from_numpy(randn(2, 2, 4, 5)), v=torch.from_numpy(randn(3)))
        net.blobs[top].square().sum().backward()
        blobs = [*net.params["conv"], *net.params.get("layer", []), net.blobs["x"], net.blobs["v"]]
        results.append((net.blobs[top].detach(), *(blob.grad for blob in blobs)))
    torch.testing.assert_close(results[0], results[1])
    assert (results[0][0] == 0).any() and (results[0][0] != 0).any()


def test_channels_last_stays_so() -> None:
    net = one_layer("Scale", "y", f"scale_param {{ bias_term: true {GAUSSIAN} }}", x=SHAPE)
    x = torch.from_numpy(randn(*SHAPE))
    plain = forward(net, x=x)["y"]
    np.testing.assert_array_equal(forward(net, x=x.contiguous(memory_format=torch.channels_last))["y"], plain)
    assert net.blobs["y"].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("type_name", ["Bias", "Scale"])
@pytest.mark.parametrize(
    ("options", "shapes", "field", "problem"),
    [
        ("axis: 4", {}, "axis", "axis 4 out of range"),
        ("axis: 4 num_axes: 0", {}, "axis", "axis 4 out of range"),
        ("num_axes: -2", {}, "num_axes", "expected >= 0, or -1 for all axes that are left, got -2"),
        ("axis: 2 num_axes: 3", {}, "num_axes", r"at most the 2 axes that 2 3 4 5 \(120\) has from 2 on, got 3"),
        ("", {"b": (4,)}, "bottom", r"expected a shape found in 2 3 4 5 \(120\) from axis 1 on, got 4 \(4\)"),
        ("axis: 2", {"b": (4, 5, 1)}, "bottom", r"from axis 2 on, got 4 5 1 \(20\)"),
        ("axis: -5", {"b": (2,)}, "axis", "axis -5 out of range"),
        ('filler { type: "gauss" }', {}, "filler.type", "Unknown filler name: gauss"),
        ('num_axes: 0 filler { type: "xavier" }', {}, "filler.type", "blob without axes"),
    ],
)
def test_errors(type_name: str, options: str, shapes: dict[str, tuple[int, ...]], field: str, problem: str) -> None:
    message = f"{type_name.lower()}_param"
    with pytest.raises(PrototxtError, match=problem) as caught:
        one_layer(type_name, "y", f"{message} {{ {options} }}", x=SHAPE, **shapes)
    assert caught.value.field == (field if field == "bottom" else f"{message}.{field}")


def test_a_scale_with_a_bias_checks_axis_even_for_a_single_number() -> None:
    """Caffe's inner Bias layer does; without a bias the axis of a single number is not looked at."""
    one_layer("Scale", "y", "scale_param { axis: 9 }", x=SHAPE, operand=())
    with pytest.raises(PrototxtError, match="axis 9 out of range"):
        one_layer("Scale", "y", "scale_param { axis: 9 bias_term: true }", x=SHAPE, operand=())


def test_blobs_in_the_description_are_taken() -> None:
    text = 'name: "s" type: "Scale" bottom: "x" top: "y" blobs { shape { dim: 2 } data: 3 data: 4 }'
    layer = create_layer(parse_text(text, caffe_pb2.LayerParameter()), [(1, 2)], BuildContext())
    assert layer.blob(0).tolist() == [3, 4]
