"""The transformer against Caffe's loop over pixels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from databases import pixels

from caffe_compat.data.transformer import Transformer
from caffe_compat.errors import DataError, PrototxtError
from caffe_compat.proto import caffe_pb2

TRAIN, TEST = caffe_pb2.TRAIN, caffe_pb2.TEST
CHANNELS, HEIGHT, WIDTH = SHAPE = (3, 9, 12)


def param(**options: object) -> caffe_pb2.TransformationParameter:
    return caffe_pb2.TransformationParameter(**options)


def apply(transformer: Transformer, images: np.ndarray, first_record: int = 0) -> np.ndarray:
    out = np.full((len(images), *transformer.output_shape(images.shape[1:])), np.nan, np.float32)
    transformer.transform_stack(images, transformer.draw(first_record + np.arange(len(images))), out)
    return out


def pixel_by_pixel(
    image: np.ndarray, mirror: bool, top: int, left: int, crop: int, mean: np.ndarray, scale: float
) -> np.ndarray:
    """DataTransformer::Transform as it is written in C++; mean (C, H, W)."""
    height, width = (crop, crop) if crop else image.shape[1:]
    out = np.empty((len(image), height, width), np.float32)
    for c, h, w in itertools.product(range(len(image)), range(height), range(width)):
        value = np.float32(image[c, top + h, left + w]) - np.float32(mean[c, top + h, left + w])
        out[c, h, width - 1 - w if mirror else w] = value * np.float32(scale)
    return out


@pytest.mark.parametrize("phase", [TRAIN, TEST])
@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("crop", [0, 6])
@pytest.mark.parametrize("kind", ["file", "values", "value", "none"])
def test_every_record_is_one_that_caffes_loop_can_make(phase: int, mirror: bool, crop: int, kind: str) -> None:
    images, full = pixels(12, SHAPE), np.random.default_rng(1).normal(100, 20, SHAPE).astype(np.float32)
    options = {"mirror": mirror, "crop_size": crop, "scale": 0.37}
    mean = np.zeros(SHAPE, np.float32)
    if kind == "file":
        options["mean_file"], mean = "m.binaryproto", full
    elif kind != "none":
        values = [104.0, 117.0, 123.5] if kind == "values" else [99.5]
        options["mean_value"] = values
        mean += np.array(values, np.float32)[:, None, None]
    transformer = Transformer(param(**options), phase, full[None] if kind == "file" else None, (5, 6))
    spare = (HEIGHT - crop, WIDTH - crop) if crop else (0, 0)
    places = list(itertools.product(range(spare[0] + 1), range(spare[1] + 1)))
    if phase == TEST:
        places = [(spare[0] // 2, spare[1] // 2)]
    seen = set()
    for image, result in zip(images, apply(transformer, images), strict=True):
        for flip, (top, left) in itertools.product((False, True) if mirror else (False,), places):
            if np.array_equal(result, pixel_by_pixel(image, flip, top, left, crop, mean, 0.37)):
                seen.add((flip, top, left))
                break
        else:
            pytest.fail("no crop and mirror gives this")
    assert {flip for flip, _, _ in seen} == ({False, True} if mirror else {False})  # mirrored in TEST too, as in Caffe
    assert (len(seen) > 4) == (phase == TRAIN and crop > 0)


def test_the_crop_reaches_every_place_about_equally() -> None:
    transformer = Transformer(param(crop_size=8), TRAIN, seed=(1, 2))
    places = np.arange(9 * 12, dtype=np.uint8).reshape(1, 9, 12)
    corners = apply(transformer, np.repeat(places[None], 2000, 0))[:, 0, 0, 0].astype(int)
    counts = np.bincount(corners, minlength=17)[[0, 1, 2, 3, 4, 12, 13, 14, 15, 16]]
    assert counts.sum() == 2000 and counts.min() > 150 and counts.max() < 250


def test_random_numbers_depend_on_seed_and_record_only() -> None:
    images = np.repeat(pixels(1, SHAPE), 40, 0)
    options = param(crop_size=4, mirror=True)
    whole = apply(Transformer(options, TRAIN, seed=(3, 4)), images)
    later = apply(Transformer(options, TRAIN, seed=(3, 4)), images[:7], first_record=13)
    np.testing.assert_array_equal(later, whole[13:20])
    for other in ((3, 5), (4, 4)):
        assert not np.array_equal(apply(Transformer(options, TRAIN, seed=other), images), whole)
    assert len({record.tobytes() for record in whole}) > 25


def test_floats_and_single_records_go_through_the_same_formula() -> None:
    images = pixels(5, SHAPE).astype(np.float32)
    transformer = Transformer(param(crop_size=5, mirror=True, scale=2, mean_value=[7]), TRAIN, seed=(1, 1))
    out = np.empty((5, 3, 5, 5), np.float32)
    for image, bits, one in zip(images, transformer.draw(np.arange(5)), out, strict=True):
        transformer.transform(image, bits, one)
    np.testing.assert_array_equal(out, apply(transformer, images))


def test_options_that_exclude_each_other() -> None:
    with pytest.raises(PrototxtError, match="mean_file: cannot be given together with mean_value"):
        Transformer(param(mean_file="m", mean_value=[1]))
    with pytest.raises(PrototxtError, match="force_color: cannot be set together with force_gray"):
        Transformer(param(force_color=True, force_gray=True))


@pytest.mark.parametrize(
    "options, mean, problem",
    [
        ({"crop_size": 10}, None, r"crop_size: expected .* at least 10 x 10 pixels, got 9 x 12"),
        ({"mean_file": "m.binaryproto"}, np.zeros((3, 9, 11)), 'file: .*"m.binaryproto", 3 x 9 x 11, got 3 x 9 x 12'),
        ({"mean_value": [1, 2]}, None, r"mean_value: expected 1 or as many as channels \(3\), got 2"),
    ],
)
def test_records_that_do_not_fit(options: dict[str, object], mean: np.ndarray | None, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        Transformer(param(**options), TEST, mean).output_shape(SHAPE)
