"""Pooling against loops: every size, rounding, padding; ties and NaN; stochastic pooling by its statistics."""

import itertools

import numpy as np
import pytest
import torch
from layer_loops import pool, pooled_size
from nets import forward, one_layer, randn

from caffe_compat.errors import PrototxtError

FLOAT_MAX = np.finfo(np.float32).max


def windows() -> list[tuple[tuple[int, int], int, int, int, bool]]:
    """(height, width), kernel, stride, pad, ceil: those Caffe can run (its windows all touch the image)."""
    found = []
    for size, kernel, stride, ceil in itertools.product(((5, 6), (7, 4)), (1, 2, 3, 4), (1, 2, 3, 5), (True, False)):
        for pad in range(kernel):
            pooled = [pooled_size(n, kernel, stride, pad, ceil) for n in size]
            touches = all((p - 1) * stride - pad < n for p, n in zip(pooled, size, strict=True))
            if touches and min(pooled) >= 1:
                found.append((size, kernel, stride, pad, ceil))
    return found


@pytest.mark.parametrize("method", ["MAX", "AVE"])
def test_every_window(method: str) -> None:
    cases = windows()
    assert len(cases) > 100
    assert any(pad > kernel // 2 for _, kernel, _, pad, _ in cases)  # torch itself refuses these
    for size, kernel, stride, pad, ceil in cases:
        rounding = "CEIL" if ceil else "FLOOR"
        options = f"pool: {method} kernel_size: {kernel} stride: {stride} pad: {pad} round_mode: {rounding}"
        net = one_layer("Pooling", "y", f"pooling_param {{ {options} }}", x=(2, 3, *size))
        x = randn(2, 3, *size)
        top = forward(net, x=x)["y"]
        expected, _ = pool(x, method, (kernel,) * 2, (stride,) * 2, (pad,) * 2, ceil)
        assert top.shape == net.blob_shapes["y"], options
        np.testing.assert_allclose(top, expected, atol=1e-12, err_msg=options)


@pytest.mark.parametrize("method", ["MAX", "AVE"])
def test_rectangles(method: str) -> None:
    options = f"pool: {method} kernel_h: 3 kernel_w: 2 stride_h: 1 stride_w: 3 pad_h: 2 pad_w: 1"
    net = one_layer("Pooling", "y", f"pooling_param {{ {options} }}", x=(2, 3, 6, 8))
    x = randn(2, 3, 6, 8)
    np.testing.assert_allclose(forward(net, x=x)["y"], pool(x, method, (3, 2), (1, 3), (2, 1))[0], atol=1e-12)


@pytest.mark.parametrize(
    ("options", "kernel", "pad"),
    [
        ("kernel_size: 3 stride: 2", (3, 3), 0),
        ("kernel_size: 3 stride: 2 pad: 2", (3, 3), 2),
        ("global_pooling: true", (6, 5), 0),
    ],
)
def test_mask(options: str, kernel: tuple[int, int], pad: int) -> None:
    net = one_layer("Pooling", "y mask", f"pooling_param {{ {options} }}", x=(2, 3, 6, 5))
    x = randn(2, 3, 6, 5)
    blobs = forward(net, x=x)
    expected, mask = pool(x, "MAX", kernel, (2, 2), (pad, pad))
    np.testing.assert_array_equal(blobs["mask"], mask)
    np.testing.assert_allclose(blobs["y"], expected)


def test_first_maximum_takes_the_gradient() -> None:
    net = one_layer("Pooling", "y", "pooling_param { kernel_size: 2 stride: 2 }", x=(1, 1, 2, 4))
    forward(net, x=np.array([[[[1.0, 1.0, 0.0, 2.0], [1.0, 1.0, 2.0, 2.0]]]]))
    net.blobs["y"].sum().backward()
    gradient = net.blobs["x"].grad
    assert gradient is not None
    assert gradient.tolist() == [[[[1, 0, 0, 1], [0, 0, 0, 0]]]]


@pytest.mark.parametrize("pad", [0, 2])
def test_nan_is_passed_over(pad: int) -> None:
    x = randn(1, 1, 4, 4)
    x[0, 0, 0, 1] = x[0, 0, 3, 3] = np.nan
    x[0, 0, 2:, :2] = np.nan
    x[0, 0, 1, 3] = -np.inf
    net = one_layer("Pooling", "y mask", f"pooling_param {{ kernel_size: 3 stride: 2 pad: {pad} }}", x=(1, 1, 4, 4))
    blobs = forward(net, x=x)
    expected, mask = pool(x, "MAX", (3, 3), (2, 2), (pad, pad))
    np.testing.assert_array_equal(blobs["mask"], mask)
    np.testing.assert_allclose(blobs["y"], expected)


def test_a_window_of_nan_only() -> None:
    net = one_layer("Pooling", "y mask", "pooling_param { kernel_size: 2 }", x=(1, 1, 2, 2))
    blobs = forward(net, x=np.full((1, 1, 2, 2), np.nan))
    assert blobs["y"].item() == -FLOAT_MAX
    assert blobs["mask"].item() == -1


def test_last_window_beyond_the_image_is_dropped() -> None:
    """Stride above kernel without padding: Caffe reads outside the blob here."""
    net = one_layer("Pooling", "y", "pooling_param { kernel_size: 1 stride: 3 }", x=(1, 1, 5, 5))
    assert net.blob_shapes["y"] == (1, 1, 2, 2)
    x = randn(1, 1, 5, 5)
    np.testing.assert_allclose(forward(net, x=x)["y"], x[:, :, ::3, ::3])


def test_stochastic_test_phase_is_the_expectation() -> None:
    net = one_layer("Pooling", "y", "pooling_param { pool: STOCHASTIC kernel_size: 3 stride: 2 }", x=(2, 3, 6, 5))
    x = np.abs(randn(2, 3, 6, 5))
    x[0, 0] = 0
    squares, total = pool(x**2, "AVE", (3, 3), (2, 2), (0, 0))[0], pool(x, "AVE", (3, 3), (2, 2), (0, 0))[0]
    np.testing.assert_allclose(forward(net, x=x)["y"], np.where(total > 0, squares / np.maximum(total, 1e-9), 0))


def test_stochastic_training_draws_in_proportion() -> None:
    options = "pooling_param { pool: STOCHASTIC kernel_size: 2 }"
    net = one_layer("Pooling", "y", options, phase="TRAIN", x=(4000, 1, 2, 2))
    torch.manual_seed(0)
    window = np.array([[0.0, 1.0], [2.0, 5.0]])
    top = forward(net, x=np.broadcast_to(window, (4000, 1, 2, 2)).copy())["y"]
    shares = [float((top == value).mean()) for value in (0, 1, 2, 5)]
    np.testing.assert_allclose(shares, [0, 1 / 8, 2 / 8, 5 / 8], atol=0.03)
    net.blobs["y"].sum().backward()
    gradient = net.blobs["x"].grad
    assert gradient is not None
    np.testing.assert_array_equal((gradient.numpy() * window).sum((1, 2, 3)), top.reshape(-1))


ERRORS = {
    "pool: AVE": "kernel_size",
    "kernel_size: 2 kernel_h: 2 kernel_w: 2": "kernel_size",
    "kernel_h: 2": "kernel_size",
    "kernel_size: 0": "kernel_size",
    "kernel_size: 2 stride: 0": "stride",
    "kernel_size: 2 stride_h: 2": "stride",
    "kernel_size: 2 stride: 1 stride_h: 2 stride_w: 2": "stride",
    "kernel_size: 2 pad_h: 1": "pad",
    "kernel_size: 2 pad: 2": "pad",
    "kernel_size: 2 pad: 1 pool: STOCHASTIC": "pad",
    "global_pooling: true kernel_size: 2": "kernel_size",
    "global_pooling: true stride: 2": "global_pooling",
    "kernel_size: 9 round_mode: FLOOR": "kernel_size",
}


@pytest.mark.parametrize("options", ERRORS)
def test_errors(options: str) -> None:
    with pytest.raises(PrototxtError) as caught:
        one_layer("Pooling", "y", f"pooling_param {{ {options} }}", x=(2, 4, 5, 5))
    assert caught.value.field == f"pooling_param.{ERRORS[options]}"


def test_only_max_has_a_mask() -> None:
    with pytest.raises(PrototxtError, match="only MAX"):
        one_layer("Pooling", "y mask", "pooling_param { pool: AVE kernel_size: 2 }", x=(2, 4, 5, 5))


def test_needs_four_axes() -> None:
    with pytest.raises(PrototxtError, match="expected 4 axes"):
        one_layer("Pooling", "y", "pooling_param { kernel_size: 2 }", x=(2, 4, 5))
