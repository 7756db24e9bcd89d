"""Datums to arrays and back."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from databases import pixels

from caffe_compat.data.datum import (
    DECODE_COLOR,
    DECODE_GRAY,
    decode_datum,
    encode_datum,
    encoded_datum,
    label_datum,
    parse_datum,
    stack_raw,
)
from caffe_compat.errors import DataError
from caffe_compat.proto import caffe_pb2


def fields(datum: caffe_pb2.Datum) -> set[str]:
    return {field.name for field, _ in datum.ListFields()}


def test_pixels_carry_the_fields_that_caffe_writes() -> None:
    image = pixels(1)[0]
    datum = encode_datum(image, 4)
    assert fields(datum) == {"channels", "height", "width", "data", "label", "encoded"} and not datum.encoded
    assert (datum.channels, datum.height, datum.width, datum.label) == (3, 5, 7, 4)
    np.testing.assert_array_equal(decode_datum(parse_datum(datum.SerializeToString())), image)


def test_values_become_float_data() -> None:
    values = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    datum = encode_datum(values)
    assert fields(datum) == {"channels", "height", "width", "float_data"}
    assert decode_datum(datum).dtype == np.float32
    np.testing.assert_array_equal(decode_datum(datum), values)


def test_a_label_record_is_one_float() -> None:
    datum = label_datum(-1)
    assert fields(datum) == {"channels", "height", "width", "float_data"}
    assert decode_datum(datum).tolist() == [[[-1.0]]]


def test_encoded_images_decode_as_asked() -> None:
    image = np.ascontiguousarray(pixels(1)[0].transpose(1, 2, 0))
    datum = encoded_datum(cv2.imencode(".png", image)[1].tobytes(), 2)
    assert fields(datum) == {"data", "label", "encoded"}
    np.testing.assert_array_equal(decode_datum(datum), image.transpose(2, 0, 1))
    assert decode_datum(datum, DECODE_GRAY).shape == (1, 5, 7)
    gray = encoded_datum(cv2.imencode(".png", image[:, :, 0])[1].tobytes(), 2)
    assert decode_datum(gray).shape == (1, 5, 7) and decode_datum(gray, DECODE_COLOR).shape == (3, 5, 7)


def test_integers_that_are_no_pixels_are_refused() -> None:
    with pytest.raises(ValueError, match="expected uint8 or a float type, got int64"):
        encode_datum(np.zeros((1, 2, 2), np.int64))


@pytest.mark.parametrize(
    "datum, problem",
    [
        (caffe_pb2.Datum(channels=3, height=2, width=2, data=b"12345"), "3 x 2 x 2 expected with 12 values, got 5"),
        (caffe_pb2.Datum(channels=1, height=2, width=2, float_data=[1.0]), "expected with 4 values, got 1"),
        (caffe_pb2.Datum(label=3), "0 x 0 x 0"),
        (encoded_datum(b"no image", 0), r"not a readable image \(8 bytes\)"),
        (encoded_datum(b"", 0), r"not a readable image \(0 bytes\)"),
        (encoded_datum(cv2.imencode(".png", np.zeros((2, 2), np.uint16))[1].tobytes(), 0), "8 bits .* got uint16"),
    ],
)
def test_broken_records(datum: caffe_pb2.Datum, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        decode_datum(datum)


def test_bytes_that_are_no_datum() -> None:
    with pytest.raises(DataError, match="not a Datum"):
        parse_datum(b"\xff\xff\xff\xff")


def test_raw_records_stack() -> None:
    images, values = pixels(4), np.random.default_rng(1).normal(size=(4, 1, 2, 3)).astype(np.float32)
    np.testing.assert_array_equal(stack_raw([encode_datum(image) for image in images]), images)
    np.testing.assert_array_equal(stack_raw([encode_datum(value) for value in values]), values)


@pytest.mark.parametrize(
    "odd",
    [
        encode_datum(np.zeros((3, 7, 5), np.uint8)),
        encode_datum(np.zeros((3, 5, 7), np.float32)),
        caffe_pb2.Datum(channels=3, height=5, width=7, data=b"x"),
        encoded_datum(b"x", 0),
    ],
)
def test_records_that_differ_do_not_stack(odd: caffe_pb2.Datum) -> None:
    whole = [encode_datum(image) for image in pixels(2)]
    assert stack_raw([*whole, odd]) is None
    assert stack_raw([odd, *whole]) is None
