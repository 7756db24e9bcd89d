"""The Data layer against real Caffe's batches, and its errors."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import lmdb
import numpy as np
import pytest
import torch
from databases import GOLDEN_RUN, data_layer, data_text, layer_from_text, pixels, write_images, write_labels
from google.protobuf import text_format

from caffe_compat import Net
from caffe_compat.data.group import describe, side_file, write_group
from caffe_compat.data.loader import set_num_workers
from caffe_compat.errors import CaffeCompatError, DataError, PrototxtError
from caffe_compat.proto import caffe_pb2

with np.load(GOLDEN_RUN.parent / "data.npz") as _file:
    GOLDEN = dict(_file)
CASES = sorted(key.removesuffix("/prototxt") for key in GOLDEN if key.endswith("/prototxt"))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("case", CASES)
def test_batches_equal_real_caffes(case: str, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(GOLDEN_RUN)
    text = str(GOLDEN[f"{case}/prototxt"])
    set_num_workers(workers)
    try:
        net = Net(text, phase="TEST")
    finally:
        set_num_workers(None)
    for batch in range(4):
        tops = net()
        assert tops.keys() == {key.split("/")[2] for key in GOLDEN if key.startswith(f"{case}/batch{batch}/")}
        for name, top in tops.items():
            np.testing.assert_array_equal(top.numpy(), GOLDEN[f"{case}/batch{batch}/{name}"])


def test_the_golden_cases_are_all_there() -> None:
    assert len(CASES) == 18


def test_tops_follow_the_layer(tmp_path: Path) -> None:
    layer = data_layer(write_images(tmp_path / "db", pixels(3)), 2).double()
    data, label = layer()
    assert data.dtype == label.dtype == torch.float64 and layer.top_shapes([]) == [(2, 3, 5, 7), (2,)]
    assert len(data_layer(tmp_path / "db", 2, tops=1)()) == 1


def test_labels_arrive_as_data(tmp_path: Path) -> None:
    (data,) = data_layer(write_labels(tmp_path / "db", [3, -1, 0]), 2, tops=1)()
    assert data.shape == (2, 1, 1, 1) and data.ravel().tolist() == [3, -1]


def test_an_index_reorders_the_images(tmp_path: Path) -> None:
    np.save(tmp_path / "mix.npy", np.array([2, 0, 2, 1]))
    layer = data_layer(write_images(tmp_path / "db", pixels(3)), 3, options=f'index: "{tmp_path}/mix.npy"')
    assert [layer()[1].tolist() for _ in range(2)] == [[2, 0, 2], [1, 2, 0]]


def test_train_starts_where_it_is_told_and_test_at_the_beginning(tmp_path: Path) -> None:
    path = write_images(tmp_path / "db", pixels(5))
    assert data_layer(path, 2, phase=caffe_pb2.TRAIN, data_start=3)()[1].tolist() == [3, 4]
    assert data_layer(path, 2, phase=caffe_pb2.TEST, data_start=3)()[1].tolist() == [0, 1]


def test_seeds(tmp_path: Path) -> None:
    path = write_images(tmp_path / "db", pixels(30))

    def crops(seed: int | None, name: str = "data") -> bytes:
        text = data_text(path, 30, "crop_size: 2").replace('name: "data"', f'name: "{name}"')
        param = text_format.Parse(text, caffe_pb2.LayerParameter())
        return layer_from_text(str(param), phase=caffe_pb2.TRAIN, seed=seed)()[0].numpy().tobytes()

    assert crops(1) == crops(1) != crops(2)
    assert crops(1) != crops(1, "other")  # two layers of a net do not crop alike
    torch.manual_seed(0)
    first, second = crops(None), crops(None)
    torch.manual_seed(0)
    assert first == crops(None) != second


def test_the_log_is_caffes(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.chdir(GOLDEN_RUN)
    caplog.set_level(logging.INFO, "caffe_compat")
    data_layer("train_lmdb", 10, 'mean_file: "mean.binaryproto"')
    assert caplog.messages == [
        "Opened lmdb train_lmdb",
        "Loading mean file from: mean.binaryproto",
        "output data size: 10,3,16,16",
    ]


# --- errors ---------------------------------------------------------------------------------------------------


def located(raised: pytest.ExceptionInfo[CaffeCompatError], field: str) -> None:
    error = raised.value
    assert (error.path, error.layer, error.layer_type, error.field) == ("net.prototxt", "data", "Data", field)


@pytest.mark.parametrize(
    "change, field, problem",
    [
        ("batch_size: 0", "batch_size", "expected > 0, got 0"),
        ("prefetch: 0", "prefetch", "expected > 0, got 0"),
        ("source: ''", "source", "expected the database's folder, got nothing"),
        ("crop_size: 3", "crop_size", r"has no effect in Caffe; write transform_param { crop_size: ... }"),
        ("mirror: false", "mirror", "has no effect in Caffe"),
    ],
)
def test_options_that_make_no_sense(tmp_path: Path, change: str, field: str, problem: str) -> None:
    param = text_format.Parse(data_text(write_images(tmp_path / "db", pixels(2)), 2), caffe_pb2.LayerParameter())
    param.data_param.MergeFrom(text_format.Parse(change, caffe_pb2.DataParameter()))
    with pytest.raises(PrototxtError, match=problem) as raised:
        layer_from_text(str(param))
    located(raised, f"data_param.{field}")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "tools/convert_imageset.py"),
        (b"", "data.mdb: .*expected"),
        (b"x" * 9000, "data.mdb: .*expected the magic"),
    ],
)
def test_a_source_that_is_no_database(tmp_path: Path, content: bytes | None, problem: str) -> None:
    if content is not None:
        (tmp_path / "data.mdb").write_bytes(content)
    with pytest.raises(DataError, match=f"{tmp_path}.*{problem}") as raised:
        data_layer(tmp_path, 2)
    located(raised, "data_param.source")


def test_an_index_that_does_not_fit(tmp_path: Path) -> None:
    np.save(tmp_path / "mix.npy", np.array([9]))
    with pytest.raises(DataError, match=r"mix.npy: expected positions in \[0, 2\), got \[9, 9\]") as raised:
        data_layer(write_images(tmp_path / "db", pixels(2)), 2, options=f'index: "{tmp_path}/mix.npy"')
    located(raised, "data_param.index")


@pytest.mark.parametrize(
    "transform, problem",
    [
        ('mean_file: "missing.binaryproto"', "missing.binaryproto: no mean file there; tools/compute_image_mean.py"),
        ('mean_file: "train.txt"', "train.txt: "),
        ('mean_file: "mean.binaryproto" mean_value: 3', "cannot be given together with mean_value"),
        ("force_gray: true force_color: true", "cannot be set together"),
        ("crop_size: 17", r"crop_size: expected .* at least 17 x 17 pixels, got 16 x 16"),
        ("mean_value: 1 mean_value: 2", r"as many as channels \(3\), got 2"),
    ],
)
def test_transformations_that_do_not_fit(transform: str, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(GOLDEN_RUN)
    with pytest.raises(CaffeCompatError, match=f'^net.prototxt: layer "data" .Data.: .*{problem}'):
        data_layer("train_lmdb", 2, transform)


def test_a_mean_of_another_size(tmp_path: Path) -> None:
    mean = GOLDEN_RUN / "mean.binaryproto"
    with pytest.raises(DataError, match=f'"{mean}", 3 x 16 x 16, got 3 x 5 x 7') as raised:
        data_layer(write_images(tmp_path / "db", pixels(2)), 2, f'mean_file: "{mean}"')
    located(raised, "transform_param.mean_file")


@pytest.mark.parametrize(
    "transform, options, text",
    [("force_gray: true", "", "only for encoded datum"), ("", "rand_skip: 3", "rand_skip has no effect")],
)
def test_what_changes_nothing_is_said(
    tmp_path: Path, transform: str, options: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    data_layer(write_images(tmp_path / "db", pixels(2)), 2, transform, options=options)
    assert text in caplog.text


# --- databases side by side -----------------------------------------------------------------------------------


def side_by_side(*sources: Path) -> Net:
    return Net("".join(f"layer {{ {_renamed(source, n)} }}\n" for n, source in enumerate(sources)), phase="TRAIN")


def _renamed(source: Path, number: int) -> str:
    return data_text(source, 2, tops=1).replace('"data"', f'"data{number}"')


def test_databases_of_one_group_must_match(tmp_path: Path) -> None:
    images, labels = write_images(tmp_path / "images", pixels(3)), write_labels(tmp_path / "labels", [0, 1, 2])
    for path in (images, labels):
        write_group(side_file(path), describe("g", "abc"))
    side_by_side(images, labels)()
    write_group(side_file(labels), describe("g", "acb"))
    with pytest.raises(DataError, match="images.*labels.*different orders"):
        side_by_side(images, labels)


def test_a_database_cut_after_it_was_made_is_refused(tmp_path: Path) -> None:
    images, labels = write_images(tmp_path / "images", pixels(3)), write_labels(tmp_path / "labels", [0, 1, 2])
    write_group(side_file(images), describe("g", "abc"))
    write_group(side_file(labels), describe("g", "abc"))
    shutil.rmtree(labels)
    write_labels(labels, [0, 1])
    write_group(side_file(labels), describe("g", "abc"))
    with pytest.raises(DataError, match="labels.*expected 3 records, as its side file says, got 2"):
        side_by_side(images, labels)


def test_an_index_has_its_own_side_file(tmp_path: Path) -> None:
    images, labels = write_images(tmp_path / "images", pixels(3)), write_labels(tmp_path / "labels", [2, 0, 2, 1])
    index = tmp_path / "mix.npy"
    np.save(index, np.array([2, 0, 2, 1]))
    write_group(side_file(images), describe("g", "abc"))  # of the images in their own order: not the one that counts
    write_group(side_file(images, index), describe("g", "cacb"))
    write_group(side_file(labels), describe("g", "cacb"))
    layers = f"layer {{ {_renamed(labels, 1)} }} layer {{ {data_text(images, 4, options=f'index: {str(index)!r}')} }}"
    assert Net(layers, phase="TRAIN")()["label"].tolist() == [2, 0, 2, 1]


SHUFFLE = "shuffle: true"


def test_what_is_shuffled_side_by_side_stays_together(tmp_path: Path) -> None:
    images, labels = write_images(tmp_path / "images", pixels(9)), write_labels(tmp_path / "labels", range(9))
    order = [8, 0, 1, 2, 3, 4, 5, 6, 7]
    np.save(tmp_path / "mix.npy", np.array(order))
    index = f'{SHUFFLE} index: "{tmp_path}/mix.npy"'
    place = data_text(labels, 4, tops=1, options=SHUFFLE).replace('"data"', '"place"')
    net = Net(f"layer {{ {data_text(images, 4, options=index)} }} layer {{ {place} }}", phase="TRAIN")
    for _ in range(5):
        tops = net()
        assert [order[int(at)] for at in tops["place"].ravel()] == tops["label"].tolist()
    assert tops["label"].tolist() != [order[at % 9] for at in range(16, 20)]


def test_one_shuffled_beside_one_that_is_not(tmp_path: Path) -> None:
    images, labels = write_images(tmp_path / "images", pixels(4)), write_labels(tmp_path / "labels", range(4))
    layers = f"layer {{ {data_text(images, 2, options=SHUFFLE)} }} layer {{ {_renamed(labels, 2)} }}"
    problem = 'images" is read with "shuffle: true" and database ".*labels" without'
    with pytest.raises(DataError, match=problem) as raised:
        Net(layers, phase="TRAIN")
    assert raised.value.field == "data_param.shuffle"


def test_different_lengths_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    side_by_side(write_images(tmp_path / "images", pixels(3)), write_labels(tmp_path / "labels", [0, 1]))
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1 and "images (3 records)" in warnings[0].getMessage()


def test_the_first_record_s_damage_is_told_with_its_key(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path / "data")) as database, database.begin(write=True) as transaction:
        transaction.put(b"00000000_a.png", b"\xff\xff no message")
    with pytest.raises(DataError, match=r'layer "data".*: .*/data: record 00000000_a.png: .*not a Datum'):
        data_layer(tmp_path / "data", 1)
