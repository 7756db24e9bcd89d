"""ArgMax, BatchReindex, Filter, Embed, Parameter: Python's own sorting and numpy's indexing are the witnesses."""

import numpy as np
import pytest
import torch
from nets import assert_refused, forward, inputs, layer_text, one_layer, randn

from caffe_compat import Net
from caffe_compat.errors import CaffeCompatError, DataError, PrototxtError


def best(row: np.ndarray, num: int) -> list[tuple[float, int]]:
    """The ``num`` largest (value, position) pairs, as std::greater on pairs orders them."""
    return sorted(((float(value), index) for index, value in enumerate(row)), reverse=True)[:num]


@pytest.mark.parametrize("out_max_val", [False, True])
@pytest.mark.parametrize(("axis", "top_k"), [(0, 1), (1, 2), (2, 3), (-1, 5)])
def test_arg_max_along_an_axis(axis: int, top_k: int, out_max_val: bool) -> None:
    options = f"argmax_param {{ axis: {axis} top_k: {top_k} out_max_val: {str(out_max_val).lower()} }}"
    net = one_layer("ArgMax", "y", options, x=(2, 3, 5))
    x = np.round(randn(2, 3, 5), 0)  # with ties
    top = forward(net, x=x)["y"]
    assert top.shape == net.blob_shapes["y"]
    pick = 0 if out_max_val else 1
    expected = np.apply_along_axis(lambda row: np.array([pair[pick] for pair in best(row, top_k)]), axis, x)
    np.testing.assert_array_equal(top, expected)


@pytest.mark.parametrize("shape", [(2, 6), (2, 3, 2), (2, 3, 2, 1), (2, 3, 1, 2, 1)])
@pytest.mark.parametrize("out_max_val", [False, True])
def test_arg_max_over_all_but_the_first_axis(shape: tuple[int, ...], out_max_val: bool) -> None:
    net = one_layer("ArgMax", "y", f"argmax_param {{ top_k: 4 out_max_val: {str(out_max_val).lower()} }}", x=shape)
    x = np.round(randn(*shape), 0)
    top = forward(net, x=x)["y"]
    assert top.shape == net.blob_shapes["y"] == (2, 2 if out_max_val else 1, 4, *(1,) * (len(shape) - 3))
    for row, found in zip(x.reshape(2, -1), top.reshape(2, -1, 4), strict=True):
        pairs = best(row, 4)
        assert found[0].tolist() == [index for _, index in pairs]
        if out_max_val:
            assert found[1].tolist() == [value for value, _ in pairs]


def test_the_last_of_equal_maxima_comes_first() -> None:
    net = one_layer("ArgMax", "y", "argmax_param { top_k: 3 }", x=(1, 4))
    assert forward(net, x=np.array([[7.0, 7, 1, 7]]))["y"].tolist() == [[[3, 1, 0]]]


def not_forced(type_name: str, tops: str, **shapes: tuple[int, ...]) -> Net:
    """One layer that passes gradients on where its inputs want them: force_backward would ask for the index's, too."""
    return Net(inputs(**shapes) + "\n" + layer_text(type_name, " ".join(shapes), tops)).double()


def test_batch_reindex() -> None:
    net = not_forced("BatchReindex", "y", a=(4, 3, 2), b=(5,))
    assert net.blob_shapes["y"] == (5, 3, 2)
    a, b = randn(4, 3, 2), np.array([3.0, 0, 3, 1, 3])
    picked_from = torch.tensor(a, requires_grad=True)
    blobs = forward(net, a=picked_from, b=b)
    np.testing.assert_array_equal(blobs["y"], a[b.astype(int)])
    weights = randn(5, 3, 2, seed=1)
    (net.blobs["y"] * torch.from_numpy(weights)).sum().backward()
    expected = np.zeros_like(a)
    np.add.at(expected, b.astype(int), weights)
    assert picked_from.grad is not None
    np.testing.assert_allclose(picked_from.grad, expected)


def test_filter_picks_rows_of_every_bottom() -> None:
    net = not_forced("Filter", "y z", a=(4, 3), b=(4,), s=(4, 1, 1))
    assert (net.blob_shapes["y"], net.blob_shapes["z"]) == ((4, 3), (4,))  # built as if all were picked
    a, b, s = randn(4, 3), randn(4, seed=1), np.array([0, 2.0, 0, -1]).reshape(4, 1, 1)
    from_a, from_b = torch.tensor(a, requires_grad=True), torch.tensor(b, requires_grad=True)
    blobs = forward(net, a=from_a, b=from_b, s=s)
    np.testing.assert_array_equal(blobs["y"], a[[1, 3]])
    np.testing.assert_array_equal(blobs["z"], b[[1, 3]])
    (net.blobs["y"].sum() + 2 * net.blobs["z"].sum()).backward()
    assert from_a.grad is not None and from_b.grad is not None
    assert from_a.grad[:, 0].tolist() == [0, 1, 0, 1]
    assert from_b.grad.tolist() == [0, 2, 0, 2]


def test_filter_may_pick_none() -> None:
    net, a = not_forced("Filter", "y", a=(4, 3), s=(4,)), torch.tensor(randn(4, 3), requires_grad=True)
    assert forward(net, a=a, s=np.zeros(4))["y"].shape == (0, 3)
    net.blobs["y"].sum().backward()
    assert a.grad is not None and not a.grad.any()


def test_what_follows_a_filter_sees_the_picked_rows() -> None:
    """The shape is only known while the net runs; layers behind must go with it."""
    product = "inner_product_param { num_output: 2 weight_filler { value: 1 } }"
    net = Net(
        inputs(a=(5, 3), s=(5,))
        + layer_text("Filter", "a s", "y", name="filter")
        + layer_text("InnerProduct", "y", "ip", product, name="ip")
    )
    assert net.blob_shapes["ip"] == (5, 2)
    assert net(a=torch.ones(5, 3), s=torch.tensor([1.0, 0, 1, 1, 0]))["ip"].tolist() == [[3, 3]] * 3


EMBED = 'num_output: 4 input_dim: 7 weight_filler { type: "gaussian" } bias_filler { type: "gaussian" }'


@pytest.mark.parametrize("bias", [True, False])
def test_embed(bias: bool) -> None:
    """As InnerProduct of the one-hot bottom, gradients included."""
    options = f"embed_param {{ {EMBED} bias_term: {str(bias).lower()} }}"
    net = Net(inputs(x=(2, 3)) + "\n" + layer_text("Embed", "x", "y", options)).double()
    x = np.array([[6.0, 0, 3], [3, 3, 1]])
    top = forward(net, x=x)["y"]
    assert top.shape == net.blob_shapes["y"] == (2, 3, 4)
    weight, *rest = net.params["layer"]
    assert weight.shape == (7, 4) and [blob.shape for blob in rest] == [(4,)] * bias
    hot = np.eye(7)[x.astype(int)]
    offset = rest[0].detach().numpy() if bias else 0
    np.testing.assert_allclose(top, hot @ weight.detach().numpy() + offset)
    weights = randn(2, 3, 4)
    (net.blobs["y"] * torch.from_numpy(weights)).sum().backward()
    np.testing.assert_allclose(weight.grad, hot.reshape(6, 7).T @ weights.reshape(6, 4))
    if bias:
        np.testing.assert_allclose(rest[0].grad, weights.sum((0, 1)))


def test_embed_reads_int64_labels_and_cuts_off_fractions() -> None:
    net = Net(inputs(x=(3,)) + "\n" + layer_text("Embed", "x", "y", f"embed_param {{ {EMBED} }}"))
    whole = net(x=torch.tensor([2, 0, 6]))["y"]
    assert whole.equal(net(x=torch.tensor([2.9, 0.5, 6.0]))["y"])


def test_parameter_is_learned() -> None:
    net = Net(layer_text("Parameter", "", "p", "parameter_param { shape { dim: 2 dim: 3 } }", name="learned"))
    assert net.blob_shapes["p"] == (2, 3)
    assert not net()["p"].any()
    (net.blobs["p"] * 2).sum().backward()
    (blob,) = net.params["learned"]
    assert blob.grad is not None and blob.grad.tolist() == [[2, 2, 2]] * 2


def test_two_parameters_can_be_one() -> None:
    """The second layer shows the first one's numbers in its own shape."""

    def parameter(name: str, shape: str) -> str:
        options = f'param {{ name: "shared" share_mode: PERMISSIVE }} parameter_param {{ shape {{ {shape} }} }}'
        return layer_text("Parameter", "", name, options, name=name)

    net = Net(parameter("p", "dim: 2 dim: 3") + parameter("q", "dim: 6"))
    with torch.no_grad():
        net.params["p"][0].copy_(torch.arange(6.0).reshape(2, 3))
    assert net()["q"].tolist() == [0, 1, 2, 3, 4, 5]
    assert len(net.learnable_params) == 1


def test_gradients_that_do_not_exist_are_refused_in_the_backward_pass() -> None:
    for type_name, options, shapes, problem in (
        ("ArgMax", "", {"a": (2, 3)}, "no gradient"),
        ("BatchReindex", "", {"a": (2, 3), "b": (2,)}, "cannot backpropagate to the index"),
        ("Filter", "", {"a": (2, 3), "b": (2,)}, "cannot backpropagate to the selector"),
        ("Embed", "embed_param { num_output: 2 input_dim: 3 }", {"a": (2, 3)}, "cannot backpropagate to the input"),
    ):
        net = one_layer(type_name, "y", options, **shapes)
        forward(net, **{name: np.ones(shape) for name, shape in shapes.items()})
        with pytest.raises(PrototxtError, match=f'layer "layer" \\({type_name}\\).*{problem}'):
            net.blobs["y"].sum().backward()


PLAIN = {"x": (2, 3, 4)}
ERRORS = [  # type, options, bottoms, field, problem
    ("ArgMax", "argmax_param { top_k: 0 }", PLAIN, "argmax_param.top_k", "expected >= 1, got 0"),
    ("ArgMax", "argmax_param { top_k: 13 }", PLAIN, "argmax_param.top_k", "expected at most 12, got 13"),
    ("ArgMax", "argmax_param { axis: 1 top_k: 4 }", PLAIN, "argmax_param.top_k", "expected at most 3, got 4"),
    ("ArgMax", "argmax_param { axis: 3 }", PLAIN, "argmax_param.axis", "axis 3 out of range"),
    ("BatchReindex", "", {"a": (2, 3), "b": (2, 1)}, "bottom", "1 axis for the indices"),
    ("Filter", "", {"a": (2, 3), "b": (2, 2)}, "bottom", "singletons except the first"),
    ("Filter", "", {"a": (2, 3), "b": (3,)}, "bottom", "the selector's first axis"),
    ("Filter", "", {"a": (2, 3), "b": (2, 3), "c": (2,)}, "top", "each of the 2 data bottoms, got 1"),
    ("Embed", "embed_param { input_dim: 3 }", PLAIN, "embed_param.num_output", "expected > 0, got 0"),
    ("Embed", "embed_param { num_output: 3 }", PLAIN, "embed_param.input_dim", "expected > 0, got 0"),
    ("Parameter", "parameter_param { shape { dim: -1 } }", {}, "parameter_param.shape", "expected sizes >= 0, got -1"),
]


@pytest.mark.parametrize(("type_name", "options", "bottoms", "field", "problem"), ERRORS)
def test_errors(type_name: str, options: str, bottoms: dict, field: str, problem: str) -> None:
    assert_refused(type_name, "y", options, bottoms, field, problem)


@pytest.mark.parametrize("index", [-1, 3, np.nan])
def test_indices_out_of_range(index: float) -> None:
    embed = Net(
        inputs(x=(3,)) + "\n" + layer_text("Embed", "x", "y", "embed_param { num_output: 2 input_dim: 3 }"),
        path="net.prototxt",
    )
    with pytest.raises(DataError, match=r'^net.prototxt: layer "layer" \(Embed\): index .* in blob "x"') as caught:
        embed(x=torch.tensor([0, index, 1]))
    assert isinstance(caught.value, CaffeCompatError)
    reindex = one_layer("BatchReindex", "y", "", a=(3, 2), b=(2,))
    with pytest.raises(DataError, match=r'in blob "b": expected a number in \[0, 3\)'):
        forward(reindex, a=randn(3, 2), b=np.array([0, index]))
