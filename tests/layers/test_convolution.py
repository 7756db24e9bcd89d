"""Convolution against loops: every form of its window, groups, axes, one to three dimensions."""

import numpy as np
import pytest
import torch
from layer_loops import convolve
from nets import forward, one_layer, randn

from caffe_compat.errors import PrototxtError

FILLERS = 'weight_filler { type: "gaussian" } bias_filler { type: "gaussian" }'
ONES, ZEROS = (1, 1), (0, 0)

# options, input shape, (stride, pad, dilation, group) as they must be understood
WINDOWS = {
    "kernel": ("kernel_size: 3", (2, 3, 6, 5), (ONES, ZEROS, ONES, 1)),
    "kernel per axis": ("kernel_size: 3 kernel_size: 2", (2, 3, 6, 5), (ONES, ZEROS, ONES, 1)),
    "kernel_h, kernel_w": ("kernel_h: 1 kernel_w: 4", (2, 3, 6, 5), (ONES, ZEROS, ONES, 1)),
    "stride per axis": ("kernel_size: 2 stride: 2 stride: 3", (2, 3, 6, 7), ((2, 3), ZEROS, ONES, 1)),
    "stride_h, stride_w": ("kernel_size: 2 stride_h: 3 stride_w: 1", (2, 3, 6, 5), ((3, 1), ZEROS, ONES, 1)),
    "pad per axis": ("kernel_size: 3 pad: 1 pad: 2", (1, 3, 4, 5), (ONES, (1, 2), ONES, 1)),
    "pad_h, pad_w": ("kernel_size: 3 pad_h: 2 pad_w: 0", (1, 3, 4, 5), (ONES, (2, 0), ONES, 1)),
    "pad_w alone": ("kernel_size: 3 pad_w: 1", (1, 3, 4, 5), (ONES, (0, 1), ONES, 1)),
    "dilation": ("kernel_size: 2 dilation: 3", (1, 3, 6, 7), (ONES, ZEROS, (3, 3), 1)),
    "dilation per axis": ("kernel_size: 2 dilation: 1 dilation: 4", (1, 3, 6, 7), (ONES, ZEROS, (1, 4), 1)),
    "group": ("kernel_size: 3 group: 2", (2, 4, 4, 4), (ONES, ZEROS, ONES, 2)),
    "no bias": ("kernel_size: 3 bias_term: false", (2, 3, 4, 4), (ONES, ZEROS, ONES, 1)),
    "everything": (
        "kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 1 pad_h: 1 pad_w: 2 dilation: 1 dilation: 2 group: 2",
        (2, 4, 7, 6),
        ((2, 1), (1, 2), (1, 2), 2),
    ),
    "1 x 1": ("kernel_size: 1", (2, 3, 4, 5), (ONES, ZEROS, ONES, 1)),
    "im2col for N-d": ("kernel_size: 3 force_nd_im2col: true", (2, 3, 4, 5), (ONES, ZEROS, ONES, 1)),
    "1-d": ("kernel_size: 3 stride: 2 pad: 1", (2, 3, 9), ((2,), (1,), (1,), 1)),
    "3-d": (
        "kernel_size: 2 kernel_size: 1 kernel_size: 3 stride: 1 stride: 2 stride: 1 pad: 1 pad: 0 pad: 0",
        (1, 2, 4, 3, 5),
        ((1, 2, 1), (1, 0, 0), (1, 1, 1), 1),
    ),
}


@pytest.mark.parametrize("name", WINDOWS)
def test_window(name: str) -> None:
    options, shape, (stride, pad, dilation, group) = WINDOWS[name]
    net = one_layer("Convolution", "y", f"convolution_param {{ num_output: 4 {options} {FILLERS} }}", x=shape)
    weight, *bias = (blob.detach().numpy() for blob in net.params["layer"])
    x = randn(*shape)
    top = forward(net, x=x)["y"]
    assert top.shape == net.blob_shapes["y"]
    expected = convolve(x, weight, bias[0] if bias else None, stride, pad, dilation, group)
    np.testing.assert_allclose(top, expected, atol=1e-12)


def test_axis_leaves_more_leading_axes() -> None:
    net = one_layer(
        "Convolution", "y", f"convolution_param {{ axis: 2 num_output: 4 kernel_size: 2 {FILLERS} }}", x=(2, 3, 5, 4, 6)
    )
    weight, bias = (blob.detach().numpy() for blob in net.params["layer"])
    assert weight.shape == (4, 5, 2, 2)
    x = randn(2, 3, 5, 4, 6)
    expected = convolve(x.reshape(6, 5, 4, 6), weight, bias, ONES, ZEROS, ONES, 1).reshape(2, 3, 4, 3, 5)
    np.testing.assert_allclose(forward(net, x=x)["y"], expected, atol=1e-12)


@pytest.mark.parametrize("axis", [-3, 0])
def test_axis_may_be_negative_or_the_first(axis: int) -> None:
    shape = (5, 4, 6)
    options = f"convolution_param {{ axis: {axis} num_output: 2 kernel_size: 3 {FILLERS} }}"
    net = one_layer("Convolution", "y", options, x=shape)
    weight, bias = (blob.detach().numpy() for blob in net.params["layer"])
    x = randn(*shape)
    expected = convolve(x[None], weight, bias, ONES, ZEROS, ONES, 1)[0]
    np.testing.assert_allclose(forward(net, x=x)["y"], expected, atol=1e-12)


def test_without_spatial_axes() -> None:
    net = one_layer("Convolution", "y", f"convolution_param {{ num_output: 2 {FILLERS} }}", x=(3, 5))
    weight, bias = (blob.detach().numpy() for blob in net.params["layer"])
    x = randn(3, 5)
    np.testing.assert_allclose(forward(net, x=x)["y"], x @ weight.T + bias, atol=1e-12)


def test_several_bottoms_share_the_weights() -> None:
    options = f"convolution_param {{ num_output: 2 kernel_size: 2 {FILLERS} }}"
    net = one_layer("Convolution", "y z", options, x=(2, 3, 4, 4), w=(2, 3, 4, 4))
    weight, bias = (blob.detach().numpy() for blob in net.params["layer"])
    blobs = forward(net, x=randn(2, 3, 4, 4), w=randn(2, 3, 4, 4, seed=1))
    np.testing.assert_allclose(blobs["z"], convolve(blobs["w"], weight, bias, ONES, ZEROS, ONES, 1), atol=1e-12)
    net.blobs["z"].sum().backward()
    assert net.params["layer"][0].grad is not None


def test_another_batch_size_than_declared() -> None:
    net = one_layer("Convolution", "y", "convolution_param { num_output: 2 kernel_size: 2 }", x=(2, 3, 4, 4))
    assert forward(net, x=randn(7, 3, 4, 4))["y"].shape == (7, 2, 3, 3)


def test_weights_have_caffes_shape_and_torchs_fast_memory_format() -> None:
    net = one_layer("Convolution", "y", "convolution_param { num_output: 6 kernel_size: 3 }", x=(2, 4, 8, 8))
    weight = net.params["layer"][0]
    assert weight.shape == (6, 4, 3, 3)
    assert weight.is_contiguous(memory_format=torch.channels_last)
    forward(net, x=randn(2, 4, 8, 8))
    assert net.blobs["y"].is_contiguous(memory_format=torch.channels_last)


ERRORS = {
    "num_output: 0 kernel_size: 3": ("num_output", "expected > 0, got 0"),
    "num_output: 4": ("kernel_size", "must be specified"),
    "num_output: 4 kernel_size: 0": ("kernel_size", "expected > 0, got 0"),
    "num_output: 4 kernel_size: 3 stride: 0": ("stride", "expected > 0, got 0"),
    "num_output: 4 kernel_size: 3 dilation: 0": ("dilation", "expected > 0, got 0"),
    "num_output: 4 kernel_size: 3 kernel_h: 3 kernel_w: 3": ("kernel_size", "not both"),
    "num_output: 4 kernel_size: 3 stride: 1 stride_h: 3": ("stride", "not both"),
    "num_output: 4 kernel_size: 1 kernel_size: 2 kernel_size: 3": ("kernel_size", "got 3 values"),
    "num_output: 4 kernel_size: 3 group: 3": ("group", "expected a divisor of the 4 channels, got 3"),
    "num_output: 3 kernel_size: 3 group: 2": ("num_output", "expected a multiple of group (2), got 3"),
    "num_output: 4 kernel_size: 9": ("kernel_size", "does not fit"),
    "num_output: 4 kernel_size: 3 axis: 4": ("axis", "out of range"),
}


@pytest.mark.parametrize("options", ERRORS)
def test_errors(options: str) -> None:
    field, problem = ERRORS[options]
    with pytest.raises(PrototxtError) as caught:
        one_layer("Convolution", "y", f"convolution_param {{ {options} }}", x=(2, 4, 5, 5))
    assert caught.value.field == f"convolution_param.{field}"
    assert caught.value.layer == "layer"
    assert problem in str(caught.value)


def test_kernel_h_needs_two_spatial_axes() -> None:
    with pytest.raises(PrototxtError, match="need 2 spatial axes, got 1"):
        one_layer("Convolution", "y", "convolution_param { num_output: 1 kernel_h: 1 kernel_w: 1 }", x=(2, 4, 5))


def test_bottoms_of_different_shapes() -> None:
    with pytest.raises(PrototxtError, match="same shape"):
        one_layer(
            "Convolution", "y z", "convolution_param { num_output: 1 kernel_size: 1 }", x=(2, 4, 5, 5), w=(2, 4, 5, 6)
        )


def test_four_spatial_axes_are_refused() -> None:
    with pytest.raises(PrototxtError, match="at most 3 spatial axes, got 4"):
        one_layer("Convolution", "y", "convolution_param { num_output: 1 kernel_size: 1 }", x=(1, 1, 2, 2, 2, 2))
