"""ImageData over real files. Its batches equal real Caffe's in test_data.py; here order, options and errors."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from databases import GOLDEN_RUN, layer_from_text

from caffe_compat import Net
from caffe_compat.data.loader import set_num_workers
from caffe_compat.errors import CaffeCompatError, DataError
from caffe_compat.layers import Layer
from caffe_compat.proto import caffe_pb2

pytestmark = pytest.mark.usefixtures("in_this_process")


def write_list(folder: Path, count: int, size: tuple[int, int] = (4, 5)) -> Path:
    """Image n is ``image n.png``, all pixels 10 n (blue), 10 n + 1 (green), 10 n + 2 (red), label n."""
    for n in range(count):
        cv2.imwrite(f"{folder}/image {n}.png", np.full((*size, 3), (10 * n, 10 * n + 1, 10 * n + 2), np.uint8))
    (folder / "list.txt").write_text("".join(f"image {n}.png {n}\n" for n in range(count)))
    return folder


def image_data(folder: Path, options: str = "", transform: str = "", **context: int) -> Layer:
    for field, value in (("source", f"{folder}/list.txt"), ("root_folder", f"{folder}/")):
        options += "" if field in options else f' {field}: "{value}"'
    return layer_from_text(
        f'name: "data" type: "ImageData" top: "data" top: "label" transform_param {{ {transform} }} '
        f"image_data_param {{ {options} }}",
        **context,
    )


def labels(layer: Layer, batches: int) -> list[int]:
    return [int(label) for _ in range(batches) for label in layer()[1]]


def test_the_label_follows_the_last_blank_and_reading_goes_round(tmp_path: Path) -> None:
    layer = image_data(write_list(tmp_path, 5), "batch_size: 3")
    data, label = layer()
    assert layer.top_shapes([]) == [(3, 3, 4, 5), (3,)] == [data.shape, label.shape]
    assert label.tolist() == [0, 1, 2] and data[2, :, 0, 0].tolist() == [20, 21, 22]
    assert labels(layer, 3) == [3, 4, 0, 1, 2, 3, 4, 0, 1]


def test_the_batch_size_is_one_by_default_and_sizes_may_differ_then(tmp_path: Path) -> None:
    write_list(tmp_path, 2)
    cv2.imwrite(f"{tmp_path}/image 1.png", np.zeros((7, 3, 3), np.uint8))
    layer = image_data(tmp_path)
    assert [layer()[0].shape for _ in range(2)] == [(1, 3, 4, 5), (1, 3, 7, 3)]


def test_sizes_within_a_batch(tmp_path: Path) -> None:
    write_list(tmp_path, 3)
    cv2.imwrite(f"{tmp_path}/image 1.png", np.zeros((7, 3, 3), np.uint8))
    problem = r"list.txt:2: .*image 1.png: all records .* as in the first, got \(3, 7, 3\).*or image_data_param's new_h"
    with pytest.raises(DataError, match=problem):
        image_data(tmp_path, "batch_size: 2")()
    assert image_data(tmp_path, "batch_size: 2 new_height: 6 new_width: 2")()[0].shape == (2, 3, 6, 2)


def test_resizing_and_grey_are_opencvs(tmp_path: Path) -> None:
    """Witness: OpenCV itself, on a photograph."""
    name = GOLDEN_RUN / "images/000.jpg"
    (tmp_path / "list.txt").write_text(f"{name} 7\n")
    data, label = image_data(tmp_path, "root_folder: '' new_height: 9 new_width: 6 is_color: false")()
    np.testing.assert_array_equal(data[0, 0].numpy(), cv2.resize(cv2.imread(str(name), cv2.IMREAD_GRAYSCALE), (6, 9)))
    assert label.tolist() == [7]


def test_train_starts_where_it_is_told_and_test_at_the_beginning(tmp_path: Path) -> None:
    write_list(tmp_path, 5)
    assert labels(image_data(tmp_path, "batch_size: 2", phase=caffe_pb2.TRAIN, data_start=3), 1) == [3, 4]
    assert labels(image_data(tmp_path, "batch_size: 2", phase=caffe_pb2.TEST, data_start=3), 1) == [0, 1]


def shuffled(folder: Path, seed: int, batches: int, **context: int) -> list[int]:
    return labels(
        image_data(folder, "batch_size: 3 shuffle: true", phase=caffe_pb2.TRAIN, seed=seed, **context), batches
    )


def test_shuffled_rounds_hold_every_image_once(tmp_path: Path) -> None:
    order = shuffled(write_list(tmp_path, 6), 1, 8)
    rounds = [order[first : first + 6] for first in range(0, 24, 6)]
    assert all(sorted(each) == list(range(6)) for each in rounds)
    assert len({tuple(each) for each in rounds}) == 4 and rounds[0] != sorted(rounds[0])
    assert order == shuffled(tmp_path, 1, 8) != shuffled(tmp_path, 2, 8)


def test_a_shuffled_run_that_goes_on_reads_what_it_would_have_read(tmp_path: Path) -> None:
    assert shuffled(write_list(tmp_path, 5), 1, 6)[6:] == shuffled(tmp_path, 1, 4, data_start=6)


def test_two_lists_of_one_net_are_shuffled_alike(tmp_path: Path) -> None:
    write_list(tmp_path, 7)
    layer = (
        'layer {{ name: "{0}" type: "ImageData" top: "data{0}" top: "label{0}" image_data_param {{ shuffle: true '
        'source: "{1}/list.txt" root_folder: "{1}/" batch_size: 4 }} }}'
    )
    net = Net(layer.format("a", tmp_path) + layer.format("b", tmp_path), phase="TRAIN")
    for _ in range(3):
        net()
        assert net.blobs["labela"].tolist() == net.blobs["labelb"].tolist()


@pytest.mark.parametrize("phase", [caffe_pb2.TRAIN, caffe_pb2.TEST])
def test_rand_skip_starts_at_one_of_the_first(tmp_path: Path, phase: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "caffe_compat")
    write_list(tmp_path, 5)
    starts = [labels(image_data(tmp_path, "batch_size: 6 rand_skip: 3", phase=phase, seed=n), 1) for n in range(20)]
    assert {start[0] for start in starts} == {0, 1, 2}
    assert all(start[5] == start[0] for start in starts)  # and then from the beginning: once round is 5
    assert f"Skipping first {starts[-1][0]} data points." in caplog.messages


def test_crops_do_not_depend_on_where_reading_began(tmp_path: Path) -> None:
    write_list(tmp_path, 4, size=(9, 9))
    random = np.random.default_rng(0)
    for n in range(4):
        cv2.imwrite(f"{tmp_path}/image {n}.png", random.integers(0, 256, (9, 9, 3)).astype(np.uint8))
    made = {}
    for start in (0, 4):
        layer = image_data(tmp_path, "batch_size: 4", "crop_size: 3 mirror: true", phase=0, seed=3, data_start=start)
        made[start] = [layer()[0].numpy() for _ in range(2)]
    np.testing.assert_array_equal(made[0][1], made[4][0])
    assert not np.array_equal(made[0][0], made[0][1])


def test_workers_change_nothing(tmp_path: Path) -> None:
    alone = shuffled(write_list(tmp_path, 5), 1, 4)
    set_num_workers(2)
    assert shuffled(tmp_path, 1, 4) == alone


def test_an_old_net_keeps_its_scale(tmp_path: Path) -> None:
    """In a V1 layer the transformation's fields are image_data_param's own."""
    net = Net(
        f'layers {{ name: "d" type: IMAGE_DATA top: "data" top: "label" image_data_param {{ scale: 0.5 '
        f'source: "{write_list(tmp_path, 2)}/list.txt" root_folder: "{tmp_path}/" batch_size: 2 }} }}'
    )
    assert net()["data"][1, :, 0, 0].tolist() == [5, 5.5, 6]


def test_the_log_is_caffes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "caffe_compat")
    labels(image_data(write_list(tmp_path, 3), "batch_size: 2 shuffle: true"), 5)
    assert caplog.messages == [
        f"Opening file {tmp_path}/list.txt",
        "Shuffling data",
        "A total of 3 images.",
        "output data size: 2,3,4,5",
    ]


def test_what_changes_nothing_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    image_data(write_list(tmp_path, 1), transform="force_gray: true")
    assert "force_color and force_gray have no effect" in caplog.text


# --- errors -----------------------------------------------------------------------------------------------------


def located(raised: pytest.ExceptionInfo[CaffeCompatError], field: str) -> None:
    error = raised.value
    assert (error.path, error.layer, error.layer_type, error.field) == ("net.prototxt", "data", "ImageData", field)


@pytest.mark.parametrize(
    ("options", "transform", "field", "problem"),
    [
        ("batch_size: 0", "", "image_data_param.batch_size", "expected > 0, got 0"),
        ("source: ''", "", "image_data_param.source", "expected the path of a list of images, got nothing"),
        ("source: 'gone.txt'", "", "image_data_param.source", "gone.txt: cannot be read: No such file"),
        ("new_height: 3", "", "image_data_param.new_width", "to be set at the same time"),
        ("new_width: 3", "", "image_data_param.new_height", "to be set at the same time"),
        ("scale: 2", "", "image_data_param.scale", "has no effect in Caffe; write transform_param { scale: ... }"),
        ("mean_file: 'x'", "", "image_data_param.mean_file", "has no effect in Caffe"),
        ("crop_size: 2", "", "image_data_param.crop_size", "has no effect in Caffe"),
        ("mirror: true", "", "image_data_param.mirror", "has no effect in Caffe"),
        ("", "crop_size: 5", "transform_param.crop_size", r"list.txt:1: .*at least 5 x 5 pixels, got 4 x 5"),
        ("", "mean_value: 1 mean_value: 2", "transform_param.mean_value", r"as many as channels \(3\), got 2"),
        ("", "mean_file: 'gone'", "transform_param.mean_file", "gone: no mean file there"),
        ("root_folder: 'nowhere/'", "", "image_data_param.source", "list.txt:1: nowhere/image 0.png: cannot be read"),
    ],
)  # fmt: skip
def test_options_that_make_no_sense(tmp_path: Path, options: str, transform: str, field: str, problem: str) -> None:
    write_list(tmp_path, 3)
    with pytest.raises(CaffeCompatError, match=problem) as raised:
        image_data(tmp_path, options, transform)
    located(raised, field)


def test_skipping_all_there_is(tmp_path: Path) -> None:
    write_list(tmp_path, 1)
    with pytest.raises(CaffeCompatError, match="Not enough points to skip: [1-9][0-9]* of 1") as raised:
        image_data(tmp_path, "rand_skip: 100000", seed=1)
    located(raised, "image_data_param.rand_skip")


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ([], "list.txt: an empty list"),
        (
            ["image 0.png 0", "image 1.png"],
            r"list.txt:2: expected a line \"path label\", the label a whole number, got 'image 1.png'",
        ),
        (["image 0.png 0", "", "image 1.png 1"], "list.txt:2: expected a line"),
        (["image 0.png 0.5"], "list.txt:1: expected a line"),
    ],
)
def test_lists_that_cannot_be_read(tmp_path: Path, lines: Sequence[str], problem: str) -> None:
    write_list(tmp_path, 2)
    (tmp_path / "list.txt").write_text("\n".join(lines))
    with pytest.raises(DataError, match=problem) as raised:
        image_data(tmp_path)
    located(raised, "image_data_param.source")


@pytest.mark.parametrize("workers", [0, 2])
def test_images_that_cannot_be_read_are_named_when_their_turn_comes(tmp_path: Path, workers: int) -> None:
    (write_list(tmp_path, 4) / "image 3.png").write_bytes(b"broken")
    (tmp_path / "list.txt").write_text("".join(f"image {n}.png {n}\n" for n in (0, 1, 2, 3)))
    set_num_workers(workers)
    layer = image_data(tmp_path, "batch_size: 2")
    layer()
    problem = f"{tmp_path}/list.txt:4: {tmp_path}/image 3.png: not a readable image"
    for _ in range(2):  # and again, not something else
        with pytest.raises(DataError, match=problem) as raised:
            layer()
        located(raised, "image_data_param.source")
