"""Concat, Eltwise, Split, Silence, Input."""

import numpy as np
import pytest
import torch
from nets import forward, inputs, layer_text, one_layer, randn

from caffe_compat import Net
from caffe_compat.errors import PrototxtError


@pytest.mark.parametrize(
    ("options", "axis"), [("", 1), ("axis: 0", 0), ("axis: -1", 2), ("concat_dim: 2", 2), ("concat_dim: 0", 0)]
)
def test_concat(options: str, axis: int) -> None:
    shapes = {name: [2, 3, 4] for name in "abc"}
    shapes["b"][axis] = 5
    net = one_layer("Concat", "y", f"concat_param {{ {options} }}", **shapes)
    arrays = {name: randn(*shape, seed=seed) for seed, (name, shape) in enumerate(shapes.items())}
    top = forward(net, **arrays)["y"]
    assert top.shape == net.blob_shapes["y"]
    np.testing.assert_array_equal(top, np.concatenate(list(arrays.values()), axis))


def test_concat_of_one_is_a_copy() -> None:
    net = one_layer("Concat", "y", x=(2, 3))
    np.testing.assert_array_equal(forward(net, x=randn(2, 3))["y"], randn(2, 3))


def test_concat_errors() -> None:
    with pytest.raises(PrototxtError, match="not both"):
        one_layer("Concat", "y", "concat_param { axis: 1 concat_dim: 1 }", x=(2, 3))
    with pytest.raises(PrototxtError, match=r"same shape except along axis 1: 2 3 4 \(24\) and 2 3 5 \(30\)"):
        one_layer("Concat", "y", a=(2, 3, 4), b=(2, 3, 5))
    with pytest.raises(PrototxtError, match="axis 3 out of range"):
        one_layer("Concat", "y", "concat_param { axis: 3 }", a=(2, 3, 4))


def test_eltwise_sum_with_coefficients() -> None:
    net = one_layer("Eltwise", "y", "eltwise_param { coeff: 2 coeff: -0.5 coeff: 1 }", a=(2, 3), b=(2, 3), c=(2, 3))
    a, b, c = (randn(2, 3, seed=seed) for seed in range(3))
    np.testing.assert_allclose(forward(net, a=a, b=b, c=c)["y"], 2 * a - 0.5 * b + c)
    net.blobs["y"].sum().backward()
    gradients = [net.blobs[name].grad for name in "abc"]
    assert [gradient.unique().tolist() for gradient in gradients if gradient is not None] == [[2], [-0.5], [1]]


def test_eltwise_max_gives_ties_as_caffe_does() -> None:
    """The first pair's tie goes to the second bottom, a later bottom must be larger."""
    net = one_layer("Eltwise", "y", "eltwise_param { operation: MAX }", a=(4,), b=(4,), c=(4,))
    a, b, c = np.array([1.0, 5, 1, 2]), np.array([1.0, 1, 2, 1]), np.array([1.0, 5, 2, 3])
    assert forward(net, a=a, b=b, c=c)["y"].tolist() == [1, 5, 2, 3]
    net.blobs["y"].sum().backward()
    gradients = [net.blobs[name].grad for name in "abc"]
    assert [g.tolist() for g in gradients if g is not None] == [[0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize("stable", ["true", "false"])
def test_eltwise_product_gradient(stable: str) -> None:
    options = f"eltwise_param {{ operation: PROD stable_prod_grad: {stable} }}"
    net = one_layer("Eltwise", "y", options, a=(2,), b=(2,), c=(2,))
    forward(net, a=np.array([2.0, 0.0]), b=np.array([3.0, 4.0]), c=np.array([5.0, 6.0]))
    assert net.blobs["y"].tolist() == [30, 0]
    net.blobs["y"].sum().backward()
    gradients = np.array([net.blobs[name].grad.tolist() for name in "abc"])  # type: ignore[union-attr]
    unstable = np.array([[15, np.nan], [10, 0], [6, 0]])  # 0 / 0, as Caffe's quotient form gives
    np.testing.assert_allclose(gradients, [[15, 24], [10, 0], [6, 0]] if stable == "true" else unstable)


def test_eltwise_errors() -> None:
    with pytest.raises(PrototxtError, match=r"expected one coefficient per bottom \(2\), got 1"):
        one_layer("Eltwise", "y", "eltwise_param { coeff: 1 }", a=(2,), b=(2,))
    with pytest.raises(PrototxtError, match="operation SUM only"):
        one_layer("Eltwise", "y", "eltwise_param { operation: PROD coeff: 1 coeff: 1 }", a=(2,), b=(2,))
    with pytest.raises(PrototxtError, match="same shape"):
        one_layer("Eltwise", "y", a=(2,), b=(3,))
    with pytest.raises(PrototxtError, match="expected at least 2 bottom blob"):
        one_layer("Eltwise", "y", a=(2,))


def test_split_adds_the_gradients() -> None:
    net = one_layer("Split", "y z", x=(3,))
    x = randn(3)
    blobs = forward(net, x=x)
    np.testing.assert_array_equal(blobs["y"], x)
    (2 * net.blobs["y"] + 3 * net.blobs["z"]).sum().backward()
    assert net.blobs["x"].grad is not None
    assert net.blobs["x"].grad.tolist() == [5, 5, 5]


def test_silence_takes_blobs_from_the_outputs() -> None:
    text = inputs(a=(2,), b=(2,))
    assert Net(text).outputs == ["a", "b"]
    net = Net(text + layer_text("Silence", "a", ""))
    assert net.outputs == ["b"]
    assert set(net(a=torch.zeros(2), b=torch.ones(2))) == {"b"}


def test_input_shapes_once_per_top_or_for_all() -> None:
    shape = "shape { dim: 2 dim: 3 }"
    assert Net(f'layer {{ type: "Input" top: "a" top: "b" input_param {{ {shape} }} }}').blob_shapes["b"] == (2, 3)
    both = Net(f'layer {{ type: "Input" top: "a" top: "b" input_param {{ {shape} shape {{ dim: 4 }} }} }}')
    assert both.blob_shapes == {"a": (2, 3), "b": (4,)}
    with pytest.raises(PrototxtError, match=r"once per top blob \(3\), or not at all, got 2"):
        Net(f'layer {{ type: "Input" top: "a" top: "b" top: "c" input_param {{ {shape} {shape} }} }}')
