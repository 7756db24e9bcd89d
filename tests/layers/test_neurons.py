"""ReLU and Dropout."""

import numpy as np
import pytest
import torch
from nets import forward, inputs, layer_text, node, one_layer, randn

from caffe_compat import Net
from caffe_compat.errors import PrototxtError


def test_relu_gradient_at_zero_is_zero() -> None:
    net = one_layer("ReLU", "y", x=(3,))
    assert forward(net, x=np.array([-1.0, 0.0, 2.0]))["y"].tolist() == [0, 0, 2]
    net.blobs["y"].sum().backward()
    assert net.blobs["x"].grad is not None
    assert net.blobs["x"].grad.tolist() == [0, 0, 1]


@pytest.mark.parametrize("slope", [0.25, -0.5, 0.0])
def test_relu_slope_and_in_place(slope: float) -> None:
    """In place after an InnerProduct it overwrites memory; the gradients are those of the layer that does not."""
    results = []
    for top in ("ip", "relu"):
        torch.manual_seed(0)
        product = 'inner_product_param { num_output: 6 weight_filler { type: "xavier" } }'
        net = Net(
            inputs(x=(5, 4))
            + layer_text("InnerProduct", "x", "ip", product)
            + layer_text("ReLU", "ip", top, f"relu_param {{ negative_slope: {slope} }}", name="relu")
        ).double()
        assert node(net, "relu").overwrites == (top == "ip")
        net(x=torch.from_numpy(randn(5, 4)))
        net.blobs[top].square().sum().backward()
        results.append((net.blobs[top].detach(), net.params["layer"][0].grad))
    torch.testing.assert_close(results[0], results[1])
    assert (results[0][0] < 0).any() == (slope > 0)


def test_relu_does_not_overwrite_what_others_keep() -> None:
    """After a Split (shared memory), an input (the caller's memory) or another ReLU (which keeps its top)."""
    text = inputs(x=(2, 3)) + layer_text("ReLU", "x", "x", name="first") + layer_text("ReLU", "x", "x", name="second")
    net = Net(text)
    assert not node(net, "first").overwrites and not node(net, "second").overwrites
    x = torch.tensor([[-1.0, 2.0, 3.0], [4.0, -5.0, 6.0]])
    net(x=x)
    assert x[0, 0] == -1


def test_dropout_scale_is_exact() -> None:
    net = one_layer("Dropout", "y", "dropout_param { dropout_ratio: 0.3 }", phase="TRAIN", x=(100, 100)).float()
    torch.manual_seed(0)
    x = torch.rand(100, 100) + 1
    net(x=x)
    kept = net.blobs["y"] != 0
    assert abs(kept.double().mean().item() - 0.7) < 0.02
    torch.testing.assert_close(net.blobs["y"][kept], x[kept] / 0.7, rtol=1e-6, atol=0)
    net.blobs["y"].sum().backward()
    torch.testing.assert_close(net.blobs["x"].grad, kept.float() / 0.7, rtol=1e-6, atol=0)


def test_dropout_is_the_identity_outside_training() -> None:
    net = one_layer("Dropout", "y", phase="TEST", x=(10, 10))
    x = randn(10, 10)
    np.testing.assert_array_equal(forward(net, x=x)["y"], x)
    net.train()
    assert (forward(net, x=x)["y"] == 0).any()


def test_dropout_ratio_zero_keeps_everything() -> None:
    net = one_layer("Dropout", "y", "dropout_param { dropout_ratio: 0 }", phase="TRAIN", x=(10, 10))
    x = randn(10, 10)
    np.testing.assert_array_equal(forward(net, x=x)["y"], x)


@pytest.mark.parametrize("ratio", [1.0, -0.1, 2.0])
def test_dropout_ratio_out_of_range(ratio: float) -> None:
    with pytest.raises(PrototxtError, match=r"expected in \[0, 1\)"):
        one_layer("Dropout", "y", f"dropout_param {{ dropout_ratio: {ratio} }}", x=(2, 3))
