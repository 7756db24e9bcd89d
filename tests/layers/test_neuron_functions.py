"""Layers that work element by element against closed forms: values, gradients, in place, and at the edges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from nets import forward, inputs, layer_text, node, one_layer, randn

from caffe_compat import Net
from caffe_compat.errors import PrototxtError

Function = Callable[[np.ndarray], np.ndarray]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@dataclass(frozen=True)
class Neuron:
    """A layer, its function and derivative as its Caffe source writes them, and whether it can reuse memory."""

    type: str
    options: str
    value: Function
    derivative: Function
    overwrites: bool = False

    def __str__(self) -> str:
        return f"{self.type} {self.options}"


NEURONS = [
    Neuron("Sigmoid", "", sigmoid, lambda x: sigmoid(x) * (1 - sigmoid(x)), overwrites=True),
    Neuron("TanH", "", np.tanh, lambda x: 1 - np.tanh(x) ** 2, overwrites=True),
    *(
        Neuron(
            "ELU",
            f"elu_param {{ alpha: {alpha} }}",
            lambda x, alpha=alpha: np.where(x > 0, x, alpha * (np.exp(x) - 1)),
            lambda x, alpha=alpha: np.where(x > 0, 1, alpha * np.exp(x)),
            overwrites=True,
        )
        for alpha in (1.0, 2.0, 0.0, -0.5)
    ),
    *(
        Neuron(
            "Swish",
            f"swish_param {{ beta: {beta} }}",
            lambda x, beta=beta: x * sigmoid(beta * x),
            lambda x, beta=beta: beta * x * sigmoid(beta * x) + sigmoid(beta * x) * (1 - beta * x * sigmoid(beta * x)),
        )
        for beta in (1.0, 2.5, 0.0, -1.0)
    ),
    Neuron("BNLL", "", lambda x: np.log(1 + np.exp(x)), sigmoid),
    Neuron("Exp", "", np.exp, np.exp, overwrites=True),
    *(
        Neuron(
            "Exp",
            f"exp_param {{ base: {base} scale: -0.5 shift: 0.75 }}",
            lambda x, b=b: b ** (0.75 - 0.5 * x),
            lambda x, b=b: -0.5 * np.log(b) * b ** (0.75 - 0.5 * x),
            overwrites=True,
        )
        for base, b in ((-1, np.e), (2, 2.0), (0.5, 0.5), (1, 1.0))
    ),
    Neuron("Log", "log_param { shift: 8 }", lambda x: np.log(x + 8), lambda x: 1 / (x + 8)),
    *(
        Neuron(
            "Log",
            f"log_param {{ base: {base} scale: -0.5 shift: 8 }}",
            lambda x, b=b: np.log(8 - 0.5 * x) / np.log(b),
            lambda x, b=b: -0.5 / (8 - 0.5 * x) / np.log(b),
        )
        for base, b in ((-1, np.e), (10, 10.0), (0.5, 0.5))
    ),
    *(
        Neuron(
            "Power",
            f"power_param {{ power: {power} scale: {scale} shift: {shift} }}",
            lambda x, p=power, a=scale, b=shift: (b + a * x) ** p,
            lambda x, p=power, a=scale, b=shift: p * a * (b + a * x) ** (p - 1.0),
            overwrites=True,
        )
        for power, scale, shift in [(1, 1, 0), (1, -2, 0), (1, 1, 3), (1, 0.5, -1), (2, 1, 0), (2, 0.5, 1.5)]
        + [(3, 2, 0), (3, 1, 1), (-1, 0.5, 8), (0.5, -0.5, 8), (-1.5, 1, 8)]
    ),
    Neuron("Power", "power_param { power: 0 scale: 3 shift: 2 }", np.ones_like, np.zeros_like, overwrites=True),
    Neuron(
        "Power",
        "power_param { power: 3 scale: 0 shift: -2 }",
        lambda x: np.full_like(x, -8),
        np.zeros_like,
        overwrites=True,
    ),
    Neuron(
        "Power",
        "power_param { scale: 0 shift: -2 }",
        lambda x: np.full_like(x, -2),
        np.zeros_like,
        overwrites=True,
    ),
    Neuron("AbsVal", "", np.abs, np.sign),
    Neuron(
        "Clip",
        "clip_param { min: -0.5 max: 0.75 }",
        lambda x: np.clip(x, -0.5, 0.75),
        lambda x: ((x >= -0.5) & (x <= 0.75)).astype(float),
    ),
]
IN_PLACE = [neuron for neuron in NEURONS if neuron.type != "AbsVal"]


@pytest.mark.parametrize("shape", [(), (7,), (3, 4), (2, 3, 4, 2, 2)], ids=str)
@pytest.mark.parametrize("neuron", NEURONS, ids=str)
def test_value_and_gradient(neuron: Neuron, shape: tuple[int, ...]) -> None:
    net = one_layer(neuron.type, "y", neuron.options, x=shape)
    x, grad = np.asarray(2 * randn(*shape)), np.asarray(randn(*shape, seed=1))
    np.testing.assert_allclose(forward(net, x=x)["y"], neuron.value(x), rtol=1e-10, atol=1e-14)
    net.blobs["y"].backward(torch.from_numpy(grad))
    assert net.blobs["x"].grad is not None
    np.testing.assert_allclose(net.blobs["x"].grad, grad * neuron.derivative(x), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("neuron", IN_PLACE, ids=str)
def test_in_place_has_the_gradients_of_out_of_place(neuron: Neuron) -> None:
    """In Caffe not so for BNLL, Log, Clip and Power, which look at the bottom they have written over."""
    results = []
    for top in ("ip", "y"):
        torch.manual_seed(0)
        product = 'inner_product_param { num_output: 6 weight_filler { type: "xavier" } bias_filler { value: 0.1 } }'
        net = Net(
            inputs(x=(5, 4))
            + layer_text("InnerProduct", "x", "ip", product)
            + layer_text(neuron.type, "ip", top, neuron.options, name="neuron")
        ).double()
        assert node(net, "neuron").overwrites == (neuron.overwrites and top == "ip")
        net(x=torch.from_numpy(randn(5, 4)))
        net.blobs[top].square().sum().backward()
        results.append((net.blobs[top].detach(), *(blob.grad for blob in net.params["layer"])))
    torch.testing.assert_close(results[0], results[1])


@pytest.mark.parametrize(
    ("type_name", "options", "value"),
    [
        ("Sigmoid", "", sigmoid),
        ("TanH", "", np.tanh),
        ("ELU", "", lambda x: np.where(x > 0, x, np.expm1(x))),
        ("Exp", "exp_param { base: 2 scale: 3 }", lambda x: 8**x),
        ("Power", "power_param { scale: -3 shift: 2 }", lambda x: 2 - 3 * x),
    ],
)
def test_in_place_uses_the_bottoms_memory(type_name: str, options: str, value: Function) -> None:
    """Chained after one that keeps its top it does not."""
    layer = one_layer(type_name, "y", options, x=(3,)).layers["layer"]
    bottom = torch.tensor([-1.0, 0.0, 0.5])
    expected = value(bottom.double().numpy())
    top = layer.forward_in_place(bottom)
    assert top.data_ptr() == bottom.data_ptr()
    np.testing.assert_allclose(top, expected, rtol=1e-6)
    product = layer_text("InnerProduct", "x", "ip", "inner_product_param { num_output: 2 }", name="ip")
    chain = layer_text(type_name, "ip", "ip", options, "one") + layer_text(type_name, "ip", "ip", options, "two")
    net = Net(inputs(x=(2, 3)) + product + chain)
    assert node(net, "one").overwrites and not node(net, "two").overwrites


# --- the edges ------------------------------------------------------------------------------------------------------


def value_and_gradient(type_name: str, options: str, *x: float) -> tuple[list[float], list[float]]:
    """In float32."""
    net = one_layer(type_name, "y", options, x=(len(x),)).float()
    top = forward(net, x=np.array(x, np.float32))["y"]
    net.blobs["y"].sum().backward()
    assert net.blobs["x"].grad is not None
    return top.tolist(), net.blobs["x"].grad.tolist()


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("type_name", "options", "x", "value", "gradient"),
    [
        ("AbsVal", "", (-2, 0, 3), [2, 0, 3], [-1, 0, 1]),
        ("Clip", "clip_param { min: -1 max: 2 }", (-3, -1, 0, 2, 3), [-1, -1, 0, 2, 2], [0, 1, 1, 1, 0]),
        ("Clip", "clip_param { min: 2 max: -1 }", (-3, -1, 0, 2, 3), [2] * 5, [0] * 5),
        ("ELU", "elu_param { alpha: 3 }", (-200, 0, 5), [-3, 0, 5], [0, 3, 1]),
        ("BNLL", "", (-200, 51, 200), [0, 51, 200], [0, 1, 1]),
        ("Sigmoid", "", (-200, 0, 200), [0, 0.5, 1], [0, 0.25, 0]),
        ("TanH", "", (-200, 0, 200), [-1, 0, 1], [0, 1, 0]),
        ("Swish", "", (-200, 0, 200), [0, 0, 200], [0, 0.5, 1]),
        ("Exp", "", (-200, 0, 200), [0, 1, INF], [0, 1, INF]),
        ("Exp", "exp_param { base: 10 shift: 400 }", (0,), [INF], [INF]),
        ("Log", "", (-1, 0, 1), [NAN, -INF, 0], [-1, INF, 1]),
        ("Power", "power_param { power: 2 }", (0, 3), [0, 9], [0, 6]),
        ("Power", "power_param { power: 3 }", (0, 2), [0, 8], [NAN, 12]),  # 3 * 0 / 0
        ("Power", "power_param { power: 0.5 }", (0, 4), [0, 2], [NAN, 0.25]),
        ("Power", "power_param { power: 0 }", (NAN, INF, 0), [1, 1, 1], [0, 0, 0]),
        ("Power", "power_param { scale: 0 power: 0.5 shift: -1 }", (NAN, 1), [NAN, NAN], [0, 0]),
    ],
)
def test_at_the_edges(
    type_name: str, options: str, x: tuple[float, ...], value: list[float], gradient: list[float]
) -> None:
    found_value, found_gradient = value_and_gradient(type_name, options, *x)
    np.testing.assert_allclose(found_value, value, rtol=1e-6, atol=1e-30)
    np.testing.assert_allclose(found_gradient, gradient, rtol=1e-6, atol=1e-30)


def test_a_constant_power_overlooks_nan_in_place_too() -> None:
    layer = one_layer("Power", "y", "power_param { scale: 0 shift: 2 }", x=(2,)).layers["layer"]
    assert layer.forward_in_place(torch.tensor([NAN, 1])).tolist() == [2, 2]


def test_base_e_is_exact() -> None:
    """Base -1 multiplies nothing: the bits are exp's own."""
    x = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    net = one_layer("Exp", "y", x=(1000,)).float()
    net(x=x)
    assert torch.equal(net.blobs["y"], x.exp())


def test_threshold() -> None:
    net = one_layer("Threshold", "y", "threshold_param { threshold: 0.5 }", x=(4,))
    assert forward(net, x=np.array([-1, 0.5, 0.6, NAN]))["y"].tolist() == [0, 0, 1, 0]
    assert net.blobs["y"].dtype == torch.float64


def test_threshold_refuses_a_gradient_as_caffe_does() -> None:
    """At the backward pass, and only where one gets to it."""
    net = one_layer("Threshold", "y", x=(2,))
    net(x=torch.zeros(2))
    with pytest.raises(PrototxtError, match='layer "layer" .Threshold.: .*cannot backpropagate'):
        net.blobs["y"].sum().backward()
    assert not Net(inputs(x=(2,)) + layer_text("Threshold", "x", "y"))(x=torch.zeros(2))["y"].requires_grad


@pytest.mark.parametrize(
    ("type_name", "options", "field", "problem"),
    [
        ("Exp", "exp_param { base: 0 }", "exp_param.base", "expected > 0 and finite, or -1 for e, got 0"),
        ("Exp", "exp_param { base: -2 }", "exp_param.base", "got -2"),
        ("Exp", "exp_param { base: inf }", "exp_param.base", "got inf"),
        ("Exp", "exp_param { base: nan }", "exp_param.base", "got nan"),
        ("Log", "log_param { base: -0.5 }", "log_param.base", "expected > 0 and finite, or -1 for e, got -0.5"),
        ("Log", "log_param { base: 1 }", "log_param.base", "expected a base other than 1"),
    ],
)
def test_errors(type_name: str, options: str, field: str, problem: str) -> None:
    with pytest.raises(PrototxtError, match=problem) as caught:
        one_layer(type_name, "y", options, x=(2,))
    assert caught.value.field == field and caught.value.layer == "layer"


def test_absval_refuses_to_work_in_place() -> None:
    with pytest.raises(PrototxtError, match="AbsVal Layer does not allow in-place computation"):
        one_layer("AbsVal", "x", x=(2,))


def test_clip_needs_both_ends() -> None:
    with pytest.raises(PrototxtError, match="max"):
        one_layer("Clip", "y", "clip_param { min: 1 }", x=(2,))
