"""Messages as text, the way Caffe prints them."""

from __future__ import annotations

import numpy as np
import pytest

from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt import parse_text, to_text
from caffe_compat.prototxt.printing import float_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (0, "0"),
        (-2.5, "-2.5"),
        (104, "104"),
        (0.1, "0.1"),
        (0.0078125, "0.0078125"),
        (0.0001, "0.0001"),
        (1e-5, "1e-05"),
        (100000, "100000"),
        (1e6, "1e+06"),
        (123456.7, "123456.7"),
        (16777216, "16777216"),
        (1 / 3, "0.33333334"),
        (3.4028235e38, "3.4028235e+38"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
    ],
)
def test_floats_print_as_c_does(value: float, text: str) -> None:
    assert float_text(np.float32(value)) == text


def test_every_float_reads_back_the_same_and_no_shorter_one_does() -> None:
    bits = np.random.RandomState(0).randint(0, 2**32, 5000, dtype=np.uint64).astype(np.uint32)
    for value in bits.view(np.float32)[np.isfinite(bits.view(np.float32))]:
        text = float_text(value)
        assert np.float32(text) == value
        digits = len(text.lstrip("-").partition("e")[0].replace(".", "").strip("0"))
        assert digits <= 6 or np.float32(f"{value:.{digits - 1}g}") != value


def test_fields_come_in_number_order_with_two_blanks_of_indent() -> None:
    text = 'layer { include { phase: TEST } name: "x" convolution_param { kernel_size: 3 num_output: 4 } phase: TRAIN }'
    assert to_text(parse_text(text, caffe_pb2.NetParameter())) == (
        'layer {\n  name: "x"\n  include {\n    phase: TEST\n  }\n  phase: TRAIN\n'
        "  convolution_param {\n    num_output: 4\n    kernel_size: 3\n  }\n}\n"
    )


def test_an_empty_message_and_a_set_default_are_printed() -> None:
    net = parse_text("layer { dropout_param { } lrn_param { alpha: 1 } }", caffe_pb2.NetParameter())
    assert to_text(net) == "layer {\n  dropout_param {\n  }\n  lrn_param {\n    alpha: 1\n  }\n}\n"


@pytest.mark.parametrize("name", ['a "quoted" name', "back\\slash", "tab\tand\nline", "Über", "it's"])
def test_strings_read_back(name: str) -> None:
    net = caffe_pb2.NetParameter(name=name)
    text = to_text(net)
    assert text.isascii() and text.count("\n") == 1
    assert parse_text(text, caffe_pb2.NetParameter()) == net


def test_doubles_and_bytes_read_back() -> None:
    for message in (
        caffe_pb2.BlobProto(double_data=[0.1, 1 / 3, 1e300, -2]),
        caffe_pb2.Datum(data=bytes(range(256)), encoded=True),
    ):
        assert parse_text(to_text(message), type(message)()) == message
