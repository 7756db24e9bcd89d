"""Rows of the table of options for what every layer and every net has: wiring, parameters, rules, stored blobs."""

from __future__ import annotations

import numpy as np
from nets import inputs, layer_text
from option_table import Changes, NoEffect, Observation, Row

MESSAGES = ("NetParameter", "NetState", "NetStateRule", "LayerParameter", "ParamSpec", "BlobShape", "BlobProto")

X = inputs(x=(4, 3)) + "\n"
GAUSSIAN = 'inner_product_param { num_output: 3 weight_filler { type: "gaussian" } }'
IP = layer_text("InnerProduct", "x", "ip", GAUSSIAN, name="ip")
RELU = layer_text("ReLU", "x", "y", name="relu")


def product(extra: str, bottom: str = "x", name: str = "ip") -> str:
    return layer_text("InnerProduct", bottom, name, f"{extra} {GAUSSIAN}", name=name)


# --- NetParameter -----------------------------------------------------------------------------------------------


SPREADING = "it steers how the authors' Caffe spreads a net over machines; the results are the same"


def old_input(declaration: str) -> str:
    return f'input: "x" {declaration}\n{RELU}'


def logs_every_blob(base: Observation, changed: Observation) -> None:
    assert base["debug lines"] == []
    assert len(changed["debug lines"]) > 3


def reaches_the_input(base: Observation, changed: Observation) -> None:
    assert base["gradient of x"] is None and changed["gradient of x"] is not None


NET: list[Row] = [
    Changes("NetParameter.name", X + IP, 'name: "n"\n' + X + IP),
    Changes(
        "NetParameter.input",
        old_input("input_dim: 2 input_dim: 3 input_dim: 1 input_dim: 1"),
        old_input("input_dim: 2 input_dim: 3 input_dim: 1 input_dim: 1").replace('"x"', '"w"', 1) + "",
        refused="Unknown bottom blob 'x'",
    ),
    Changes(
        "NetParameter.input_shape",
        old_input("input_dim: 2 input_dim: 3 input_dim: 4 input_dim: 5"),
        old_input("input_shape { dim: 2 }"),
        along=("NetParameter.input_dim",),
    ),
    Changes(
        "NetParameter.input_dim",
        old_input("input_dim: 2 input_dim: 3 input_dim: 4 input_dim: 5"),
        old_input("input_dim: 2 input_dim: 3 input_dim: 4 input_dim: 6"),
    ),
    Changes("NetParameter.force_backward", X + IP, "force_backward: true\n" + X + IP, expect=reaches_the_input),
    Changes(
        "NetParameter.state",
        X + product('include { stage: "a" }'),
        'state { stage: "a" }\n' + X + product('include { stage: "a" }'),
        along=("NetState.stage",),
    ),
    Changes("NetParameter.debug_info", X + IP, "debug_info: true\n" + X + IP, expect=logs_every_blob),
    Changes("NetParameter.layer", X, X + IP),
    Changes(
        "NetParameter.layers",
        'input: "x" input_shape { dim: 2 }',
        'input: "x" input_shape { dim: 2 } layers { name: "r" type: RELU bottom: "x" top: "y" }',
    ),
    NoEffect("NetParameter.richness", SPREADING, X + IP, "richness: 3\n" + X + IP),
    NoEffect("NetParameter.auto_insert_gathers", SPREADING, X + IP, "auto_insert_gathers: false\n" + X + IP),
]


# --- which layers -----------------------------------------------------------------------------------------------


def ruled(state: str, rule: str, kind: str = "include") -> str:
    return f"state {{ {state} }}\n{X}{product(f'{kind} {{ {rule} }}')}"


RULES: list[Row] = [
    NoEffect(
        "NetState.phase",
        "Net(phase=...) and the solver set it, as pycaffe and the caffe tool do",
        ruled("phase: TRAIN", "phase: TEST"),
        ruled("phase: TEST", "phase: TEST"),
    ),
    Changes("NetState.level", ruled("level: 1", "min_level: 2"), ruled("level: 2", "min_level: 2")),
    Changes("NetState.stage", ruled('stage: "a"', 'stage: "b"'), ruled('stage: "a" stage: "b"', 'stage: "b"')),
    Changes("NetStateRule.phase", ruled("", "phase: TEST"), ruled("", "phase: TRAIN")),
    Changes("NetStateRule.min_level", ruled("level: 2", "min_level: 2"), ruled("level: 2", "min_level: 3")),
    Changes("NetStateRule.max_level", ruled("level: 2", "max_level: 2"), ruled("level: 2", "max_level: 1")),
    Changes("NetStateRule.stage", ruled('stage: "a"', 'stage: "a"'), ruled('stage: "a"', 'stage: "a" stage: "b"')),
    Changes("NetStateRule.not_stage", ruled('stage: "a"', 'not_stage: "b"'), ruled('stage: "a"', 'not_stage: "a"')),
    Changes("LayerParameter.include", X + product(""), X + product("include { phase: TRAIN }")),
    Changes("LayerParameter.exclude", X + product(""), X + product("exclude { phase: TEST }")),
]


# --- layers and their parameters --------------------------------------------------------------------------------


def weighted(base: Observation, changed: Observation) -> None:
    np.testing.assert_allclose(changed["loss"], 2 * changed["blob ip"].sum(), rtol=1e-5)
    assert base["loss"] == 0


def keeps_all(base: Observation, changed: Observation) -> None:
    assert (base["blob y"] == 0).any()
    np.testing.assert_array_equal(changed["blob y"], changed["blob x"])


def stops(base: Observation, changed: Observation) -> None:
    assert base["gradient of a[0]"] is not None and changed["gradient of a[0]"] is None


def chain(extra: str) -> str:
    return X + product("", "x", "a") + product(extra, "a", "b")


def shared(first: str, second: str) -> str:
    return X + product(f'param {{ name: "w" {first} }}', "x", "a") + product(f"param {{ {second} }}", "a", "b")


def is_one_blob(base: Observation, changed: Observation) -> None:
    assert (base["param a[0]"] != base["param b[0]"]).any()
    np.testing.assert_array_equal(changed["param a[0]"], changed["param b[0]"])


def two_shapes(share_mode: str) -> str:
    """Weights (3, 3) and, transposed in count only, (1, 9)."""
    wide = inputs(z=(4, 9))
    row = f'param {{ name: "w" {share_mode} }} inner_product_param {{ num_output: 1 }}'
    return X + wide + product('param { name: "w" }') + layer_text("InnerProduct", "z", "b", row, name="b")


LAYERS: list[Row] = [
    Changes("LayerParameter.name", X + IP, X + IP.replace('name: "ip"', 'name: "other"', 1)),
    Changes("LayerParameter.type", X + RELU, X + RELU.replace('"ReLU"', '"Softmax"')),
    Changes("LayerParameter.bottom", X + inputs(z=(4, 3)) + RELU, X + inputs(z=(4, 3)) + RELU.replace('"x"', '"z"')),
    Changes("LayerParameter.top", X + RELU, X + RELU.replace('"y"', '"z"')),
    Changes(
        "LayerParameter.phase",
        *(X + layer_text("Dropout", "x", "y", text) for text in ("", "phase: TEST")),
        phase="TRAIN",
        expect=keeps_all,
    ),
    Changes("LayerParameter.loss_weight", X + product(""), X + product("loss_weight: 2"), expect=weighted),
    Changes("LayerParameter.param", X + product(""), X + product("param { lr_mult: 3 }"), along=("ParamSpec.lr_mult",)),
    Changes("LayerParameter.propagate_down", chain(""), chain("propagate_down: false"), expect=stops),
    Changes("ParamSpec.name", shared("", ""), shared("", 'name: "w"'), expect=is_one_blob),
    Changes(
        "ParamSpec.share_mode",
        two_shapes("share_mode: PERMISSIVE"),
        two_shapes("share_mode: STRICT"),
        refused="shape mismatch",
    ),
    Changes("ParamSpec.lr_mult", X + product("param {}"), X + product("param { lr_mult: 0 }")),
    Changes("ParamSpec.decay_mult", X + product("param {}"), X + product("param { decay_mult: 0 }")),
]


# --- blobs written into the net ---------------------------------------------------------------------------------


def stored(weight: str) -> str:
    """An InnerProduct with one output and no bias, its weight written in the net."""
    options = "inner_product_param { num_output: 1 bias_term: false }"
    return inputs(x=(2, 2)) + "\n" + layer_text("InnerProduct", "x", "ip", f"blobs {{ {weight} }} {options}", name="ip")


SHAPE = "shape { dim: 1 dim: 2 }"
LEGACY = "num: 1 channels: 1 height: 1 width: 2 data: 1 data: 2"
NOT_READ = "a gradient that a file holds is not used again, as in Caffe"


def legacy(field: str) -> Row:
    one = LEGACY.split()[2 * ("num", "channels", "height", "width").index(field) + 1]
    changed = LEGACY.replace(f"{field}: {one}", f"{field}: {int(one) + 2}")
    return Changes(f"BlobProto.{field}", stored(LEGACY), stored(changed), refused="holds 2 numbers")


def has_weight(base_weight: list[float], changed_weight: list[float]):  # type: ignore[no-untyped-def]
    def check(base: Observation, changed: Observation) -> None:
        assert base["param ip[0]"].tolist() == [base_weight]
        assert changed["param ip[0]"].tolist() == [changed_weight]

    return check


BLOBS: list[Row] = [
    Changes(
        "LayerParameter.blobs",
        stored("").replace("blobs {  }", ""),
        stored(f"{SHAPE} data: 1 data: 2"),
        along=("BlobProto.data",),
        expect=has_weight([0, 0], [1, 2]),
    ),
    Changes(
        "BlobProto.shape",
        stored(f"{SHAPE} data: 1 data: 2"),
        stored("data: 1 data: 2"),
        refused="blobs[0]",
        along=("BlobShape.dim",),
    ),
    Changes(
        "BlobShape.dim",
        stored(f"{SHAPE} data: 1 data: 2"),
        stored("shape { dim: 2 dim: 1 } data: 1 data: 2"),
        refused="expected shape (1, 2), got (2, 1)",
    ),
    Changes(
        "BlobProto.data",
        stored(f"{SHAPE} data: 1 data: 2"),
        stored(f"{SHAPE} data: 1 data: 3"),
        expect=has_weight([1, 2], [1, 3]),
    ),
    Changes(
        "BlobProto.double_data",
        stored(f"{SHAPE} double_data: 1 double_data: 2"),
        stored(f"{SHAPE} double_data: 1 double_data: 3"),
        expect=has_weight([1, 2], [1, 3]),
    ),
    Changes(  # FLOAT16: 1 is 0x3C00, 2 is 0x4000, 3 is 0x4200
        "BlobProto.raw_data",
        stored(rf'{SHAPE} raw_data_type: FLOAT16 raw_data: "\x00\x3c\x00\x40"'),
        stored(rf'{SHAPE} raw_data_type: FLOAT16 raw_data: "\x00\x3c\x00\x42"'),
        expect=has_weight([1, 2], [1, 3]),
    ),
    Changes(
        "BlobProto.raw_data_type",
        stored(rf'{SHAPE} raw_data_type: FLOAT16 raw_data: "\x00\x3c\x00\x40"'),
        stored(rf'{SHAPE} raw_data_type: FLOAT raw_data: "\x00\x3c\x00\x40"'),
        refused="holds 1 numbers",
    ),
    NoEffect(
        "BlobProto.cut_index",
        "the reader of files uses it while a blob is apart from its message",
        stored(f"{SHAPE} data: 1 data: 2"),
        stored(f"{SHAPE} data: 1 data: 2 cut_index: 1"),
    ),
    NoEffect(
        "BlobProto.diff",
        NOT_READ,
        stored(f"{SHAPE} data: 1 data: 2"),
        stored(f"{SHAPE} data: 1 data: 2 diff: 5 diff: 6"),
    ),
    NoEffect(
        "BlobProto.double_diff",
        NOT_READ,
        stored(f"{SHAPE} data: 1 data: 2"),
        stored(f"{SHAPE} data: 1 data: 2 double_diff: 5 double_diff: 6"),
    ),
    *(legacy(name) for name in ("num", "channels", "height", "width")),
]

ROWS: list[Row] = [*NET, *RULES, *LAYERS, *BLOBS]
