"""InnerProduct: axes, transposed weights, and what must fit."""

import numpy as np
import pytest
import torch
from nets import forward, one_layer, randn

from caffe_compat.errors import PrototxtError

FILLERS = 'weight_filler { type: "gaussian" } bias_filler { type: "gaussian" }'


@pytest.mark.parametrize("axis", [1, 2, 0, -1, -2])
@pytest.mark.parametrize("transpose", ["true", "false"])
@pytest.mark.parametrize("bias_term", ["true", "false"])
def test_product(axis: int, transpose: str, bias_term: str) -> None:
    options = f"num_output: 5 axis: {axis} transpose: {transpose} bias_term: {bias_term} {FILLERS}"
    net = one_layer("InnerProduct", "y", f"inner_product_param {{ {options} }}", x=(2, 3, 4))
    weight, *bias = (blob.detach().numpy() for blob in net.params["layer"])
    assert len(bias) == (bias_term == "true")
    x = randn(2, 3, 4)
    inner = int(np.prod(x.shape[axis:]))
    assert weight.shape == ((inner, 5) if transpose == "true" else (5, inner))
    rows = x.reshape(-1, inner) @ (weight if transpose == "true" else weight.T) + (bias[0] if bias else 0)
    top = forward(net, x=x)["y"]
    assert top.shape == net.blob_shapes["y"] == (*x.shape[: axis % 3], 5)
    np.testing.assert_allclose(top, rows.reshape(top.shape), atol=1e-12)


def test_reads_a_channels_last_bottom_in_caffes_order() -> None:
    net = one_layer("InnerProduct", "y", f"inner_product_param {{ num_output: 5 {FILLERS} }}", x=(2, 3, 4, 5))
    x = torch.from_numpy(randn(2, 3, 4, 5))
    plain = forward(net, x=x)["y"]
    np.testing.assert_allclose(forward(net, x=x.contiguous(memory_format=torch.channels_last))["y"], plain)


def test_errors() -> None:
    with pytest.raises(PrototxtError, match="expected > 0, got 0") as caught:
        one_layer("InnerProduct", "y", x=(2, 3))
    assert caught.value.field == "inner_product_param.num_output"
    with pytest.raises(PrototxtError, match="axis 2 out of range"):
        one_layer("InnerProduct", "y", "inner_product_param { num_output: 1 axis: 2 }", x=(2, 3))


def test_wrong_input_size_names_the_layer() -> None:
    net = one_layer("InnerProduct", "y", "inner_product_param { num_output: 1 }", x=(2, 3))
    with pytest.raises(RuntimeError) as caught:
        net(x=torch.zeros(2, 4))
    assert caught.value.__notes__ == ['in layer "layer" (InnerProduct)']
