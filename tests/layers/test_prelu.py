"""PReLU against loops, with a slope for each channel or one for all."""

import numpy as np
import pytest
import torch
from nets import forward, inputs, layer_text, node, one_layer, randn

from caffe_compat import Net
from caffe_compat.errors import PrototxtError

GAUSSIAN = 'filler { type: "gaussian" }'


def loops(x, slope, grad):  # type: ignore[no-untyped-def]
    """Top, gradient of the bottom and of the slope (one for each channel), as prelu_layer.cpp goes."""
    top, grad_x, grad_slope = np.zeros_like(x), np.zeros_like(x), np.zeros(x.shape[1])
    for at in np.ndindex(*x.shape):
        c = at[1]
        top[at] = max(x[at], 0) + slope[c] * min(x[at], 0)
        grad_x[at] = grad[at] * ((x[at] > 0) + slope[c] * (x[at] <= 0))
        grad_slope[c] += grad[at] * x[at] * (x[at] <= 0)
    return top, grad_x, grad_slope


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 5), (2, 3, 4, 5)], ids=str)
@pytest.mark.parametrize("is_shared", [False, True])
def test_against_loops(shape: tuple[int, ...], is_shared: bool) -> None:
    net = one_layer("PReLU", "y", f"prelu_param {{ {GAUSSIAN} channel_shared: {str(is_shared).lower()} }}", x=shape)
    (slope,) = net.params["layer"]
    assert slope.shape == (() if is_shared else (3,))
    x, grad = randn(*shape), randn(*shape, seed=1)
    x[:, :, ...].flat[0] = 0
    top, grad_x, grad_slope = loops(x, slope.detach().numpy() * np.ones(3), grad)
    np.testing.assert_allclose(forward(net, x=x)["y"], top, rtol=1e-12)
    net.blobs["y"].backward(torch.from_numpy(grad))
    np.testing.assert_allclose(net.blobs["x"].grad, grad_x, rtol=1e-12)
    np.testing.assert_allclose(slope.grad, grad_slope.sum() if is_shared else grad_slope, rtol=1e-10)


def test_default_slope_is_a_quarter() -> None:
    net = Net(inputs(x=(2, 3)) + layer_text("PReLU", "x", "y"))
    assert net.params["layer"][0].tolist() == [0.25] * 3
    net = Net(inputs(x=(2, 3)) + layer_text("PReLU", "x", "y", "prelu_param { filler { } }"))
    assert net.params["layer"][0].tolist() == [0] * 3  # the constant filler's own default


def test_in_place_has_the_gradients_of_out_of_place() -> None:
    results = []
    for top in ("ip", "y"):
        torch.manual_seed(0)
        product = 'inner_product_param { num_output: 6 weight_filler { type: "xavier" } }'
        net = Net(
            inputs(x=(5, 4))
            + layer_text("InnerProduct", "x", "ip", product, name="ip")
            + layer_text("PReLU", "ip", top, f"prelu_param {{ {GAUSSIAN} }}", name="prelu")
            + layer_text("ReLU", top, top, name="relu")
        ).double()
        assert node(net, "relu").overwrites
        net(x=torch.from_numpy(randn(5, 4)))
        net.blobs[top].square().sum().backward()
        results.append((net.blobs[top].detach(), net.params["ip"][0].grad, net.params["prelu"][0].grad))
    torch.testing.assert_close(results[0], results[1])


@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4, 5, 6)], ids=str)
def test_number_of_axes(shape: tuple[int, ...]) -> None:
    """Caffe's channels() knows up to four."""
    with pytest.raises(PrototxtError, match="expected 2 to 4 axes") as caught:
        one_layer("PReLU", "y", x=shape)
    assert caught.value.field == "bottom"


def test_given_blobs_must_fit() -> None:
    with pytest.raises(PrototxtError, match=r"expected shape \(3,\), got \(2,\)") as caught:
        one_layer("PReLU", "y", "blobs { shape { dim: 2 } data: 1 data: 1 }", x=(2, 3))
    assert caught.value.field == "blobs[0]"
