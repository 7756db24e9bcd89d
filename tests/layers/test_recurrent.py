"""LSTM, RNN, LSTMUnit against loops over single numbers, their gradients against differences."""

import logging
import math

import numpy as np
import pytest
import torch
from nets import assert_refused, forward, inputs, layer_text, one_layer, randn

from caffe_compat import Net

T, N, D = 4, 2, 3
CONT = np.array([[0, 1], [1, 1], [1, 0], [0, 1.0]])
FILLERS = 'weight_filler { type: "uniform" min: -1 max: 1 } bias_filler { type: "uniform" min: -1 max: 1 }'


def recurrent(type_name: str, options: str = "", tops: str = "y", **shapes: tuple[int, ...]) -> Net:
    shapes = {"x": (T, N, 2, 5), "cont": (T, N), **shapes}
    return one_layer(type_name, tops, f"recurrent_param {{ num_output: {D} {FILLERS} {options} }}", **shapes)


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def unit(cell, gates, cont):  # type: ignore[no-untyped-def]
    """One stream's timestep."""
    size = len(cell)
    new_cell, hidden = np.zeros(size), np.zeros(size)
    for d in range(size):
        i, f, o = (sigmoid(gates[k * size + d]) for k in range(3))
        new_cell[d] = cont * f * cell[d] + i * math.tanh(gates[3 * size + d])
        hidden[d] = o * math.tanh(new_cell[d])
    return new_cell, hidden


def lstm(x, cont, static, hidden, cell, blobs):  # type: ignore[no-untyped-def]
    """x (T, N, inputs), static (N, inputs) or None, hidden and cell (N, D); as lstm_layer.cpp's comments say."""
    weight, bias, *others = blobs
    hidden, cell = hidden.copy(), cell.copy()
    top = np.zeros((*x.shape[:2], D))
    for t, n in np.ndindex(*x.shape[:2]):
        gates = weight @ x[t, n] + bias + others[-1] @ (cont[t, n] * hidden[n])
        if static is not None:
            gates += others[0] @ static[n]
        cell[n], hidden[n] = unit(cell[n], gates, cont[t, n])
        top[t, n] = hidden[n]
    return top, hidden, cell


def rnn(x, cont, static, hidden, blobs):  # type: ignore[no-untyped-def]
    weight, bias, *others, weight_output, bias_output = blobs
    hidden = hidden.copy()
    top = np.zeros((*x.shape[:2], D))
    for t, n in np.ndindex(*x.shape[:2]):
        total = weight @ x[t, n] + bias + others[-1] @ (cont[t, n] * hidden[n])
        if static is not None:
            total += others[0] @ static[n]
        hidden[n] = np.tanh(total)
        top[t, n] = np.tanh(weight_output @ hidden[n] + bias_output)
    return top, hidden


def blobs_of(net: Net) -> list[np.ndarray]:
    return [blob.detach().numpy() for blob in net.params["layer"]]


@pytest.mark.parametrize("is_static", [False, True])
def test_lstm(is_static: bool) -> None:
    net = recurrent("LSTM", **({"s": (N, 2, 2)} if is_static else {}))
    shapes = [blob.shape for blob in blobs_of(net)]
    assert shapes == [(12, 10), (12,), *([(12, 4)] if is_static else []), (12, 3)]
    assert net.blob_shapes["y"] == (T, N, D)
    x, s = randn(T, N, 2, 5), randn(N, 2, 2, seed=1)
    given = {"s": s} if is_static else {}
    zeros = np.zeros((N, D))
    static = s.reshape(N, -1) if is_static else None
    expected, hidden, cell = lstm(x.reshape(T, N, -1), CONT, static, zeros, zeros, blobs_of(net))
    np.testing.assert_allclose(forward(net, x=x, cont=CONT, **given)["y"], expected)
    again, _, _ = lstm(x.reshape(T, N, -1), CONT, static, hidden, cell, blobs_of(net))
    assert not np.allclose(again, expected)  # stream 1 goes on
    np.testing.assert_allclose(forward(net, x=x, cont=CONT, **given)["y"], again)


@pytest.mark.parametrize("is_static", [False, True])
def test_rnn(is_static: bool) -> None:
    net = recurrent("RNN", **({"s": (N, 2, 2)} if is_static else {}))
    shapes = [blob.shape for blob in blobs_of(net)]
    assert shapes == [(3, 10), (3,), *([(3, 4)] if is_static else []), (3, 3), (3, 3), (3,)]
    x, s = randn(T, N, 2, 5), randn(N, 2, 2, seed=1)
    given = {"s": s} if is_static else {}
    static = s.reshape(N, -1) if is_static else None
    expected, hidden = rnn(x.reshape(T, N, -1), CONT, static, np.zeros((N, D)), blobs_of(net))
    np.testing.assert_allclose(forward(net, x=x, cont=CONT, **given)["y"], expected)
    again, _ = rnn(x.reshape(T, N, -1), CONT, static, hidden, blobs_of(net))
    np.testing.assert_allclose(forward(net, x=x, cont=CONT, **given)["y"], again)


def test_lstm_with_its_state_exposed() -> None:
    net = recurrent("LSTM", "expose_hidden: true", "y hT cT", s=(N, 4), h=(1, N, D), c=(1, N, D))
    x, s, h, c = randn(T, N, 2, 5), randn(N, 4, seed=1), randn(1, N, D, seed=2), randn(1, N, D, seed=3)
    expected, hidden, cell = lstm(x.reshape(T, N, -1), CONT, s, h[0], c[0], blobs_of(net))
    for _ in range(2):  # nothing is remembered
        blobs = forward(net, x=x, cont=CONT, s=s, h=h, c=c)
        np.testing.assert_allclose(blobs["y"], expected)
        np.testing.assert_allclose(blobs["hT"], hidden[None])
        np.testing.assert_allclose(blobs["cT"], cell[None])
    assert net.blob_shapes["hT"] == net.blob_shapes["cT"] == (1, N, D)


def test_no_gradient_goes_through_an_exposed_state_or_the_indicators() -> None:
    """Caffe shares the data of these blobs with its unrolled net, and not the gradients."""
    net = recurrent("RNN", "expose_hidden: true", "y hT", h=(1, N, D))
    forward(net, x=randn(T, N, 2, 5), cont=np.ones((T, N)), h=randn(1, N, D))
    assert not net.blobs["hT"].requires_grad
    net.blobs["y"].sum().backward()
    assert net.blobs["x"].grad is not None
    assert net.blobs["h"].grad is None and net.blobs["cont"].grad is None


@pytest.mark.parametrize("type_name", ["LSTM", "RNN"])
def test_gradients(type_name: str) -> None:
    """By differences, of the bottoms and of every parameter."""
    net = recurrent(type_name, s=(N, 2))
    blobs = list(net.layers["layer"].blobs)
    x, s = (torch.from_numpy(randn(*shape)).requires_grad_() for shape in ((T, N, 2, 5), (N, 2)))

    def run(*tensors: torch.Tensor) -> torch.Tensor:
        net.layers["layer"].reset_state()  # type: ignore[operator]
        return net(x=tensors[0], cont=torch.from_numpy(CONT), s=tensors[1])["y"]

    assert torch.autograd.gradcheck(run, (x, s, *blobs))


def test_lstm_unit() -> None:
    net = one_layer("LSTMUnit", "c2 h2", c=(1, 4, D), x=(1, 4, 4 * D), k=(1, 4))
    c, x, k = randn(1, 4, D), randn(1, 4, 4 * D, seed=1), np.array([[1, 0, 1, 0.5]])
    blobs = forward(net, c=c, x=x, k=k)
    for n in range(4):
        cell, hidden = unit(c[0, n], x[0, n], k[0, n])
        np.testing.assert_allclose(blobs["c2"][0, n], cell)
        np.testing.assert_allclose(blobs["h2"][0, n], hidden)


def test_lstm_unit_has_the_true_gradient_for_any_indicator() -> None:
    """Also for 0.5, where Caffe's CPU code has another one."""
    net = one_layer("LSTMUnit", "c2 h2", c=(1, 3, D), x=(1, 3, 4 * D), k=(1, 3))
    k = torch.tensor([[1, 0, 0.5]], dtype=torch.float64)

    def run(c: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        net(c=c, x=x, k=k)
        return net.blobs["c2"], net.blobs["h2"]

    tensors = [torch.from_numpy(randn(1, 3, size)).requires_grad_() for size in (D, 4 * D)]
    assert torch.autograd.gradcheck(run, tensors)


def test_an_lstm_is_torchs_where_nothing_is_cut() -> None:
    """torch orders the gates i, f, g, o."""
    net = recurrent("LSTM")
    weight, bias, weight_hidden = net.params["layer"]
    order = np.concatenate([np.arange(3) + 3 * gate for gate in (0, 1, 3, 2)])
    theirs = torch.nn.LSTM(10, D, dtype=torch.float64)
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(weight[order])
        theirs.weight_hh_l0.copy_(weight_hidden[order])
        theirs.bias_ih_l0.copy_(bias[order])
        theirs.bias_hh_l0.zero_()
    x = randn(T, N, 2, 5)
    expected, _ = theirs(torch.from_numpy(x).flatten(2))
    np.testing.assert_allclose(forward(net, x=x, cont=np.ones((T, N)))["y"], expected.detach().numpy())


def test_the_state_starts_anew_for_another_number_of_streams_and_on_demand() -> None:
    net = recurrent("RNN")
    x, ones = randn(T, N, 2, 5), np.ones((T, N))
    first = forward(net, x=x, cont=ones)["y"]
    assert not np.allclose(forward(net, x=x, cont=ones)["y"], first)
    np.testing.assert_allclose(forward(net, x=x[:, :1], cont=ones[:, :1])["y"], first[:, :1])
    net.layers["layer"].reset_state()  # type: ignore[operator]
    np.testing.assert_array_equal(forward(net, x=x, cont=ones)["y"], first)


@pytest.mark.parametrize("type_name", ["LSTM", "RNN"])
def test_another_number_of_timesteps_than_declared(type_name: str) -> None:
    """The first ones of a longer sequence are as they would be alone."""
    net = recurrent(type_name)
    x, cont = randn(T + 3, N, 2, 5), np.ones((T + 3, N))
    long = forward(net, x=x, cont=cont)["y"]
    net.layers["layer"].reset_state()  # type: ignore[operator]
    np.testing.assert_allclose(long[:T], forward(net, x=x[:T], cont=cont[:T])["y"])


def test_the_gradient_stops_at_an_indicator_that_is_learned() -> None:
    product = f"inner_product_param {{ axis: 2 num_output: 1 {FILLERS} }}"
    net = Net(
        inputs(x=(T, N, 5), k=(T, N, 2))
        + layer_text("InnerProduct", "k", "ip", product, name="ip")
        + layer_text("Reshape", "ip", "cont", "reshape_param { shape { dim: 0 dim: 0 } }", name="reshape")
        + layer_text("RNN", "x cont", "y", f"recurrent_param {{ num_output: {D} {FILLERS} }}", name="rnn")
    )
    net(x=torch.randn(T, N, 5), k=torch.randn(T, N, 2))["y"].sum().backward()
    assert net.params["rnn"][0].grad is not None
    assert net.params["ip"][0].grad is None


def test_recurrent_layers_share_parameters() -> None:
    shared = " ".join(f'param {{ name: "{name}" }}' for name in ("w", "b", "h"))
    options = f"recurrent_param {{ num_output: {D} {FILLERS} }} {shared}"
    net = Net(
        inputs(x=(T, N, 5), cont=(T, N))
        + layer_text("LSTM", "x cont", "y", options, name="one")
        + layer_text("LSTM", "x cont", "z", options, name="two")
    )
    blobs = net(x=torch.randn(T, N, 5), cont=torch.from_numpy(CONT))
    assert blobs["y"].equal(blobs["z"])
    assert len(net.learnable_params) == 3


@pytest.mark.parametrize(
    ("type_name", "blobs"),
    [
        ("LSTM", "W_xc_x W_xc_x_static_preshape h_conted_0 W_hc_h_0 gate_input_1 c_1 h_1 h_conted_1"),
        ("RNN", "W_xh_x W_xh_x_static_preshape h_conted_0 W_hh_h_0 h_neuron_input_1 h_1 W_ho_h_1 o_1 h_conted_1"),
    ],
)
def test_debug_info_shows_the_unrolled_net(type_name: str, blobs: str, caplog: pytest.LogCaptureFixture) -> None:
    net = recurrent(type_name, "debug_info: true", s=(N, 2))
    with caplog.at_level(logging.INFO, logger="caffe_compat"):
        forward(net, x=randn(T, N, 2, 5), cont=CONT, s=randn(N, 2))
        net.blobs["y"].sum().backward()
    lines = [record.getMessage() for record in caplog.records]
    tops = [line.split()[5] for line in lines if line.startswith("    [Forward] Layer layer_")]
    assert tops[: len(blobs.split())] == blobs.split()
    assert "    [Forward] Layer layer_h_conted_0, top blob h_conted_0 data: 0" in lines
    concat = ("h_concat", "h") if type_name == "LSTM" else ("o_concat", "o")
    mean = np.abs(net.blobs["y"].detach().numpy()).mean()
    assert f"    [Forward] Layer layer_{concat[0]}, top blob {concat[1]} data: {mean:g}" in lines
    assert f"    [Backward] Layer layer_{concat[0]}, top blob {concat[1]} diff: 1" in lines


def test_building_says_what_it_assumes(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="caffe_compat"):
        recurrent("RNN")
    line = "Initializing recurrent layer: assuming input batch contains 4 timesteps of 2 independent streams."
    assert line in [record.getMessage() for record in caplog.records]


GOOD = {"x": (T, N, 5), "cont": (T, N)}
STATE = {"h": (1, N, D), "c": (1, N, D)}
UNIT = {"c": (1, 4, D), "x": (1, 4, 4 * D), "k": (1, 4)}
OPTIONS = f"recurrent_param {{ num_output: {D} }}"
EXPOSED = f"recurrent_param {{ num_output: {D} expose_hidden: true }}"
ERRORS = [  # type, options, tops, bottoms, field, problem
    ("LSTM", "", "y", GOOD, "recurrent_param.num_output", "expected > 0, got 0"),
    ("RNN", OPTIONS, "y", {"x": (T, N), "cont": (T, N)}, "bottom", "3 axes or more"),
    ("RNN", OPTIONS, "y", {"x": (T, N, 5), "cont": (T, N + 1)}, "bottom", "indicators of shape (4, 2)"),
    ("RNN", OPTIONS, "y", {"x": (T, N, 5), "cont": (T, N, 1)}, "bottom", "indicators of shape (4, 2)"),
    ("RNN", OPTIONS, "y", {**GOOD, "s": (N + 1, 2)}, "bottom", "a static input of shape (2, ...)"),
    ("RNN", OPTIONS, "y", {**GOOD, "s": (N,)}, "bottom", "a static input of shape (2, ...)"),
    ("LSTM", OPTIONS, "y", {"x": (T, N, 5)}, "bottom", "expected 2 to 3 bottom blob(s), got 1"),
    ("LSTM", OPTIONS, "y h2 c2", GOOD, "top", "expected 1 top blob(s), got 3"),
    ("LSTM", EXPOSED, "y h2 c2", GOOD, "bottom", "expected 4 to 5 bottom blob(s), got 2"),
    ("LSTM", EXPOSED, "y", {**GOOD, **STATE}, "top", "expected 3 top blob(s), got 1"),
    ("LSTM", EXPOSED, "y h2 c2", {**GOOD, **STATE, "c": (1, N, D + 1)}, "bottom", "hidden state of shape (1, 2, 3)"),
    ("RNN", f"{OPTIONS} propagate_down: [true, true]", "y", GOOD, "propagate_down", "sequence indicators"),
    ("LSTMUnit", "propagate_down: [true, true, true]", "y z", UNIT, "propagate_down", "sequence indicators"),
    ("LSTMUnit", "", "y z", {**UNIT, "c": (2, 4, D)}, "bottom", "a cell of shape (1, N, D)"),
    ("LSTMUnit", "", "y z", {**UNIT, "x": (1, 4, 3 * D)}, "bottom", "gates of shape (1, 4, 12)"),
    ("LSTMUnit", "", "y z", {**UNIT, "k": (4,)}, "bottom", "continuation indicators of shape (1, 4)"),
]


@pytest.mark.parametrize(("type_name", "options", "tops", "bottoms", "field", "problem"), ERRORS)
def test_errors(type_name: str, options: str, tops: str, bottoms: dict, field: str, problem: str) -> None:
    assert_refused(type_name, tops, options, bottoms, field, problem)
