"""MVN against loops, its hand-written gradient, and planes without variance."""

import numpy as np
import pytest
import torch
from nets import forward, one_layer, randn

from caffe_compat.errors import PrototxtError

SHAPE = (2, 3, 4, 5)


def loops(x, grad, across, normalize_variance, eps):  # type: ignore[no-untyped-def]
    """Top and gradient of one group after the other, as mvn_layer.cpp goes."""
    groups = x.reshape(len(x) if across else len(x) * x.shape[1], -1)
    top, grad_x, grads = np.zeros_like(groups), np.zeros_like(groups), grad.reshape(groups.shape)
    for i, (group, dy) in enumerate(zip(groups, grads, strict=True)):
        y, divisor = group - group.mean(), 1.0
        if normalize_variance:
            divisor = (y**2).mean() ** 0.5 + eps
            y = y / divisor
        top[i] = y
        grad_x[i] = dy - dy.mean() - (y * (dy * y).mean() if normalize_variance else 0)
        grad_x[i] /= divisor
    return top.reshape(x.shape), grad_x.reshape(x.shape)


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("normalize_variance", [False, True])
@pytest.mark.parametrize("eps", [1e-9, 0.25])
def test_against_loops(across: bool, normalize_variance: bool, eps: float) -> None:
    flags = f"across_channels: {across} normalize_variance: {normalize_variance}".lower()
    net = one_layer("MVN", "y", f"mvn_param {{ {flags} eps: {eps} }}", x=SHAPE)
    x, grad = randn(*SHAPE) * 3 + 1, randn(*SHAPE, seed=1)
    top, grad_x = loops(x, grad, across, normalize_variance, float(np.float32(eps)))
    np.testing.assert_allclose(forward(net, x=x)["y"], top, rtol=1e-9, atol=1e-12)
    net.blobs["y"].backward(torch.from_numpy(grad))
    np.testing.assert_allclose(net.blobs["x"].grad, grad_x, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("across", ["true", "false"])
def test_gradient_by_differences(across: str) -> None:
    """With an eps too small to see, Caffe's gradient is the exact one."""
    layer = one_layer("MVN", "y", f"mvn_param {{ across_channels: {across} }}", x=SHAPE).layers["layer"]
    x = torch.from_numpy(randn(*SHAPE)).requires_grad_()
    assert torch.autograd.gradcheck(lambda value: layer(value)[0], (x,))


def test_a_constant_plane_is_zero_with_a_finite_gradient() -> None:
    net = one_layer("MVN", "y", "mvn_param { eps: 0.5 }", x=(1, 1, 1, 2))
    assert forward(net, x=np.full((1, 1, 1, 2), 7.0))["y"].tolist() == [[[[0, 0]]]]
    net.blobs["y"].backward(torch.tensor([[[[3.0, 1.0]]]]))
    assert net.blobs["x"].grad is not None
    assert net.blobs["x"].grad.tolist() == [[[[2, -2]]]]


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 4)], ids=str)
def test_the_top_has_four_axes(shape: tuple[int, ...]) -> None:
    """As in Caffe, which reshapes it to num, channels, height, width."""
    net = one_layer("MVN", "y", "mvn_param { across_channels: true }", x=shape)
    x = np.asarray(randn(*shape))
    padded = x.reshape(shape + (1,) * (4 - len(shape)))
    top = forward(net, x=x)["y"]
    assert top.shape == net.blob_shapes["y"] == padded.shape
    np.testing.assert_allclose(top, loops(padded, padded, True, True, 1e-9)[0], rtol=1e-6)


def test_more_than_four_axes() -> None:
    with pytest.raises(PrototxtError, match="expected at most 4 axes") as caught:
        one_layer("MVN", "y", x=(1, 2, 3, 4, 5))
    assert caught.value.field == "bottom"
