"""HDF5Data and HDF5Output over real files; h5py is the witness. Real Caffe's batches are in test_data.py."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from databases import layer_from_text
from nets import forward, inputs, layer_text

from caffe_compat import Net
from caffe_compat.data.hdf5 import create
from caffe_compat.errors import CaffeCompatError, DataError, PrototxtError
from caffe_compat.layers import Layer
from caffe_compat.proto import caffe_pb2


def write_file(path: Path, **datasets: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file[name] = values
    return path


def write_files(folder: Path, *sizes: int) -> Path:
    """Files of so many rows; dataset "label" numbers them all, "data" (2, 3) holds 6 numbers of each."""
    first, names = 0, []
    for number, rows in enumerate(sizes):
        label = np.arange(first, first + rows, dtype=np.float32)
        data = label[:, None, None] * 10 + np.arange(6, dtype=np.float32).reshape(2, 3)
        names.append(write_file(folder / f"{number}.h5", data=data, label=label))
        first += rows
    (folder / "list.txt").write_text("".join(f"{name}\n" for name in names))
    return folder


def hdf5_data(folder: Path, options: str = "", tops: Sequence[str] = ("data", "label"), **context: int) -> Layer:
    names = " ".join(f'top: "{top}"' for top in tops)
    options = options if "source" in options else f'source: "{folder}/list.txt" {options}'
    return layer_from_text(f'name: "d" type: "HDF5Data" {names} hdf5_data_param {{ {options} }}', **context)


def labels(layer: Layer, batches: int) -> list[int]:
    return [int(label) for _ in range(batches) for label in layer()[-1]]


def test_batches_go_on_from_file_to_file_and_round(tmp_path: Path) -> None:
    layer = hdf5_data(write_files(tmp_path, 3, 1, 2), "batch_size: 4")
    assert layer.top_shapes([]) == [(4, 2, 3), (4,)]
    data, label = layer()
    assert label.tolist() == [0, 1, 2, 3] and data[3].tolist() == [[30, 31, 32], [33, 34, 35]]
    assert labels(layer, 3) == [4, 5, 0, 1, 2, 3, 4, 5, 0, 1, 2, 3]


def test_a_batch_of_several_rounds(tmp_path: Path) -> None:
    assert labels(hdf5_data(write_files(tmp_path, 2, 1), "batch_size: 8"), 2) == [0, 1, 2] * 5 + [0]


def test_any_number_of_tops_of_any_number_of_axes(tmp_path: Path) -> None:
    values = {"a": np.zeros((4, 2, 1, 3, 2, 2)), "b": np.ones(4), "c": np.full((4, 1), 2), "d": np.full((4, 0), 3)}
    write_file(tmp_path / "0.h5", **values)
    (tmp_path / "list.txt").write_text(f"{tmp_path}/0.h5")
    layer = hdf5_data(tmp_path, "batch_size: 2", tops="abcd")
    shapes = [(2, 2, 1, 3, 2, 2), (2,), (2, 1), (2, 0)]
    assert layer.top_shapes([]) == shapes == [tuple(top.shape) for top in layer()]
    assert [top.unique().tolist() for top in layer()] == [[0], [1], [2], []]


@pytest.mark.parametrize("dtype", ["u1", "i4", "i8", "f2", "f4", "f8", ">f4", ">i2"])
def test_number_types(tmp_path: Path, dtype: str) -> None:
    write_file(tmp_path / "0.h5", data=np.array([[3], [200 if dtype == "u1" else -7]], dtype))
    (tmp_path / "list.txt").write_text(f"{tmp_path}/0.h5")
    (top,) = hdf5_data(tmp_path, "batch_size: 2", tops=["data"])()
    assert top.dtype == torch.float32 and top.tolist() == [[3], [200 if dtype == "u1" else -7]]


def test_a_double_net_reads_doubles(tmp_path: Path) -> None:
    write_file(tmp_path / "0.h5", data=np.array([1 / 3]))
    (tmp_path / "list.txt").write_text(f"{tmp_path}/0.h5")
    assert hdf5_data(tmp_path, "batch_size: 1", tops=["data"]).double()()[0].item() == 1 / 3


def test_a_list_may_name_several_files_on_a_line(tmp_path: Path) -> None:
    write_files(tmp_path, 1, 1)
    (tmp_path / "list.txt").write_text(f"\n {tmp_path}/1.h5\t{tmp_path}/0.h5\n\n")
    assert labels(hdf5_data(tmp_path, "batch_size: 1"), 3) == [1, 0, 1]


def test_train_starts_where_it_is_told_and_test_at_the_beginning(tmp_path: Path) -> None:
    write_files(tmp_path, 3, 4)
    assert labels(hdf5_data(tmp_path, "batch_size: 3", phase=caffe_pb2.TRAIN, data_start=12), 1) == [5, 6, 0]
    assert labels(hdf5_data(tmp_path, "batch_size: 3", phase=caffe_pb2.TEST, data_start=12), 1) == [0, 1, 2]


def shuffled(folder: Path, seed: int, batches: int, **context: int) -> list[int]:
    layer = hdf5_data(folder, "batch_size: 5 shuffle: true", phase=caffe_pb2.TRAIN, seed=seed, **context)
    return labels(layer, batches)


def test_shuffled_rounds_take_the_files_in_new_orders_and_the_rows_of_each(tmp_path: Path) -> None:
    order = shuffled(write_files(tmp_path, 4, 3, 3), 1, 24)
    rounds = [order[first : first + 10] for first in range(0, 120, 10)]
    assert all(sorted(each) == list(range(10)) for each in rounds)
    file_of = [0] * 4 + [1] * 3 + [2] * 3
    file_orders = {tuple(dict.fromkeys(file_of[row] for row in each)) for each in rounds}
    assert len(file_orders) > 3
    for each in rounds:  # one file after the other
        files = [file_of[row] for row in each]
        assert sum(one != other for one, other in zip(files, files[1:], strict=False)) == 2
    assert len({tuple(row for row in each if row < 4) for each in rounds}) > 3
    assert order == shuffled(tmp_path, 1, 24) != shuffled(tmp_path, 2, 24)


def test_a_shuffled_run_that_goes_on_reads_what_it_would_have_read(tmp_path: Path) -> None:
    assert shuffled(write_files(tmp_path, 4, 3), 1, 6)[10:] == shuffled(tmp_path, 1, 4, data_start=10)


def test_the_log_is_caffes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "caffe_compat")
    labels(hdf5_data(write_files(tmp_path, 1, 1), "batch_size: 2"), 3)
    assert caplog.messages == [f"Loading list of HDF5 filenames from: {tmp_path}/list.txt", "Number of HDF5 files: 2"]


def test_h5py_is_imported_only_where_it_is_used() -> None:
    code = "import sys, caffe_compat.layers, caffe_compat.net; assert 'h5py' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def located(raised: pytest.ExceptionInfo[CaffeCompatError], layer_type: str, field: str) -> None:
    error = raised.value
    assert (error.path, error.layer, error.layer_type, error.field) == ("net.prototxt", "d", layer_type, field)


@pytest.mark.parametrize(
    ("options", "field", "problem"),
    [
        ("", "hdf5_data_param.batch_size", "expected > 0, got 0"),
        ("source: '' batch_size: 1", "hdf5_data_param.source", "the path of a list of HDF5 files, got nothing"),
        ("source: 'gone.txt' batch_size: 1", "hdf5_data_param.source", "gone.txt: cannot be read: No such file"),
        ("batch_size: 1 } transform_param { scale: 1", "transform_param", "HDF5Data does not transform data."),
    ],
)  # fmt: skip
def test_options_that_make_no_sense(tmp_path: Path, options: str, field: str, problem: str) -> None:
    with pytest.raises(CaffeCompatError, match=problem) as raised:
        hdf5_data(write_files(tmp_path, 1), options)
    located(raised, "HDF5Data", field)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "no HDF5 file there"),
        (b"broken", "Failed opening HDF5 file: "),
        ({"data": np.zeros((2, 2, 3))}, 'Failed to find HDF5 dataset "label", which the top is called; there are: d'),
        ({"data": np.zeros((2, 2, 3)), "label": 1.0}, 'dataset "label": Input must have at least 1 axis.'),
        ({"data": np.zeros((2, 2, 3)), "label": [b"a", b"b"]}, 'dataset "label": expected integers or floating point'),
        ({"data": np.zeros((2, 2, 3)), "label": [True, True]}, 'dataset "label": expected .*, got bool'),
        ({"data": np.zeros((2, 2, 3)), "label": np.zeros(3)}, 'one number of rows, at least 1, got 2 in "data", 3 in'),
        ({"data": np.zeros((0, 2, 3)), "label": np.zeros(0)}, 'at least 1, got 0 in "data", 0 in "label"'),
        ({"data": np.zeros((2, 6)), "label": np.zeros(2)}, r'"data": expected rows of shape \(2, 3\) .*, got \(6,'),
    ],
)  # fmt: skip
def test_files_that_cannot_be_read_are_found_at_once(tmp_path: Path, content: Any, problem: str) -> None:
    """Even the second: Caffe notices when its turn comes."""
    bad = write_files(tmp_path, 2, 2) / "1.h5"
    bad.unlink()
    if isinstance(content, bytes):
        bad.write_bytes(content)
    elif content is not None:
        write_file(bad, **content)
    with pytest.raises(DataError, match=f"{tmp_path}/list.txt:2: {bad}: .*{problem}") as raised:
        hdf5_data(tmp_path, "batch_size: 1")
    located(raised, "HDF5Data", "hdf5_data_param.source")


def test_an_empty_list(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("\n")
    with pytest.raises(DataError, match="list.txt: Must have at least 1 HDF5 filename listed"):
        hdf5_data(tmp_path, "batch_size: 1")


def test_a_file_that_is_gone_when_its_turn_comes(tmp_path: Path) -> None:
    layer = hdf5_data(write_files(tmp_path, 2, 2), "batch_size: 2")
    (tmp_path / "1.h5").unlink()
    layer()
    with pytest.raises(DataError, match="list.txt:2: .*1.h5: no HDF5 file there") as raised:
        layer()
    located(raised, "HDF5Data", "hdf5_data_param.source")


# --- HDF5Output -------------------------------------------------------------------------------------------------


def output_net(path: Path, data: Sequence[int] = (3, 2, 4), label: Sequence[int] = (3,)) -> Net:
    output = layer_text("HDF5Output", "data label", "", f'hdf5_output_param {{ file_name: "{path}" }}', name="d")
    return Net(inputs(data=data, label=label) + output, path="net.prototxt")


@pytest.mark.parametrize("double", [False, True])
def test_what_is_written_has_four_axes(tmp_path: Path, double: bool) -> None:
    net = output_net(tmp_path / "out.h5")
    data, label = np.arange(24.0).reshape(3, 2, 4) / 3, np.array([5, 6, 7])
    forward(net.double() if double else net, data=data, label=label)
    with h5py.File(tmp_path / "out.h5") as file:
        assert set(file) == {"data", "label"}
        assert file["data"].shape == (3, 2, 4, 1) and file["label"].shape == (3, 1, 1, 1)
        assert file["data"].dtype == file["label"].dtype == ("f8" if double else "f4")
        np.testing.assert_array_equal(file["data"][:, :, :, 0], data.astype("f8" if double else "f4"))
        assert file["label"][:, 0, 0, 0].tolist() == [5, 6, 7]


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    forward(output_net(tmp_path / "out.h5"), data=np.ones((3, 2, 4)), label=np.arange(3))
    (tmp_path / "list.txt").write_text(f"{tmp_path}/out.h5")
    data, label = hdf5_data(tmp_path, "batch_size: 3")()
    assert data.shape == (3, 2, 4, 1) and label.ravel().tolist() == [0, 1, 2]


def test_the_file_is_made_with_the_net_and_takes_one_batch(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_file(tmp_path / "out.h5", old=[1])
    net = output_net(path)
    with h5py.File(path) as file:
        assert not list(file)
    caplog.set_level(logging.INFO, "caffe_compat")
    arrays = {"data": np.ones((3, 2, 4)), "label": np.arange(3)}
    forward(net, **arrays)
    assert caplog.messages == [f"Saving HDF5 file {path}", "Successfully saved 3 rows"]
    problem = f"{path}: Failed to make float dataset data: the file has one already; the layer writes one batch"
    with pytest.raises(DataError, match=problem) as raised:
        forward(net, **arrays)
    located(raised, "HDF5Output", "hdf5_output_param.file_name")


@pytest.mark.parametrize(
    ("name", "shapes", "field", "problem"),
    [
        ("", {}, "hdf5_output_param.file_name", "expected the path of a file to write, got nothing"),
        ("nowhere/out.h5", {}, "hdf5_output_param.file_name", 'Failed to open HDF5 file ".*nowhere/out.h5"'),
        ("out.h5", {"data": (3, 1, 1, 1, 2)}, "bottom[0]", r"expected at most 4 axes, got 3 1 1 1 2 \(6\)"),
        ("out.h5", {"label": (4,)}, "bottom", r"must have the same batch size: 3 2 4 \(24\) and 4 \(4\)"),
    ],
)
def test_outputs_that_cannot_be(
    tmp_path: Path, name: str, shapes: dict[str, Sequence[int]], field: str, problem: str
) -> None:
    path: Any = tmp_path / name if name else ""
    with pytest.raises(PrototxtError, match=problem) as raised:
        output_net(path, **shapes)
    located(raised, "HDF5Output", field)


def test_the_output_needs_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DataError, match=r"out\.h5: HDF5 files need the Python package h5py"):
        create(str(tmp_path / "out.h5"))
