"""The layers' rows of the table of options: nets with and without each field."""

from __future__ import annotations

import tempfile

import numpy as np
from nets import inputs, layer_text
from option_table import Changes, NoEffect, Observation, Row, observe_net

from caffe_compat.weights import write_blobproto_file

MESSAGES = (
    "ConvolutionParameter",
    "PoolingParameter",
    "LRNParameter",
    "ReLUParameter",
    "InnerProductParameter",
    "DropoutParameter",
    "SoftmaxParameter",
    "LossParameter",
    "AccuracyParameter",
    "ConcatParameter",
    "EltwiseParameter",
    "InputParameter",
    "MemoryDataParameter",
    "FillerParameter",
)

ENGINE = "it picks among implementations of one function, of which there is one here"


def net(type_name: str, options: str, tops: str = "y", **shapes: tuple[int, ...]) -> str:
    """One layer over inputs, every bottom with a gradient."""
    return f"force_backward: true\n{inputs(**shapes)}\n{layer_text(type_name, ' '.join(shapes), tops, options)}"


# --- Convolution ------------------------------------------------------------------------------------------------

GAUSSIAN = 'weight_filler { type: "gaussian" }'


def convolution(base: str, changed: str, shape: tuple[int, ...] = (2, 4, 7, 6)) -> tuple[str, str]:
    plain = f"num_output: 4 {GAUSSIAN}"
    made = [net("Convolution", f"convolution_param {{ {plain} {text} }}", x=shape) for text in (base, changed)]
    return made[0], made[1]


def bias_is_added(base: Observation, changed: Observation) -> None:
    difference = changed["blob y"] - base["blob y"]
    np.testing.assert_allclose(difference, np.full(difference.shape, 0.5), atol=1e-5)


CONVOLUTION: list[Row] = [
    Changes(
        "ConvolutionParameter.num_output",
        *(
            net("Convolution", f"convolution_param {{ num_output: {n} kernel_size: 3 {GAUSSIAN} }}", x=(2, 4, 7, 6))
            for n in (4, 5)
        ),
    ),
    Changes("ConvolutionParameter.bias_term", *convolution("kernel_size: 3", "kernel_size: 3 bias_term: false")),
    Changes("ConvolutionParameter.pad", *convolution("kernel_size: 3", "kernel_size: 3 pad: 1")),
    Changes("ConvolutionParameter.kernel_size", *convolution("kernel_size: 3", "kernel_size: 3 kernel_size: 2")),
    Changes("ConvolutionParameter.stride", *convolution("kernel_size: 3", "kernel_size: 3 stride: 2")),
    Changes("ConvolutionParameter.dilation", *convolution("kernel_size: 3", "kernel_size: 3 dilation: 2")),
    Changes("ConvolutionParameter.pad_h", *convolution("kernel_size: 3", "kernel_size: 3 pad_h: 1")),
    Changes("ConvolutionParameter.pad_w", *convolution("kernel_size: 3", "kernel_size: 3 pad_w: 1")),
    Changes("ConvolutionParameter.kernel_h", *convolution("kernel_h: 3 kernel_w: 3", "kernel_h: 2 kernel_w: 3")),
    Changes("ConvolutionParameter.kernel_w", *convolution("kernel_h: 3 kernel_w: 3", "kernel_h: 3 kernel_w: 2")),
    Changes(
        "ConvolutionParameter.stride_h",
        *convolution("kernel_size: 3 stride_h: 1 stride_w: 1", "kernel_size: 3 stride_h: 2 stride_w: 1"),
    ),
    Changes(
        "ConvolutionParameter.stride_w",
        *convolution("kernel_size: 3 stride_h: 1 stride_w: 1", "kernel_size: 3 stride_h: 1 stride_w: 2"),
    ),
    Changes("ConvolutionParameter.group", *convolution("kernel_size: 3", "kernel_size: 3 group: 2")),
    Changes(
        "ConvolutionParameter.weight_filler",
        *(
            net("Convolution", f"convolution_param {{ num_output: 4 kernel_size: 3 {text} }}", x=(2, 4, 7, 6))
            for text in ("", "weight_filler { value: 2 }")
        ),
        along=("FillerParameter.value",),
    ),
    Changes(
        "ConvolutionParameter.bias_filler",
        *convolution("kernel_size: 3", "kernel_size: 3 bias_filler { value: 0.5 }"),
        along=("FillerParameter.value",),
        expect=bias_is_added,
    ),
    NoEffect("ConvolutionParameter.engine", ENGINE, *convolution("kernel_size: 3", "kernel_size: 3 engine: CAFFE")),
    Changes("ConvolutionParameter.axis", *convolution("kernel_size: 3", "kernel_size: 3 axis: 2", (2, 4, 4, 6, 5))),
    NoEffect(
        "ConvolutionParameter.force_nd_im2col",
        "it picks the slower of two ways to the same sums",
        *convolution("kernel_size: 3", "kernel_size: 3 force_nd_im2col: true"),
    ),
]


# --- Pooling ----------------------------------------------------------------------------------------------------


def pooling(base: str, changed: str, tops: str = "y") -> tuple[str, str]:
    made = [net("Pooling", f"pooling_param {{ {text} }}", tops, x=(2, 3, 6, 7)) for text in (base, changed)]
    return made[0], made[1]


def is_whole_plane(base: Observation, changed: Observation) -> None:
    np.testing.assert_array_equal(changed["blob y"], changed["blob x"].max((2, 3), keepdims=True))


POOLING: list[Row] = [
    Changes("PoolingParameter.pool", *pooling("kernel_size: 3 stride: 2", "kernel_size: 3 stride: 2 pool: AVE")),
    Changes("PoolingParameter.pad", *pooling("kernel_size: 3 stride: 2", "kernel_size: 3 stride: 2 pad: 1")),
    Changes("PoolingParameter.pad_h", *pooling("kernel_size: 3 pad_h: 0 pad_w: 0", "kernel_size: 3 pad_h: 1 pad_w: 0")),
    Changes("PoolingParameter.pad_w", *pooling("kernel_size: 3 pad_h: 0 pad_w: 0", "kernel_size: 3 pad_h: 0 pad_w: 2")),
    Changes("PoolingParameter.kernel_size", *pooling("kernel_size: 3", "kernel_size: 2")),
    Changes("PoolingParameter.kernel_h", *pooling("kernel_h: 3 kernel_w: 3", "kernel_h: 2 kernel_w: 3")),
    Changes("PoolingParameter.kernel_w", *pooling("kernel_h: 3 kernel_w: 3", "kernel_h: 3 kernel_w: 2")),
    Changes("PoolingParameter.stride", *pooling("kernel_size: 3", "kernel_size: 3 stride: 2")),
    Changes(
        "PoolingParameter.stride_h",
        *pooling("kernel_size: 3 stride_h: 1 stride_w: 1", "kernel_size: 3 stride_h: 2 stride_w: 1"),
    ),
    Changes(
        "PoolingParameter.stride_w",
        *pooling("kernel_size: 3 stride_h: 1 stride_w: 1", "kernel_size: 3 stride_h: 1 stride_w: 2"),
    ),
    NoEffect("PoolingParameter.engine", ENGINE, *pooling("kernel_size: 3", "kernel_size: 3 engine: CUDNN")),
    Changes(
        "PoolingParameter.global_pooling",
        *pooling("kernel_size: 3", "global_pooling: true"),
        along=("PoolingParameter.kernel_size",),
        expect=is_whole_plane,
    ),
    Changes(
        "PoolingParameter.round_mode",
        *pooling("kernel_size: 3 stride: 2", "kernel_size: 3 stride: 2 round_mode: FLOOR"),
    ),
]


# --- LRN, ReLU, Dropout -----------------------------------------------------------------------------------------


def lrn(base: str, changed: str) -> tuple[str, str]:
    made = [net("LRN", f"lrn_param {{ {text} }}", x=(2, 7, 4, 4)) for text in (base, changed)]
    return made[0], made[1]


def is_halved(base: Observation, changed: Observation) -> None:
    """With alpha 0 and beta 1 the scale is k."""
    np.testing.assert_allclose(changed["blob y"], base["blob y"] / 2, rtol=1e-6)


def slope_below_zero(base: Observation, changed: Observation) -> None:
    x = base["blob x"]
    np.testing.assert_allclose(changed["blob y"] - base["blob y"], 0.25 * np.minimum(x, 0), rtol=1e-6)


def share_dropped(base: Observation, changed: Observation) -> None:
    for seen, ratio in ((base, 0.5), (changed, 0.1)):
        assert abs((seen["blob y"] == 0).mean() - ratio) < 0.03
        kept = seen["blob y"] != 0
        np.testing.assert_allclose(seen["blob y"][kept], seen["blob x"][kept] / (1 - ratio), rtol=1e-5)


NEURONS: list[Row] = [
    Changes("LRNParameter.local_size", *lrn("", "local_size: 3")),
    Changes("LRNParameter.alpha", *lrn("", "alpha: 0.5")),
    Changes("LRNParameter.beta", *lrn("", "beta: 0.5")),
    Changes("LRNParameter.norm_region", *lrn("", "norm_region: WITHIN_CHANNEL")),
    Changes("LRNParameter.k", *lrn("alpha: 0 beta: 1", "alpha: 0 beta: 1 k: 2"), expect=is_halved),
    NoEffect("LRNParameter.engine", ENGINE, *lrn("", "engine: CAFFE")),
    Changes(
        "ReLUParameter.negative_slope",
        net("ReLU", "", x=(3, 4)),
        net("ReLU", "relu_param { negative_slope: 0.25 }", x=(3, 4)),
        expect=slope_below_zero,
    ),
    NoEffect(
        "ReLUParameter.engine", ENGINE, net("ReLU", "", x=(3, 4)), net("ReLU", "relu_param { engine: CUDNN }", x=(3, 4))
    ),
    Changes(
        "DropoutParameter.dropout_ratio",
        net("Dropout", "", x=(60, 50)),
        net("Dropout", "dropout_param { dropout_ratio: 0.1 }", x=(60, 50)),
        phase="TRAIN",
        expect=share_dropped,
    ),
]


# --- InnerProduct -----------------------------------------------------------------------------------------------


def product(base: str, changed: str) -> tuple[str, str]:
    plain = f"num_output: 4 {GAUSSIAN}"
    made = [net("InnerProduct", f"inner_product_param {{ {plain} {text} }}", x=(2, 3, 5)) for text in (base, changed)]
    return made[0], made[1]


def is_transposed(base: Observation, changed: Observation) -> None:
    assert changed["param layer[0]"].shape == base["param layer[0]"].shape[::-1]
    rows = changed["blob x"].reshape(2, 15) @ changed["param layer[0]"]
    np.testing.assert_allclose(changed["blob y"], rows, rtol=1e-5, atol=1e-5)


INNER_PRODUCT: list[Row] = [
    Changes(
        "InnerProductParameter.num_output",
        *(net("InnerProduct", f"inner_product_param {{ num_output: {n} {GAUSSIAN} }}", x=(2, 3)) for n in (4, 5)),
    ),
    Changes("InnerProductParameter.bias_term", *product("", "bias_term: false")),
    Changes(
        "InnerProductParameter.weight_filler",
        *(
            net("InnerProduct", f"inner_product_param {{ num_output: 4 {text} }}", x=(2, 3))
            for text in ("", "weight_filler { value: 2 }")
        ),
        along=("FillerParameter.value",),
    ),
    Changes(
        "InnerProductParameter.bias_filler",
        *product("", "bias_filler { value: 0.5 }"),
        along=("FillerParameter.value",),
        expect=bias_is_added,
    ),
    Changes("InnerProductParameter.axis", *product("", "axis: 2")),
    Changes("InnerProductParameter.transpose", *product("", "transpose: true"), expect=is_transposed),
]


# --- Softmax, losses, accuracy ----------------------------------------------------------------------------------


def loss(base: str, changed: str) -> tuple[str, str]:
    """Softmax loss over labels 0, 1, 2 in (N, inner), of which label 1 is ignored where the options say so."""
    made = [net("SoftmaxWithLoss", text, scores=(6, 3, 2), label=(6, 2)) for text in (base, changed)]
    return made[0], made[1]


def divisors(base_divisor: str, changed_divisor: str):  # type: ignore[no-untyped-def]
    """The two losses stand in the ratio of what they are divided by."""

    def check(base: Observation, changed: Observation) -> None:
        labels = base["blob label"]
        sizes = {"all": labels.size, "valid": (labels != 1).sum(), "batch": len(labels), "one": 1}
        assert len(set(sizes.values())) == 4
        ratio = sizes[base_divisor] / sizes[changed_divisor]
        np.testing.assert_allclose(changed["loss"], base["loss"] * ratio, rtol=1e-5)

    return check


def accuracy(base: str, changed: str, inner: tuple[int, ...] = ()) -> tuple[str, str]:
    shapes = {"scores": (40, 5, *inner), "label": (40, *inner)}
    made = [net("Accuracy", f"accuracy_param {{ {text} }}", **shapes) for text in (base, changed)]
    return made[0], made[1]


def counts_two_best(base: Observation, changed: Observation) -> None:
    scores, labels = base["blob scores"], base["blob label"].astype(int)
    ranks = (scores > scores[np.arange(40), labels][:, None]).sum(1)
    np.testing.assert_allclose([base["blob y"], changed["blob y"]], [(ranks < 1).mean(), (ranks < 2).mean()])


def leaves_out_ones(base: Observation, changed: Observation) -> None:
    scores, labels = base["blob scores"], base["blob label"].astype(int)
    right = scores.argmax(1) == labels
    np.testing.assert_allclose([base["blob y"], changed["blob y"]], [right.mean(), right[labels != 1].mean()])


IGNORE = "loss_param { ignore_label: 1 }"

SCORES: list[Row] = [
    NoEffect(
        "SoftmaxParameter.engine",
        ENGINE,
        net("Softmax", "", x=(3, 4)),
        net("Softmax", "softmax_param { engine: CUDNN }", x=(3, 4)),
    ),
    Changes(
        "SoftmaxParameter.axis",
        net("Softmax", "", x=(3, 4, 5)),
        net("Softmax", "softmax_param { axis: 2 }", x=(3, 4, 5)),
    ),
    Changes("LossParameter.ignore_label", *loss("loss_param {}", IGNORE)),
    Changes(
        "LossParameter.normalization",
        *loss(IGNORE, IGNORE.replace("}", "normalization: FULL }")),
        expect=divisors("valid", "all"),
    ),
    Changes(
        "LossParameter.normalize",
        *loss(IGNORE, IGNORE.replace("}", "normalize: false }")),
        expect=divisors("valid", "batch"),
    ),
    Changes("AccuracyParameter.top_k", *accuracy("", "top_k: 2"), expect=counts_two_best),
    Changes("AccuracyParameter.axis", *accuracy("", "axis: 2", (5,))),
    Changes("AccuracyParameter.ignore_label", *accuracy("", "ignore_label: 1"), expect=leaves_out_ones),
]


# --- Concat, Eltwise, Input, MemoryData -------------------------------------------------------------------------


def pair(type_name: str, base: str, changed: str) -> tuple[str, str]:
    made = [net(type_name, text, a=(3, 4), b=(3, 4)) for text in (base, changed)]
    return made[0], made[1]


def joins_rows(base: Observation, changed: Observation) -> None:
    np.testing.assert_array_equal(changed["blob y"], np.concatenate([changed["blob a"], changed["blob b"]]))


def weights_the_sum(base: Observation, changed: Observation) -> None:
    np.testing.assert_allclose(changed["blob y"], 2 * base["blob a"] - base["blob b"], rtol=1e-6)


def multiplies(base: Observation, changed: Observation) -> None:
    np.testing.assert_allclose(changed["blob y"], base["blob a"] * base["blob b"], rtol=1e-6)


def zero_times(options: str) -> str:
    """A product one of whose factors is exactly 0: an InnerProduct without weights makes it."""
    zero = layer_text("InnerProduct", "a", "zero", "inner_product_param { num_output: 4 }", name="zero")
    product_layer = layer_text("Eltwise", "zero b", "y", f"eltwise_param {{ operation: PROD {options} }}")
    return f"force_backward: true\n{inputs(a=(3, 4), b=(3, 4))}\n{zero}{product_layer}"


def quotient_is_nan(base: Observation, changed: Observation) -> None:
    """0 / 0: Caffe's fast form of the product's gradient."""
    assert np.isfinite(base["gradient of zero[0]"]).all()
    assert np.isnan(changed["gradient of zero[0]"]).all()


def memory(**changes: int) -> str:
    sizes = {"batch_size": 4, "channels": 3, "height": 5, "width": 2, **changes}
    options = " ".join(f"{name}: {size}" for name, size in sizes.items())
    return layer_text("MemoryData", "", "data label", f"memory_data_param {{ {options} }}")


WIRING: list[Row] = [
    Changes("ConcatParameter.axis", *pair("Concat", "", "concat_param { axis: 0 }"), expect=joins_rows),
    Changes("ConcatParameter.concat_dim", *pair("Concat", "", "concat_param { concat_dim: 0 }"), expect=joins_rows),
    Changes("EltwiseParameter.operation", *pair("Eltwise", "", "eltwise_param { operation: PROD }"), expect=multiplies),
    Changes(
        "EltwiseParameter.coeff", *pair("Eltwise", "", "eltwise_param { coeff: 2 coeff: -1 }"), expect=weights_the_sum
    ),
    Changes(
        "EltwiseParameter.stable_prod_grad",
        zero_times(""),
        zero_times("stable_prod_grad: false"),
        expect=quotient_is_nan,
    ),
    Changes(
        "InputParameter.shape",
        layer_text("Input", "", "x y", "input_param { shape { dim: 2 } }"),
        layer_text("Input", "", "x y", "input_param { shape { dim: 2 } shape { dim: 3 } }"),
    ),
    *(
        Changes(f"MemoryDataParameter.{name}", memory(), memory(**{name: 6}))
        for name in ("batch_size", "channels", "height", "width")
    ),
]


# --- fillers ----------------------------------------------------------------------------------------------------


def filler(options: str) -> str:
    return net("InnerProduct", f"inner_product_param {{ num_output: 300 weight_filler {{ {options} }} }}", x=(2, 50))


def filled(statistic, base_value: float, changed_value: float):  # type: ignore[no-untyped-def]
    """The two weight blobs have these statistics, within a twentieth of the larger."""

    def check(base: Observation, changed: Observation) -> None:
        found = [float(statistic(seen["param layer[0]"])) for seen in (base, changed)]
        tolerance = 0.05 * max(abs(base_value), abs(changed_value))
        np.testing.assert_allclose(found, [base_value, changed_value], atol=tolerance)

    return check


def blob_file(name: str) -> str:
    source = f'weight_filler {{ type: "blob_proto" source: "{name}" }}'
    return net("InnerProduct", f"inner_product_param {{ num_output: 2 {source} }}", x=(2, 3))


def observe_with_files(text: str) -> Observation:
    """Beside two BlobProto files: "twos" and "fives"."""
    with tempfile.TemporaryDirectory() as folder:
        for name, value in (("twos", 2), ("fives", 5)):
            write_blobproto_file(f"{folder}/{name}", np.full((2, 3), value, np.float32))
            text = text.replace(name, f"{folder}/{name}")
        return observe_net(text)


FILLERS: list[Row] = [
    Changes("FillerParameter.type", filler(""), filler('type: "uniform"'), expect=filled(np.mean, 0, 0.5)),
    Changes("FillerParameter.value", filler(""), filler("value: 3"), expect=filled(np.mean, 0, 3)),
    Changes(
        "FillerParameter.min",
        filler('type: "uniform"'),
        filler('type: "uniform" min: -2'),
        expect=filled(np.min, 0, -2),
    ),
    Changes(
        "FillerParameter.max", filler('type: "uniform"'), filler('type: "uniform" max: 4'), expect=filled(np.max, 1, 4)
    ),
    Changes(
        "FillerParameter.mean",
        filler('type: "gaussian"'),
        filler('type: "gaussian" mean: 3'),
        expect=filled(np.mean, 0, 3),
    ),
    Changes(
        "FillerParameter.std",
        filler('type: "gaussian"'),
        filler('type: "gaussian" std: 0.1'),
        expect=filled(np.std, 1, 0.1),
    ),
    Changes(
        "FillerParameter.sparse",
        filler('type: "gaussian"'),
        filler('type: "gaussian" sparse: 30'),
        expect=filled(lambda weight: (weight != 0).mean(), 1, 0.1),
    ),
    Changes(
        "FillerParameter.variance_norm",
        filler('type: "msra"'),
        filler('type: "msra" variance_norm: FAN_OUT'),
        expect=filled(np.std, (2 / 50) ** 0.5, (2 / 300) ** 0.5),
    ),
    Changes(
        "FillerParameter.source",
        blob_file("twos"),
        blob_file("fives"),
        observe=observe_with_files,
        expect=filled(np.mean, 2, 5),
    ),
]

ROWS: list[Row] = [
    *CONVOLUTION,
    *POOLING,
    *NEURONS,
    *INNER_PRODUCT,
    *SCORES,
    *WIRING,
    *FILLERS,
]
