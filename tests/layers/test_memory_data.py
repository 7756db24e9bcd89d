"""MemoryData: arrays that the program hands over."""

from __future__ import annotations

import numpy as np
import pytest
from databases import layer_from_text, pixels

from caffe_compat.errors import CaffeCompatError
from caffe_compat.layers import Layer


def memory_data(options: str = "batch_size: 2 channels: 3 height: 5 width: 7", transform: str = "") -> Layer:
    return layer_from_text(
        f'name: "m" type: "MemoryData" top: "data" top: "label" memory_data_param {{ {options} }} '
        f"transform_param {{ {transform} }}"
    )


def test_batches_go_round() -> None:
    layer, data = memory_data(), pixels(4).astype(np.float32)
    layer.set_input_arrays(data, np.arange(4.0).reshape(4, 1, 1, 1))
    assert [layer()[1].tolist() for _ in range(3)] == [[0, 1], [2, 3], [0, 1]]
    np.testing.assert_array_equal(layer()[0].numpy(), data[2:])
    layer.set_input_arrays(data[:2], np.array([8.0, 9.0]))
    assert layer()[1].tolist() == [8, 9]


def test_arrays_are_not_transformed_but_records_are() -> None:
    layer = memory_data("batch_size: 2 channels: 3 height: 3 width: 3", "crop_size: 3 scale: 0.5 mean_value: 10")
    layer.set_input_arrays(np.ones((2, 3, 3, 3), np.float32), np.zeros(2))
    assert layer()[0].unique().tolist() == [1]
    layer.add(list(pixels(2)), [4, 5])
    data, label = layer()
    np.testing.assert_array_equal(data.numpy(), (pixels(2)[:, :, 1:4, 2:5].astype(np.float32) - 10) * np.float32(0.5))
    assert label.tolist() == [4, 5]


def test_the_batch_size_and_sizes_count() -> None:
    assert memory_data().top_shapes([]) == [(2, 3, 5, 7), (2,)]


def test_nothing_to_read_yet() -> None:
    with pytest.raises(RuntimeError, match='layer "m" .MemoryData. has no data yet'):
        memory_data()()


@pytest.mark.parametrize(
    "data, labels, problem",
    [
        ((2, 3, 5, 6), 2, r"expected data \(N, 3, 5, 7\) and N labels, got \(2, 3, 5, 6\)"),
        ((2, 3, 5, 7), 3, "and 3$"),
        ((3, 3, 5, 7), 3, "expected a multiple of the batch size 2, got 3"),
        ((0, 3, 5, 7), 0, "multiple of the batch size 2, got 0"),
    ],
)
def test_arrays_that_do_not_fit(data: tuple[int, ...], labels: int, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        memory_data().set_input_arrays(np.zeros(data, np.float32), np.zeros(labels))


def test_records_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"records that become \(3, 5, 7\), got \(3, 5, 8\)"):
        memory_data().add([np.zeros((3, 5, 8), np.uint8)] * 2, [0, 0])


@pytest.mark.parametrize("field", ["batch_size", "channels", "height", "width"])
def test_sizes_must_be_given(field: str) -> None:
    options = " ".join(f"{name}: 2" for name in ("batch_size", "channels", "height", "width") if name != field)
    with pytest.raises(CaffeCompatError, match=f"memory_data_param.{field}: expected > 0, got 0"):
        memory_data(options)


def test_a_missing_mean_file() -> None:
    with pytest.raises(CaffeCompatError, match='layer "m" .MemoryData.: transform_param.mean_file: gone: no mean file'):
        memory_data(transform='mean_file: "gone"')
