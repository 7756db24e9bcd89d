"""tools/make_demo_data.py: folders that the nets, and the tools for real data, can read."""

import csv
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from databases import records

from caffe_compat.cli.convert_imageset import main as convert_imageset
from caffe_compat.cli.import_clothing1m import main as import_clothing1m
from caffe_compat.cli.make_demo_data import main
from caffe_compat.data.datum import decode_datum, parse_datum
from caffe_compat.demo import dataset
from caffe_compat.demo.plan import Plan
from caffe_compat.demo.write import TRUTH_HEADER, draw_files
from caffe_compat.prototxt import read_net
from caffe_compat.weights import read_caffemodel

PROTOTXT = Path(__file__).parents[2] / "prototxt"
COUNTS = ["--train_clean", "20", "--train_noisy", "30", "--val", "8", "--test", "6", "--processes", "1"]
SMALL = [*COUNTS, "--size", "32"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "demo"
    assert main([str(out), *SMALL, "--seed", "5"]) == 0
    return out


def truth_of(out):
    with open(out / "truth.csv", newline="") as file:
        return list(csv.DictReader(file))


def key_values(path):
    return dict(line.rsplit(" ", 1) for line in path.read_text().splitlines())


def labels_in(path):
    return [int(parse_datum(record).float_data[0]) for record in records(path).values()]


def files_in(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_truth_agrees_with_the_lists(demo):
    truth = truth_of(demo)
    assert tuple(truth[0]) == TRUTH_HEADER and len(truth) == 64
    noisy, clean = (key_values(demo / "raw" / f"{kind}_label_kv.txt") for kind in ("noisy", "clean"))
    assert noisy == {row["key"]: row["noisy"] for row in truth}
    assert clean == {row["key"]: row["true"] for row in truth if row["split"] != "noisy_train"}
    for split, count in (("clean_train", 20), ("clean_val", 8), ("clean_test", 6), ("noisy_train", 30)):
        keys = (demo / "raw" / f"{split}_key_list.txt").read_text().splitlines()
        assert keys == [row["key"] for row in truth if row["split"] == split] and len(keys) == count
    assert all(0 <= float(row["hardness"]) < 1 for row in truth)


def test_keys_are_like_clothing1m_s_and_no_picture_comes_twice(demo):
    keys = [row["key"] for row in truth_of(demo)]
    assert all(re.fullmatch(r"images/\d/\d\d/\d{10},\d+\.jpg", key) for key in keys)
    pictures = [cv2.imread(str(demo / "raw" / key)) for key in keys]
    assert {picture.shape for picture in pictures} == {(32, 32, 3)}
    assert len({picture.tobytes() for picture in pictures}) == len(set(keys)) == len(keys)


def test_mixed_databases_carry_the_labels_of_the_truth(demo):
    truth = {row["key"]: row for row in truth_of(demo)}
    keys = [key.decode().split("_", 1)[1] for key in records(demo / "mixed_images_lmdb")]
    order = [keys[position] for position in np.load(demo / "mixed_index.npy")]
    assert len(order) == 30 + 15, "clean ones drawn until they are half as many as the noisy ones"
    assert labels_in(demo / "mixed_noisy_labels_lmdb") == [int(truth[key]["noisy"]) for key in order]
    assert labels_in(demo / "mixed_clean_labels_lmdb") == [
        -1 if truth[key]["split"] == "noisy_train" else int(truth[key]["true"]) for key in order
    ]


def test_the_importer_and_convert_imageset_read_raw(demo, tmp_path):
    raw = demo / "raw"
    assert import_clothing1m([str(raw), str(tmp_path / "imported"), "--seed", "5"]) == 0
    assert (tmp_path / "imported/confusion.npy").read_bytes() == (demo / "confusion.npy").read_bytes()
    for name in ("mixed_noisy_labels_lmdb", "mixed_ntype_labels_lmdb"):
        assert records(tmp_path / "imported" / name) == records(demo / name)
    assert convert_imageset([f"{raw}/", str(raw / "clean_test.txt"), str(tmp_path / "db")]) == 0
    assert records(tmp_path / "db") == records(demo / "test_lmdb")


def test_equal_for_any_number_of_processes_and_any_counts(tmp_path):
    plan = Plan(train_clean=6, train_noisy=45, val=3, test=2, size=32, seed=7)
    alone = draw_files(tmp_path / "alone", plan, processes=1)
    assert draw_files(tmp_path / "together", plan, processes=2) == alone
    assert files_in(tmp_path / "together") == files_in(tmp_path / "alone")
    fewer = draw_files(tmp_path / "fewer", Plan(6, 1, 3, 2, 32, seed=7), processes=1)
    assert fewer == alone[: len(fewer)]
    assert files_in(tmp_path / "fewer").items() <= files_in(tmp_path / "alone").items()
    assert draw_files(tmp_path / "other", Plan(6, 1, 3, 2, 32, seed=8), processes=1) != fewer


def test_refuses_a_folder_that_exists_unless_forced(demo, tmp_path, capsys):
    before = files_in(demo)
    assert main([str(demo), *SMALL]) == 2
    assert "--force" in capsys.readouterr().err and files_in(demo) == before
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    assert main([str(out), *SMALL, "--seed", "5", "--force"]) == 0
    assert files_in(out) == before | {Path("notes.txt"): b"mine"}


def test_nothing_stays_of_a_run_that_fails(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(dataset, "write_contents", full)
    assert main([str(tmp_path / "out"), *SMALL]) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", [["--size", "8"], ["--val", "0"], ["--like", "imagenet"], ["--seed", "-1"], []])
def test_wrong_usage(wrong, tmp_path, capsys):
    assert main([str(tmp_path / "out"), *wrong] if wrong else []) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.fixture(scope="module")
def clothing1m(tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "clothing1m"
    assert main([str(out), "--like", "clothing1m", *COUNTS, "--contact_sheet"]) == 0
    return out


def test_like_clothing1m_makes_all_that_the_full_size_nets_name(clothing1m):
    named = set()
    for path in [*PROTOTXT.glob("*.prototxt"), *(PROTOTXT / "release").glob("*.prototxt")]:
        text = re.sub(r"snapshot_prefix:.*|#.*", "", path.read_text())
        named |= set(re.findall(r'"data/clothing1m/([^"]+)"', text))
    made_by_training = {name for name in named if name.endswith(".caffemodel")} - {"init_joint.caffemodel"}
    assert {"mixed_images_lmdb", "init_joint.caffemodel", "confusion.binaryproto"} <= named
    assert [name for name in sorted(named - made_by_training) if not (clothing1m / name).exists()] == []


def test_like_clothing1m_has_large_pictures(clothing1m):
    record = next(iter(records(clothing1m / "clean_train_lmdb").values()))
    assert decode_datum(parse_datum(record)).shape == (3, 256, 256)


def test_contact_sheet_has_a_row_for_each_class(clothing1m):
    height, width, _ = cv2.imread(str(clothing1m / "contact_sheet.jpg")).shape
    assert height > 14 * 80 and width > 13 * 80


def test_initial_weights_fit_the_joint_net(clothing1m):
    layers = {layer.name: layer for layer in read_net(PROTOTXT / "ours_train_val.prototxt")[0].layer}
    weights = read_caffemodel(clothing1m / "init_joint.caffemodel")
    assert len(weights) == 10
    for name, (weight, bias) in weights.items():
        wanted = layers[name].convolution_param
        assert weight.shape[0] == bias.shape[0] == wanted.num_output
        assert weight.shape[2:] == (wanted.kernel_size[0], wanted.kernel_size[0])
        assert weight.std() == pytest.approx(0.01, rel=0.02)
        assert (bias == wanted.bias_filler.value).all()
    assert np.array_equal(weights["conv3_clean"][0], weights["conv3_ntype"][0])
