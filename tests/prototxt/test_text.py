"""Protobuf text as Caffe's users write it, and what is said where they slip."""

from __future__ import annotations

import math
import re
from textwrap import dedent

import pytest

from caffe_compat.errors import PrototxtError
from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt import parse_text
from caffe_compat.prototxt.text import PrototxtSyntaxError


def layer(text: str) -> caffe_pb2.LayerParameter:
    return parse_text(f"layer {{ {text} }}", caffe_pb2.NetParameter()).layer[0]


def test_a_colon_may_stand_before_a_brace() -> None:
    assert [rule.phase for rule in layer("include: { phase: TRAIN } include { phase: TEST }").include] == [0, 1]


def test_comments_separators_and_brackets() -> None:
    text = """
        name: 'a' "b"  # strings side by side are one; a comment # runs to the end
        # name: "never"
        type: "Convolution", bottom: "x"; top: "y"
        convolution_param < num_output: 0x10, pad: [1, 2] kernel_size: 3; kernel_size: 5 >
    """
    conv = layer(text)
    assert (conv.name, conv.type, conv.bottom, conv.top) == ("ab", "Convolution", ["x"], ["y"])
    param = conv.convolution_param
    assert (param.num_output, param.pad, param.kernel_size) == (16, [1, 2], [3, 5])


@pytest.mark.parametrize(
    ("written", "value"),
    [("1.", 1), (".5", 0.5), ("-.5", -0.5), ("1e-3", 1e-3), ("2.f", 2), ("1E2", 100), ("7", 7), ("-inf", -math.inf)],
)
def test_floats(written: str, value: float) -> None:
    assert layer(f"loss_weight: {written}").loss_weight == pytest.approx([value])


@pytest.mark.parametrize(("written", "value"), [("true", True), ("True", True), ("t", True), ("1", True), ("0", False)])
def test_bools(written: str, value: bool) -> None:
    assert layer(f"propagate_down: {written}").propagate_down == [value]


def test_enums_by_name_and_by_number() -> None:
    assert layer("phase: TEST").phase == layer("phase: 1").phase == caffe_pb2.TEST


ERRORS = [  # text, line, column, pattern of the problem
    ('name: "net"\nlayer {\n  nmae: "x"\n}', 3, 3, 'LayerParameter has no field "nmae"; closest: name'),
    ('layer { type: "Pooling"\n pooling_parm { } }', 2, 2, "closest: pooling_param"),
    ("layer {\n  pooling_param { pool: MAXX }\n}", 2, 25, 'PoolMethod has no value "MAXX"; closest: MAX'),
    ("layer { phase: train }", 1, 16, 'Phase has no value "train"; closest: TRAIN'),
    ('layers { type: "Convolution" }', 1, 16, 'LayerType has no value "Convolution"; closest: CONVOLUTION'),
    ("layer { eltwise_param { operation: CONCAT } }", 1, 36, "known: PROD, SUM, MAX"),
    ("layer { type: CONVOLUTION }", 1, 15, "Expected string but found: 'CONVOLUTION'"),
    ('layer { name: "a" } }', 1, 21, "got }"),
    ("layer {\n  top: 'x'\n", 2, 8, 'Expected "}"'),
    ('name: "a"\nname: "b"', 2, 7, 'NetParameter" should not have multiple "name"'),
    ("layer { convolution_param { num_output: -1 } }", 1, 41, "out of range: -1"),
    ("layer { convolution_param { num_output: 1.5 } }", 1, 41, "parse integer: 1.5"),
    ("layer { convolution_param { bias_term: maybe } }", 1, 40, 'Expected "true" or "false"'),
    ('name: "net\n"', 1, 7, "missing ending quote"),
    ("base_lr: 0.1", 1, 1, 'NetParameter has no field "base_lr"'),
]


@pytest.mark.parametrize(("text", "line", "column", "pattern"), ERRORS, ids=[case[3] for case in ERRORS])
def test_errors_name_file_line_and_column(text: str, line: int, column: int, pattern: str) -> None:
    with pytest.raises(PrototxtSyntaxError) as caught:
        parse_text(text, caffe_pb2.NetParameter(), "net.prototxt")
    error = caught.value
    assert (error.path, error.line, error.column) == ("net.prototxt", line, column)
    assert str(error).startswith(f"net.prototxt:{line}:{column}: ")
    assert pattern in error.problem
    assert "\n" not in str(error) and "caffe_compat" not in str(error)


UNKNOWN_IN_LAYERS = [  # text, what stands between the place and the problem
    ('layer { name: "a" type: "ReLU" }\nlayer {\n  name: "data"  # { "x\n  type: "AnnotatedData"\n'
     '  param { name: "w" }\n  transform_param {\n    resize_param { } } }', ' layer "data" (AnnotatedData):'),
    ("layer { type: 'AnnotatedData' top: 'x' annotated_data_param { } }", ' layer "" (AnnotatedData):'),
    ("layers { name: 'fc 1/x' type: INNER_PRODUCT blobs_rl: 1 }", ' layer "fc 1/x" (INNER_PRODUCT):'),
    ("layers: { layer { name: 'v0' type: 'conv' colour: 1 } }", ' layer "v0" (conv):'),
    ("layer { name: 'a' pooling_param { pool: MAXX } }", ' layer "a":'),
    ("layer { bias_param { filler { type: 'xavier' } } colour: 1 }", ""),
    ("layer { name: 'a' } colour: 1", ""),
    ("colour: 1 layer { name: 'a' }", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "layer"), UNKNOWN_IN_LAYERS)
def test_the_layer_of_an_unknown_field_is_named(text: str, layer: str) -> None:
    with pytest.raises(PrototxtSyntaxError, match=rf"^net:\d+:\d+:{re.escape(layer)} [\w.]+ has no "):
        parse_text(text, caffe_pb2.NetParameter(), "net")


def test_the_line_itself_is_not_repeated_in_the_error() -> None:
    with pytest.raises(PrototxtSyntaxError) as caught:
        parse_text("layer { convolution_param { bias_term: maybe } }", caffe_pb2.NetParameter())
    assert str(caught.value) == '<text>:1:40: Expected "true" or "false".'


def test_a_required_field_that_is_missing_is_named() -> None:
    with pytest.raises(PrototxtError, match=r"net.prototxt: required field.*layer\[0\].clip_param.max"):
        parse_text("layer { clip_param { min: 1 } }", caffe_pb2.NetParameter(), "net.prototxt")


def test_the_constructs_of_the_authors_nets_parse() -> None:
    text = dedent("""
        name: "joint"  richness: 300
        auto_insert_gathers: false
        layer { name: "data" type: "Data" top: "label" include: { phase: TRAIN }
          data_param { source: "a_lmdb" backend: LMDB batch_size: 100 } }
        layer { name: "data" type: "Data" top: "data" include { phase: TEST }
          data_param { source: "b_lmdb" backend: LMDB batch_size: 100 } }
        layer { name: "loss" type: "SoftmaxWithNoisyLabelLoss" bottom: "y" bottom: "z" bottom: "noisy" top: "loss"
          param { lr_mult: 0 decay_mult: 0 }
          softmax_noisy_label_loss_param { update_noise_lr: 0.1
            matrix_c_filler { type: "blob_proto" source: "c.binaryproto" } } }
    """)
    net = parse_text(text, caffe_pb2.NetParameter())
    noisy = net.layer[2].softmax_noisy_label_loss_param
    assert (net.richness, net.auto_insert_gathers) == (300, False)
    assert (noisy.matrix_c_filler.type, noisy.matrix_c_filler.source) == ("blob_proto", "c.binaryproto")
    assert noisy.update_noise_lr == pytest.approx(0.1)
