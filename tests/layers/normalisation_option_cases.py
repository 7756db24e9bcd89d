"""The rows of the layers that shift and scale whole axes: Bias, Scale, BatchNorm, MVN."""

from __future__ import annotations

import numpy as np
import torch
from nets import one_layer_text
from option_table import Changes, Observation, Row

from caffe_compat import Net

MESSAGES = ("BiasParameter", "ScaleParameter", "BatchNormParameter", "MVNParameter")

GAUSSIAN = 'filler { type: "gaussian" }'


def pair(type_name: str, message: str, base: str, changed: str) -> tuple[str, str]:
    made = [one_layer_text(type_name, f"{message} {{ {text} }}", x=(2, 3, 5, 4)) for text in (base, changed)]
    return made[0], made[1]


def bias(base: str, changed: str) -> tuple[str, str]:
    return pair("Bias", "bias_param", base, changed)


def scale(base: str, changed: str) -> tuple[str, str]:
    return pair("Scale", "scale_param", base, changed)


def batch_norm(base: str, changed: str) -> tuple[str, str]:
    return pair("BatchNorm", "batch_norm_param", base, changed)


def mvn(base: str, changed: str) -> tuple[str, str]:
    return pair("MVN", "mvn_param", base, changed)


def operands(operation, base_axes: str, changed_axes: str):  # type: ignore[no-untyped-def]
    """The operand has these axes of the bottom's "nchw", and is added or multiplied along them."""

    def check(base: Observation, changed: Observation) -> None:
        for seen, axes in ((base, base_axes), (changed, changed_axes)):
            x, operand, top = seen["blob x"], seen["param layer[0]"], seen["blob y"]
            assert operand.shape == tuple(x.shape["nchw".index(axis)] for axis in axes)
            spread = np.einsum(f"nchw,{axes}->nchw", np.ones_like(x), operand)
            np.testing.assert_allclose(top, operation(x, spread), rtol=1e-5, atol=1e-6)

    return check


def filled_with_two(operation):  # type: ignore[no-untyped-def]
    """Left alone the layer changes nothing; filled with 2 it does this."""

    def check(base: Observation, changed: Observation) -> None:
        np.testing.assert_array_equal(base["blob y"], base["blob x"])
        np.testing.assert_allclose(changed["blob y"], operation(changed["blob x"], 2), rtol=1e-6)

    return check


def bias_is_two(base: Observation, changed: Observation) -> None:
    np.testing.assert_allclose(changed["blob y"], base["blob y"] + 2, rtol=1e-5, atol=1e-5)


def moments(x: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    return x.mean(axes, keepdims=True, dtype=np.float64), x.var(axes, keepdims=True, dtype=np.float64)


def batch_or_empty_sums(base: Observation, changed: Observation) -> None:
    """The batch's moments; or those of sums without weight, which are 0."""
    mean, variance = moments(base["blob x"], (0, 2, 3))
    np.testing.assert_allclose(base["blob y"], (base["blob x"] - mean) / np.sqrt(variance + 1e-5), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(changed["blob y"], changed["blob x"] / np.sqrt(1e-5), rtol=1e-5)


def adds_to_the_variance(base: Observation, changed: Observation) -> None:
    mean, variance = moments(base["blob x"], (0, 2, 3))
    np.testing.assert_allclose(changed["blob y"], (base["blob x"] - mean) / np.sqrt(variance + 2), rtol=1e-4, atol=1e-5)


def observe_two_batches(text: str) -> Observation:
    """The running sums after two forward passes."""
    net, x = Net(text, phase="TRAIN"), torch.from_numpy(np.random.RandomState(0).randn(2, 3, 5, 4)).float()
    for batch in (x, 2 * x):
        net(x=batch)
    mean, variance, weight = (blob.detach().numpy() for blob in net.params["layer"])
    return {"x": x.numpy(), "mean": mean, "variance": variance, "weight": weight}


def older_batches_fade(base: Observation, changed: Observation) -> None:
    x = base["x"]
    mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), ddof=1)
    for seen, fraction in ((base, 0.999), (changed, 0.5)):
        np.testing.assert_allclose(seen["mean"], fraction * mean + 2 * mean, rtol=1e-4)
        np.testing.assert_allclose(seen["variance"], fraction * variance + 4 * variance, rtol=1e-5)
        np.testing.assert_allclose(seen["weight"], fraction + 1, rtol=1e-6)


def only_centred(base: Observation, changed: Observation) -> None:
    x = base["blob x"]
    mean, variance = moments(x, (2, 3))
    np.testing.assert_allclose(base["blob y"], (x - mean) / np.sqrt(variance), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(changed["blob y"], x - mean, rtol=1e-4, atol=1e-5)


def whole_images(base: Observation, changed: Observation) -> None:
    mean, variance = moments(base["blob x"], (1, 2, 3))
    np.testing.assert_allclose(changed["blob y"], (base["blob x"] - mean) / np.sqrt(variance), rtol=1e-4, atol=1e-5)


def adds_to_the_deviation(base: Observation, changed: Observation) -> None:
    mean, variance = moments(base["blob x"], (2, 3))
    expected = (base["blob x"] - mean) / (np.sqrt(variance) + 0.5)
    np.testing.assert_allclose(changed["blob y"], expected, rtol=1e-4, atol=1e-5)


ROWS: list[Row] = [
    Changes("BiasParameter.axis", *bias(GAUSSIAN, f"{GAUSSIAN} axis: 2"), expect=operands(np.add, "c", "h")),
    Changes("BiasParameter.num_axes", *bias(GAUSSIAN, f"{GAUSSIAN} num_axes: 2"), expect=operands(np.add, "c", "ch")),
    Changes(
        "BiasParameter.filler",
        *bias("", "filler { value: 2 }"),
        along=("FillerParameter.value",),
        expect=filled_with_two(np.add),
    ),
    Changes("ScaleParameter.axis", *scale(GAUSSIAN, f"{GAUSSIAN} axis: -1"), expect=operands(np.multiply, "c", "w")),
    Changes(
        "ScaleParameter.num_axes",
        *scale(GAUSSIAN, f"{GAUSSIAN} num_axes: -1"),
        expect=operands(np.multiply, "c", "chw"),
    ),
    Changes(
        "ScaleParameter.filler",
        *scale("", "filler { value: 2 }"),
        along=("FillerParameter.value",),
        expect=filled_with_two(np.multiply),
    ),
    Changes("ScaleParameter.bias_term", *scale(GAUSSIAN, f"{GAUSSIAN} bias_term: true")),
    Changes(
        "ScaleParameter.bias_filler",
        *scale(f"{GAUSSIAN} bias_term: true", f"{GAUSSIAN} bias_term: true bias_filler {{ value: 2 }}"),
        along=("FillerParameter.value",),
        expect=bias_is_two,
    ),
    Changes(
        "BatchNormParameter.use_global_stats",
        *batch_norm("", "use_global_stats: true"),
        phase="TRAIN",
        expect=batch_or_empty_sums,
    ),
    Changes(
        "BatchNormParameter.moving_average_fraction",
        *batch_norm("", "moving_average_fraction: 0.5"),
        observe=observe_two_batches,
        expect=older_batches_fade,
    ),
    Changes("BatchNormParameter.eps", *batch_norm("", "eps: 2"), phase="TRAIN", expect=adds_to_the_variance),
    Changes("MVNParameter.normalize_variance", *mvn("", "normalize_variance: false"), expect=only_centred),
    Changes("MVNParameter.across_channels", *mvn("", "across_channels: true"), expect=whole_images),
    Changes("MVNParameter.eps", *mvn("", "eps: 0.5"), expect=adds_to_the_deviation),
]
