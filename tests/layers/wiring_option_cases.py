"""Rows of the table of options for the layers that reshape, cut, select and tile, and for SPP, Python and the
recurrent ones."""

from __future__ import annotations

import numpy as np
from nets import inputs, layer_text
from option_cases import GAUSSIAN, bias_is_added, net
from option_table import Changes, NoEffect, Observation, Row

MESSAGES = (
    "FlattenParameter",
    "ReshapeParameter",
    "SliceParameter",
    "TileParameter",
    "ReductionParameter",
    "ArgMaxParameter",
    "CropParameter",
    "EmbedParameter",
    "SPPParameter",
    "ParameterParameter",
    "PythonParameter",
    "RecurrentParameter",
)

SHAPE = (2, 3, 4, 6)


def pair(type_name: str, message: str, base: str, changed: str, tops: str = "y", **shapes: tuple[int, ...]):  # type: ignore[no-untyped-def]
    """The layer with two settings of its message."""
    shapes = shapes or {"x": SHAPE}
    return tuple(net(type_name, f"{message} {{ {text} }}", tops, **shapes) for text in (base, changed))


def has_shape(*shape: int):  # type: ignore[no-untyped-def]
    """The changed net's top is the bottom's elements in this shape."""

    def check(base: Observation, changed: Observation) -> None:
        np.testing.assert_array_equal(changed["blob y"], changed["blob x"].reshape(shape))

    return check


# --- Flatten, Reshape, Slice, Tile, Crop ------------------------------------------------------------------------


def cuts_rows(base: Observation, changed: Observation) -> None:
    for name, part in zip("ab", np.split(changed["blob x"], 2), strict=True):
        np.testing.assert_array_equal(changed[f"blob {name}"], part)


def cuts_at_one(base: Observation, changed: Observation) -> None:
    np.testing.assert_array_equal(changed["blob a"], changed["blob x"][:, :1])
    np.testing.assert_array_equal(changed["blob b"], changed["blob x"][:, 1:])


def tiles_rows(base: Observation, changed: Observation) -> None:
    np.testing.assert_array_equal(changed["blob y"], np.tile(changed["blob x"], (2, 1, 1, 1)))


def tiles_thrice(base: Observation, changed: Observation) -> None:
    np.testing.assert_array_equal(changed["blob y"], np.tile(changed["blob x"], (1, 3, 1, 1)))


def crops_from_one(base: Observation, changed: Observation) -> None:
    np.testing.assert_array_equal(changed["blob y"], changed["blob a"][:, :, 1:4, 1:5])


def crops_columns(base: Observation, changed: Observation) -> None:
    np.testing.assert_array_equal(changed["blob y"], changed["blob a"][:, :, :, :4])


SHAPES: list[Row] = [
    Changes("FlattenParameter.axis", *pair("Flatten", "flatten_param", "", "axis: 2"), expect=has_shape(2, 3, 24)),
    Changes(
        "FlattenParameter.end_axis", *pair("Flatten", "flatten_param", "", "end_axis: 2"), expect=has_shape(2, 12, 6)
    ),
    Changes(
        "ReshapeParameter.shape",
        *pair("Reshape", "reshape_param", "num_axes: 0", "num_axes: 0 shape { dim: 1 dim: 1 }"),
        along=("BlobShape.dim",),
        expect=has_shape(1, 1, *SHAPE),
    ),
    Changes(
        "ReshapeParameter.axis",
        *pair("Reshape", "reshape_param", "shape { dim: -1 }", "shape { dim: -1 } axis: 2"),
        expect=has_shape(2, 3, 24),
    ),
    Changes(
        "ReshapeParameter.num_axes",
        *pair("Reshape", "reshape_param", "shape { dim: -1 }", "shape { dim: -1 } num_axes: 3"),
        expect=has_shape(24, 6),
    ),
    Changes("SliceParameter.axis", *pair("Slice", "slice_param", "", "axis: 0", "a b", x=(4, 6)), expect=cuts_rows),
    Changes(
        "SliceParameter.slice_dim", *pair("Slice", "slice_param", "", "slice_dim: 0", "a b", x=(4, 6)), expect=cuts_rows
    ),
    Changes(
        "SliceParameter.slice_point",
        *pair("Slice", "slice_param", "", "slice_point: 1", "a b", x=(4, 6)),
        expect=cuts_at_one,
    ),
    Changes("TileParameter.axis", *pair("Tile", "tile_param", "tiles: 2", "tiles: 2 axis: 0"), expect=tiles_rows),
    Changes("TileParameter.tiles", *pair("Tile", "tile_param", "tiles: 2", "tiles: 3"), expect=tiles_thrice),
    Changes(
        "CropParameter.axis",
        *pair("Crop", "crop_param", "", "axis: 3", a=(2, 3, 5, 6), b=(2, 3, 3, 4)),
        expect=crops_columns,
    ),
    Changes(
        "CropParameter.offset",
        *pair("Crop", "crop_param", "", "offset: 1", a=(2, 3, 5, 6), b=(2, 3, 3, 4)),
        expect=crops_from_one,
    ),
]


# --- Reduction, ArgMax, Embed, Parameter, SPP -------------------------------------------------------------------


def sums_magnitudes(base: Observation, changed: Observation) -> None:
    np.testing.assert_allclose(changed["blob y"], np.abs(changed["blob x"]).sum(), rtol=1e-5)


def sums_rows(base: Observation, changed: Observation) -> None:
    np.testing.assert_allclose(changed["blob y"], changed["blob x"].sum((1, 2, 3)), rtol=1e-4)


def is_tripled(base: Observation, changed: Observation) -> None:
    np.testing.assert_allclose(changed["blob y"], 3 * base["blob y"], rtol=1e-6)


def arg_max(base: str, changed: str) -> list[str]:
    """Without force_backward: positions have no gradient."""
    made = []
    for text in (base, changed):
        made.append(f"{inputs(x=(3, 5))}\n{layer_text('ArgMax', 'x', 'y', f'argmax_param {{ {text} }}')}")
    return made


def shows_the_maxima_too(base: Observation, changed: Observation) -> None:
    np.testing.assert_array_equal(changed["blob y"][:, 0], base["blob y"][:, 0])
    np.testing.assert_array_equal(changed["blob y"][:, 1, 0], changed["blob x"].max(1))


def is_numpys_order(base: Observation, changed: Observation) -> None:
    np.testing.assert_array_equal(changed["blob y"][:, 0], changed["blob x"].argsort(1)[:, :-3:-1])


def is_along_rows(base: Observation, changed: Observation) -> None:
    np.testing.assert_array_equal(changed["blob y"], changed["blob x"].argmax(0)[None])


def embed(base: str, changed: str, plain: str = f"num_output: 4 input_dim: 3 {GAUSSIAN}") -> list[str]:
    """Over whole numbers from 0 to 2, which have no gradient."""
    text = f"{inputs(label=(6,))}\n"
    return [
        text + layer_text("Embed", "label", "y", f"embed_param {{ {plain} {options} }}") for options in (base, changed)
    ]


def has_no_bias(base: Observation, changed: Observation) -> None:
    assert "param layer[1]" in base and "param layer[1]" not in changed


PICKING: list[Row] = [
    Changes(
        "ReductionParameter.operation",
        *pair("Reduction", "reduction_param", "", "operation: ASUM"),
        expect=sums_magnitudes,
    ),
    Changes("ReductionParameter.axis", *pair("Reduction", "reduction_param", "", "axis: 1"), expect=sums_rows),
    Changes("ReductionParameter.coeff", *pair("Reduction", "reduction_param", "", "coeff: 3"), expect=is_tripled),
    Changes("ArgMaxParameter.out_max_val", *arg_max("", "out_max_val: true"), expect=shows_the_maxima_too),
    Changes("ArgMaxParameter.top_k", *arg_max("", "top_k: 2"), expect=is_numpys_order),
    Changes("ArgMaxParameter.axis", *arg_max("", "axis: 0"), expect=is_along_rows),
    Changes(
        "EmbedParameter.num_output",
        *embed("num_output: 4", "num_output: 5", f"input_dim: 3 {GAUSSIAN}"),
    ),
    Changes("EmbedParameter.input_dim", *embed("input_dim: 3", "input_dim: 4", f"num_output: 4 {GAUSSIAN}")),
    Changes("EmbedParameter.bias_term", *embed("", "bias_term: false"), expect=has_no_bias),
    Changes(
        "EmbedParameter.weight_filler",
        *embed("", "weight_filler { value: 2 }", "num_output: 4 input_dim: 3"),
        along=("FillerParameter.value",),
    ),
    Changes(
        "EmbedParameter.bias_filler",
        *embed("", "bias_filler { value: 0.5 }"),
        along=("FillerParameter.value",),
        expect=bias_is_added,
    ),
    Changes(
        "ParameterParameter.shape",
        layer_text("Parameter", "", "y"),
        layer_text("Parameter", "", "y", "parameter_param { shape { dim: 2 dim: 3 } }"),
        along=("BlobShape.dim",),
    ),
    Changes(
        "SPPParameter.pyramid_height",
        *pair("SPP", "spp_param", "pyramid_height: 2", "pyramid_height: 3", x=(2, 3, 8, 8)),
    ),
    Changes("SPPParameter.pool", *pair("SPP", "spp_param", "pyramid_height: 2", "pyramid_height: 2 pool: AVE")),
    NoEffect(
        "SPPParameter.engine",
        "it picks among implementations of one function, of which there is one here",
        *pair("SPP", "spp_param", "pyramid_height: 2", "pyramid_height: 2 engine: CUDNN"),
    ),
]


# --- Python -----------------------------------------------------------------------------------------------------

SCALE = 'module: "user_layers" layer: "Scale"'


def is_tenfold(base: Observation, changed: Observation) -> None:
    np.testing.assert_allclose(changed["blob y"], 10 * base["blob y"], rtol=1e-6)
    np.testing.assert_allclose(changed["gradient of x"], 10 * base["gradient of x"], rtol=1e-6)


PYTHON: list[Row] = [
    Changes(
        "PythonParameter.module",
        *pair("Python", "python_param", SCALE, SCALE.replace("user_layers", "no_such_module")),
        refused='no module "no_such_module"',
    ),
    Changes("PythonParameter.layer", *pair("Python", "python_param", SCALE, SCALE.replace("Scale", "DiffInForward"))),
    Changes(
        "PythonParameter.param_str",
        *pair("Python", "python_param", SCALE, f'{SCALE} param_str: "10"'),
        expect=is_tenfold,
    ),
    NoEffect(
        "PythonParameter.share_in_parallel",
        "it lets several solvers of one process share the layer, and here a process has one",
        *pair("Python", "python_param", SCALE, f"{SCALE} share_in_parallel: true"),
    ),
]


# --- RNN, LSTM --------------------------------------------------------------------------------------------------


def lstm(base: str, changed: str, plain: str = f"num_output: 3 {GAUSSIAN}") -> list[str]:
    made = []
    for text in (base, changed):
        made.append(net("LSTM", f"recurrent_param {{ {plain} {text} }}", x=(4, 2, 5), cont=(4, 2)))
    return made


def rnn_net(options: str, bottoms: str, tops: str) -> str:
    shapes = {"x": (4, 2, 5), "cont": (4, 2), "h": (1, 2, 3)}
    text = layer_text("RNN", bottoms, tops, f"recurrent_param {{ num_output: 3 {GAUSSIAN} {options} }}")
    return f"force_backward: true\n{inputs(**shapes)}\n{text}"


def logs_every_timestep(base: Observation, changed: Observation) -> None:
    assert base["debug lines"] == []
    for t in range(1, 5):
        assert any(f"[Forward] Layer layer_unit_{t}, top blob c_{t} data" in line for line in changed["debug lines"])


RECURRENT: list[Row] = [
    Changes("RecurrentParameter.num_output", *lstm("num_output: 3", "num_output: 4", GAUSSIAN)),
    Changes(
        "RecurrentParameter.weight_filler",
        *lstm("", "weight_filler { value: 2 }", "num_output: 3"),
        along=("FillerParameter.value",),
    ),
    Changes(
        "RecurrentParameter.bias_filler", *lstm("", "bias_filler { value: 0.5 }"), along=("FillerParameter.value",)
    ),
    Changes("RecurrentParameter.debug_info", *lstm("", "debug_info: true"), expect=logs_every_timestep),
    Changes(
        "RecurrentParameter.expose_hidden",
        rnn_net("", "x cont", "y"),
        rnn_net("expose_hidden: true", "x cont h", "y hT"),
        along=("LayerParameter.bottom", "LayerParameter.top"),
    ),
]

ROWS: list[Row] = [*SHAPES, *PICKING, *PYTHON, *RECURRENT]
