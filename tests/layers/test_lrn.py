"""Local response normalisation against loops, in both memory formats, and its hand-written gradient."""

import numpy as np
import pytest
import torch
from layer_loops import lrn_across, lrn_within
from nets import forward, one_layer, randn

from caffe_compat.errors import PrototxtError

SHAPE = (2, 7, 4, 3)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    ("size", "alpha", "beta", "k"), [(5, 0.5, 0.75, 1.0), (3, 2.0, 0.5, 2.0), (1, 1.0, 0.75, 1.0), (15, 0.3, 0.75, 0.5)]
)
def test_across_channels(size: int, alpha: float, beta: float, k: float, memory_format: torch.memory_format) -> None:
    options = f"lrn_param {{ local_size: {size} alpha: {alpha} beta: {beta} k: {k} }}"
    net = one_layer("LRN", "y", options, x=SHAPE)
    x = torch.from_numpy(randn(*SHAPE)).contiguous(memory_format=memory_format)
    top = forward(net, x=x)["y"]
    np.testing.assert_allclose(top, lrn_across(x.numpy(), size, np.float32(alpha), beta, k), rtol=1e-7)
    assert net.blobs["y"].is_contiguous(memory_format=memory_format)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("beta", [0.75, 0.4])
def test_across_channels_gradient(beta: float, memory_format: torch.memory_format) -> None:
    layer = one_layer("LRN", "y", f"lrn_param {{ local_size: 3 alpha: 0.7 beta: {beta} }}", x=SHAPE).layers["layer"]
    x = torch.from_numpy(randn(*SHAPE)).contiguous(memory_format=memory_format).requires_grad_()
    assert torch.autograd.gradcheck(lambda value: layer(value)[0], (x,))


@pytest.mark.parametrize("size", [1, 3, 5])
def test_within_channel(size: int) -> None:
    options = f"lrn_param {{ norm_region: WITHIN_CHANNEL local_size: {size} alpha: 0.5 beta: 0.6 k: 7 }}"
    net = one_layer("LRN", "y", options, x=SHAPE)
    x = randn(*SHAPE)
    np.testing.assert_allclose(forward(net, x=x)["y"], lrn_within(x, size, 0.5, np.float32(0.6)), rtol=1e-7)
    assert torch.autograd.gradcheck(lambda value: net.layers["layer"](value)[0], (torch.tensor(x, requires_grad=True),))


def test_local_size_must_be_odd() -> None:
    with pytest.raises(PrototxtError, match="expected an odd number, got 4") as caught:
        one_layer("LRN", "y", "lrn_param { local_size: 4 }", x=SHAPE)
    assert caught.value.field == "lrn_param.local_size"


def test_needs_four_axes() -> None:
    with pytest.raises(PrototxtError, match="expected 4 axes"):
        one_layer("LRN", "y", x=(2, 3))
