"""Deconvolution against loops that scatter, Im2col against loops that gather, SPP against max and mean of slices."""

import math

import numpy as np
import pytest
import torch
from nets import assert_refused, forward, one_layer, randn
from test_convolution import FILLERS, WINDOWS


def deconvolve(x, weight, bias, stride, pad, dilation, group):  # type: ignore[no-untyped-def]
    """x (N, C, spatial...), weight (C, M / group, kernel...): each pixel adds its multiple of the kernel to the top."""
    kernel, outputs = weight.shape[2:], weight.shape[1]
    size = [
        s * (n - 1) + d * (k - 1) + 1 - 2 * p
        for n, p, d, k, s in zip(x.shape[2:], pad, dilation, kernel, stride, strict=True)
    ]
    top = np.zeros((x.shape[0], outputs * group, *size))
    if bias is not None:
        top += bias.reshape(-1, *[1] * len(size))
    for n, c, *at in np.ndindex(*x.shape):
        first = c // (x.shape[1] // group) * outputs
        for m, *tap in np.ndindex(*weight.shape[1:]):
            where = [a * s - p + t * d for a, s, p, t, d in zip(at, stride, pad, tap, dilation, strict=True)]
            if all(0 <= w < limit for w, limit in zip(where, size, strict=True)):
                top[(n, first + m, *where)] += x[(n, c, *at)] * weight[(c, m, *tap)]
    return top


@pytest.mark.parametrize("name", WINDOWS)
def test_window(name: str) -> None:
    options, shape, (stride, pad, dilation, group) = WINDOWS[name]
    net = one_layer("Deconvolution", "y", f"convolution_param {{ num_output: 6 {options} {FILLERS} }}", x=shape)
    weight, *bias = (blob.detach().numpy() for blob in net.params["layer"])
    assert weight.shape[:2] == (shape[1], 6 // group)
    x = randn(*shape)
    top = forward(net, x=x)["y"]
    assert top.shape == net.blob_shapes["y"]
    expected = deconvolve(x, weight, bias[0] if bias else None, stride, pad, dilation, group)
    np.testing.assert_allclose(top, expected, atol=1e-12)


def test_it_is_the_gradient_of_the_convolution() -> None:
    """With the same weights and no bias."""
    window = "bias_term: false kernel_size: 3 kernel_size: 2 stride: 2 pad: 1 group: 2"
    filler = 'weight_filler { type: "gaussian" }'
    down = one_layer("Convolution", "y", f"convolution_param {{ num_output: 4 {window} {filler} }}", x=(2, 6, 7, 6))
    shape = down.blob_shapes["y"]
    up = one_layer("Deconvolution", "y", f"convolution_param {{ num_output: 6 {window} {filler} }}", x=shape)
    with torch.no_grad():
        up.params["layer"][0].copy_(down.params["layer"][0])
    forward(down, x=randn(2, 6, 7, 6))
    top_diff = randn(*shape, seed=1)
    down.blobs["y"].backward(torch.from_numpy(top_diff))
    np.testing.assert_allclose(forward(up, x=top_diff)["y"], down.blobs["x"].grad)


def test_more_leading_axes_or_none_and_no_spatial_ones() -> None:
    options = f"convolution_param {{ axis: %d num_output: 4 kernel_size: 2 {FILLERS} }}"
    net = one_layer("Deconvolution", "y", options % 2, x=(2, 3, 5, 4, 6))
    weight, bias = (blob.detach().numpy() for blob in net.params["layer"])
    x = randn(2, 3, 5, 4, 6)
    ones, zeros = (1, 1), (0, 0)
    expected = deconvolve(x.reshape(6, 5, 4, 6), weight, bias, ones, zeros, ones, 1).reshape(2, 3, 4, 5, 7)
    np.testing.assert_allclose(forward(net, x=x)["y"], expected, atol=1e-12)
    flat = one_layer("Deconvolution", "y", f"convolution_param {{ num_output: 2 {FILLERS} }}", x=(3, 5))
    weight, bias = (blob.detach().numpy() for blob in flat.params["layer"])
    x = randn(3, 5)
    np.testing.assert_allclose(forward(flat, x=x)["y"], x @ weight + bias, atol=1e-12)


def test_several_bottoms_share_the_weights() -> None:
    options = f"convolution_param {{ num_output: 2 kernel_size: 2 {FILLERS} }}"
    net = one_layer("Deconvolution", "y z", options, x=(2, 3, 4, 4), w=(2, 3, 4, 4))
    x = randn(2, 3, 4, 4)
    blobs = forward(net, x=x, w=x)
    np.testing.assert_array_equal(blobs["y"], blobs["z"])


def test_bilinear_upsampling() -> None:
    """Caffe's recipe: kernel 2 f - f % 2, stride f, pad ceil((f - 1) / 2), one group per channel; a plane stays one."""
    options = "num_output: 2 group: 2 kernel_size: 4 stride: 2 pad: 1 bias_term: false"
    net = one_layer(
        "Deconvolution", "y", f'convolution_param {{ {options} weight_filler {{ type: "bilinear" }} }}', x=(1, 2, 5, 6)
    )
    rows, columns = np.mgrid[0.0:5, 0.0:6]
    top = forward(net, x=np.stack([rows, columns])[None])["y"]
    inner = top[0, :, 2:-2, 2:-2]
    np.testing.assert_allclose(np.diff(inner[0], axis=0), 0.5, atol=1e-6)
    np.testing.assert_allclose(np.diff(inner[1], axis=1), 0.5, atol=1e-6)


def columns_of(x, kernel, stride, pad, dilation):  # type: ignore[no-untyped-def]
    """x (N, C, spatial...), one number at a time."""
    size = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(x.shape[2:], pad, dilation, kernel, stride, strict=True)
    ]
    top = np.zeros((x.shape[0], x.shape[1] * math.prod(kernel), *size))
    for n, channel, *at in np.ndindex(*top.shape):
        c, *tap = np.unravel_index(channel, (x.shape[1], *kernel))
        where = [a * s - p + t * d for a, s, p, t, d in zip(at, stride, pad, tap, dilation, strict=True)]
        if all(0 <= w < limit for w, limit in zip(where, x.shape[2:], strict=True)):
            top[(n, channel, *at)] = x[(n, c, *where)]
    return top


@pytest.mark.parametrize("name", [name for name in WINDOWS if "group" not in name and name != "everything"])
def test_im2col(name: str) -> None:
    options, shape, (stride, pad, dilation, _) = WINDOWS[name]
    net = one_layer("Im2col", "y", f"convolution_param {{ {options} }}", x=shape)
    kernel = one_layer("Convolution", "y", f"convolution_param {{ num_output: 1 {options} }}", x=shape)
    x = randn(*shape)
    top = forward(net, x=x)["y"]
    assert top.shape == net.blob_shapes["y"]
    taps = kernel.params["layer"][0].shape[2:]
    np.testing.assert_array_equal(top, columns_of(x, taps, stride, pad, dilation))


def test_im2cols_axis_and_gradient() -> None:
    """The gradient adds up what the windows took: by the scatter of ones, how often each pixel is seen."""
    net = one_layer("Im2col", "y", "convolution_param { axis: -2 kernel_size: 3 stride: 2 pad: 1 }", x=(2, 3, 4, 7))
    x = randn(2, 3, 4, 7)
    expected = columns_of(x.reshape(6, 4, 7), (3,), (2,), (1,), (1,)).reshape(2, 3, 12, 4)
    np.testing.assert_array_equal(forward(net, x=x)["y"], expected)
    net.blobs["y"].sum().backward()
    seen = deconvolve(np.ones((1, 1, 4)), np.ones((1, 1, 3)), None, (2,), (1,), (1,), 1)[0, 0]
    assert net.blobs["x"].grad is not None
    np.testing.assert_array_equal(net.blobs["x"].grad[1, 2, 3], seen)


@pytest.mark.parametrize("method", ["MAX", "AVE"])
@pytest.mark.parametrize("levels", [2, 3])
def test_spp_of_an_image_that_the_bins_divide(method: str, levels: int) -> None:
    net = one_layer("SPP", "y", f"spp_param {{ pyramid_height: {levels} pool: {method} }}", x=(2, 3, 8, 12))
    x = randn(2, 3, 8, 12)
    reduce = np.max if method == "MAX" else np.mean
    parts = []
    for bins in (2**level for level in range(levels)):
        cells = x.reshape(2, 3, bins, 8 // bins, bins, 12 // bins)
        parts.append(reduce(cells, axis=(3, 5)).reshape(2, -1))
    top = forward(net, x=x)["y"]
    assert top.shape == net.blob_shapes["y"]
    np.testing.assert_allclose(top, np.concatenate(parts, 1))


def test_spp_of_one_level_is_not_flattened() -> None:
    net = one_layer("SPP", "y", "spp_param { pyramid_height: 1 }", x=(2, 3, 5, 4))
    x = randn(2, 3, 5, 4)
    np.testing.assert_array_equal(forward(net, x=x)["y"], x.max((2, 3), keepdims=True))


def test_spp_gives_as_many_numbers_for_another_image_size() -> None:
    net = one_layer("SPP", "y", "spp_param { pyramid_height: 2 }", x=(2, 3, 6, 7))
    assert forward(net, x=randn(1, 3, 10, 9))["y"].shape == (1, 15)


X = {"x": (2, 4, 5, 5)}
ERRORS = [  # type, options, bottoms, field, problem
    ("Deconvolution", "convolution_param { kernel_size: 3 }", X, "convolution_param.num_output", "> 0, got 0"),
    ("Deconvolution", "convolution_param { num_output: 4 }", X, "convolution_param.kernel_size", "must be specified"),
    (
        "Deconvolution",
        "convolution_param { num_output: 4 kernel_size: 3 group: 3 }",
        X,
        "convolution_param.group",
        "expected a divisor of the 4 channels",
    ),
    (
        "Deconvolution",
        "convolution_param { num_output: 3 kernel_size: 3 group: 2 }",
        X,
        "convolution_param.num_output",
        "expected a multiple of group (2)",
    ),
    (
        "Deconvolution",
        "convolution_param { num_output: 4 kernel_size: 3 pad: 4 }",
        X,
        "convolution_param.pad",
        "leaves nothing",
    ),
    ("Im2col", "", X, "convolution_param.kernel_size", "must be specified"),
    ("Im2col", "convolution_param { kernel_size: 9 }", X, "convolution_param.kernel_size", "does not fit"),
    ("Im2col", "convolution_param { kernel_size: 2 axis: 3 }", X, "convolution_param.axis", "a spatial axis"),
    ("SPP", "", X, "spp_param.pyramid_height", "expected > 0, got 0"),
    ("SPP", "spp_param { pyramid_height: 2 }", {"x": (2, 4, 5)}, "bottom", "4 axes"),
    ("SPP", "spp_param { pyramid_height: 4 }", X, "pooling_param.pad", "less than the kernel"),  # 8 bins for 5 pixels
]


@pytest.mark.parametrize(("type_name", "options", "bottoms", "field", "problem"), ERRORS)
def test_errors(type_name: str, options: str, bottoms: dict, field: str, problem: str) -> None:
    assert_refused(type_name, "y", options, bottoms, field, problem)
