"""Checking made data folders: every fault planted once in a small one, and found in its database and record."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_datasets import write_clothing1m

from caffe_compat.data.datum import encode_datum, label_datum, parse_datum
from caffe_compat.data.group import Group, read_group, side_file, write_group
from caffe_compat.data.imageset import ImageFormat
from caffe_compat.data.lmdb_store import LmdbReader, write_database
from caffe_compat.datasets import layout
from caffe_compat.datasets.check.findings import Findings
from caffe_compat.datasets.check.recognise import recognise
from caffe_compat.datasets.check.report import text_lines
from caffe_compat.datasets.check.run import check
from caffe_compat.datasets.check.subjects import MADE, Subject
from caffe_compat.datasets.clothing1m.building import RECIPES, build
from caffe_compat.datasets.clothing1m.lists import read_lists
from caffe_compat.datasets.contents import write_contents
from caffe_compat.datasets.databases import image_reader
from caffe_compat.datasets.mix_recipe import MixRecipe
from caffe_compat.proto import caffe_pb2
from caffe_compat.weights import read_blobproto_file, write_blobproto_file


def each_once(name: str) -> MixRecipe:
    """The recipe with each clean image once: drawing leaves some out."""
    return dataclasses.replace(RECIPES[name], clean_ratio=0)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    write_clothing1m(folder / "raw")
    contents = build(read_lists(folder / "raw")[0], each_once("paper"), seed=0)
    (folder / "data").mkdir()
    write_contents(folder / "data", contents, image_reader(folder / "raw", ImageFormat(size=(5, 6))))
    return folder / "data"


@pytest.fixture
def data(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "data"))


def found(folder: Path) -> dict[str, list[str]]:
    findings = check(MADE, Subject(folder))
    return {kind: [str(place) for place in places] for kind, places in findings.places.items()}


Change = Callable[[int, bytes, caffe_pb2.Datum], tuple[bytes, caffe_pb2.Datum] | None]


def rewrite(database: Path, change: Change) -> None:
    """Write a database again with other records: ``change`` gives each one, or None to leave it out."""
    reader = LmdbReader(database)
    records = [(reader.key(n), parse_datum(reader.read(n))) for n in range(len(reader))]
    reader.close()
    group = read_group(side_file(database))
    shutil.rmtree(database)
    changed = [change(n, key, datum) for n, (key, datum) in enumerate(records)]
    write_database(database, (record for record in changed if record is not None), group)


def relabel(database: Path, record: int, label: float) -> None:
    def change(number: int, key: bytes, datum: caffe_pb2.Datum) -> tuple[bytes, caffe_pb2.Datum]:
        if number == record and datum.float_data:
            datum = label_datum(label)
        elif number == record:
            datum.label = int(label)
        return key, datum

    rewrite(database, change)


def replace_record(database: Path, record: int, key: bytes | None, datum: caffe_pb2.Datum | None) -> None:
    rewrite(database, lambda n, old_key, old: (key or old_key, datum or old) if n == record else (old_key, old))


def record_of(database: Path, number: int) -> tuple[str, caffe_pb2.Datum]:
    reader = LmdbReader(database)
    key, datum = os.fsdecode(reader.key(number)), parse_datum(reader.read(number))
    reader.close()
    return key.partition("_")[2], datum


def first_record(database: Path, wanted: Callable[[float], bool]) -> int:
    """The first record of a label database whose label is wanted."""
    reader = LmdbReader(database)
    labels = [parse_datum(reader.read(n)).float_data[0] for n in range(len(reader))]
    reader.close()
    return next(n for n, label in enumerate(labels) if wanted(label))


def test_a_clean_folder_is_clean(data: Path) -> None:
    assert recognise(data) == MADE
    findings = check(MADE, Subject(data))
    assert findings == Findings({}, findings.facts)
    facts = findings.facts
    assert facts["image_shape"] == [3, 5, 6]
    assert facts["class_counts"]["test_lmdb"] == {"T-Shirt": 1, "Shirt": 1, "Knitwear": 2, "Chiffon": 2}
    assert sum(facts["class_counts"]["mixed_noisy_labels_lmdb"].values()) >= 40
    assert facts["label_accuracy"] == {"pairs.csv": {"pairs": 10, "right": 6, "accuracy": 0.6}}


def test_materialised_and_encoded_folders_are_clean(original: Path, tmp_path: Path) -> None:
    raw = original.parent / "raw"
    contents = build(read_lists(raw)[0], each_once("release"), seed=0)
    for name, form in (("plain", ImageFormat(size=(5, 6))), ("encoded", ImageFormat(size=(5, 6), encoding="png"))):
        (tmp_path / name).mkdir()
        write_contents(tmp_path / name, contents, image_reader(raw, form), materialise=name == "plain")
        assert found(tmp_path / name) == {}


# --- one fault at a time ------------------------------------------------------------------------------------------


def cut_database(data: Path) -> None:
    file = data / layout.VAL / "data.mdb"
    file.write_bytes(file.read_bytes()[:4096])


def no_noisy_labels(data: Path) -> None:
    shutil.rmtree(data / layout.MIXED_NTYPE_LABELS)


def broken_record(data: Path) -> None:
    key, datum = record_of(data / layout.TEST, 2)
    datum.data = datum.data[:-1]
    replace_record(data / layout.TEST, 2, None, datum)


def wrong_key(data: Path) -> None:
    replace_record(data / layout.TEST, 2, b"00000002x", None)


def wrong_label_key(data: Path) -> None:
    replace_record(data / layout.MIXED_CLEAN_LABELS, 4, b"00000004_", None)


def other_size(data: Path) -> None:
    replace_record(data / layout.TEST, 3, None, encode_datum(np.zeros((3, 6, 5), np.uint8), 1))


def small_mean(data: Path) -> None:
    write_blobproto_file(data / layout.MEAN, np.zeros((1, 3, 5, 5), np.float32))


def scaled_mean(data: Path) -> None:
    write_blobproto_file(data / layout.MEAN, np.full((1, 3, 5, 6), -0.5, np.float32))


def broken_names(data: Path) -> None:
    (data / layout.NAMES).write_bytes(b"\xff\xfe")


def no_mixed_images(data: Path) -> None:
    shutil.rmtree(data / layout.MIXED_IMAGES)


def no_clean_training(data: Path) -> None:
    shutil.rmtree(data / layout.CLEAN_TRAIN)


def nothing_to_train_on(data: Path) -> None:
    for name in (layout.CLEAN_TRAIN, layout.MIXED_IMAGES):
        shutil.rmtree(data / name)


def broken_pairs(data: Path) -> None:
    with open(data / layout.PAIRS, "a") as file:
        file.write("a,9,1\n")


def fewer_labels(data: Path) -> None:
    rewrite(data / layout.MIXED_NTYPE_LABELS, lambda n, key, datum: None if n == 59 else (key, datum))


def index_too_high(data: Path) -> None:
    index = np.load(data / layout.MIXED_INDEX)
    index[7] = 60
    np.save(data / layout.MIXED_INDEX, index)


def noisy_image_unread(data: Path) -> None:
    index = np.load(data / layout.MIXED_INDEX)
    place = int(np.flatnonzero(index == 30)[0])
    index[place] = 31  # of another name and other labels: the group notices too
    np.save(data / layout.MIXED_INDEX, index)


def no_side_file(data: Path) -> None:
    side_file(data / layout.MIXED_NOISY_LABELS).unlink()


def old_side_file(data: Path) -> None:
    group = read_group(side_file(data / layout.MIXED_NOISY_LABELS))
    assert group is not None
    write_group(side_file(data / layout.MIXED_NOISY_LABELS), Group(group.group, group.records, "0" * 64))


def label_too_high(data: Path) -> None:
    relabel(data / layout.VAL, 1, 4)


def type_too_high(data: Path) -> None:
    relabel(data / layout.MIXED_NTYPE_LABELS, 0, 3)


def fraction(data: Path) -> None:
    relabel(data / layout.MIXED_TRUTH_LABELS, 5, 1.5)


def no_label_at_all(data: Path) -> None:
    record = first_record(data / layout.MIXED_CLEAN_LABELS, lambda label: label < 0)
    relabel(data / layout.MIXED_NOISY_LABELS, record, -1)


def another_clean_label(data: Path) -> None:
    record = first_record(data / layout.MIXED_CLEAN_LABELS, lambda label: label == 1)
    for name in (layout.MIXED_CLEAN_LABELS, layout.MIXED_TRUTH_LABELS):
        relabel(data / name, record, 2)
    relabel(data / layout.MIXED_NTYPE_LABELS, record, -1)


def tested_image_in_training(data: Path) -> None:
    path, datum = record_of(data / layout.TEST, 0)
    replace_record(data / layout.CLEAN_TRAIN, 3, f"{3:08d}_{path}".encode(), datum)


def same_pixels(data: Path) -> None:
    _, datum = record_of(data / layout.TEST, 0)
    datum.label = -1
    replace_record(data / layout.MIXED_IMAGES, 30, None, datum)


def clean_pixels_among_noisy(data: Path) -> None:
    _, datum = record_of(data / layout.CLEAN_TRAIN, 0)
    datum.label = -1
    replace_record(data / layout.MIXED_IMAGES, 30, None, datum)


def changed_confusion(change: Callable[[np.ndarray], None]) -> Callable[[Path], None]:
    def plant(data: Path) -> None:
        matrix = read_blobproto_file(data / layout.CONFUSION).copy()
        change(matrix[0, 0])
        write_blobproto_file(data / layout.CONFUSION, matrix)
        np.save(data / layout.CONFUSION_NPY, matrix[0, 0].astype(np.float64))

    return plant


def on_the_diagonal(matrix: np.ndarray) -> None:
    matrix[1, 1] = 0.5


def doubled(matrix: np.ndarray) -> None:
    matrix[:, 0] *= 2


def negative(matrix: np.ndarray) -> None:
    matrix[0, 1] = -1


def transposed(matrix: np.ndarray) -> None:
    matrix[:] = matrix.T.copy()


def flat_confusion(data: Path) -> None:
    write_blobproto_file(data / layout.CONFUSION, np.zeros((1, 1, 4, 3), np.float32))


def another_npy(data: Path) -> None:
    np.save(data / layout.CONFUSION_NPY, np.zeros((4, 4)))


def wrong_type(data: Path) -> None:
    lines = (data / layout.NOISE_TYPES).read_text().splitlines()
    row = next(n for n, line in enumerate(lines) if ",0" in line[-2:])
    lines[row] = lines[row][:-1] + "1"
    (data / layout.NOISE_TYPES).write_text("\n".join(lines) + "\n")


def type_not_in_table(data: Path) -> None:
    relabel(data / layout.NTYPE_TEST, 1, 1)


def labels_of_one_class(data: Path) -> None:
    rewrite(
        data / layout.VAL, lambda n, key, datum: None if datum.label == 3 else (f"{n:08d}".encode() + key[8:], datum)
    )


@pytest.mark.parametrize(
    ("plant", "kind", "place", "others"),
    [
        (cut_database, "unreadable_database", "val_lmdb: ", set()),
        (no_noisy_labels, "missing_database", "mixed_ntype_labels_lmdb", set()),
        (broken_record, "unreadable_record", "test_lmdb record 2: 00000002_", set()),
        (wrong_key, "wrong_record_key", "test_lmdb record 2: 00000002x: expected a key 00000002_<path>", set()),
        (wrong_label_key, "wrong_record_key", "mixed_clean_labels_lmdb record 4: 00000004_: expected the key", set()),
        (other_size, "size_differs", "test_lmdb record 3: ", {"inconsistent_label", "wrong_noise_type"}),
        (small_mean, "mean_does_not_fit", "mean.binaryproto: expected 1 x 3 x 5 x 6, got 1 x 3 x 5 x 5", set()),
        (scaled_mean, "mean_does_not_fit", "mean.binaryproto: it has values outside [0, 255]", set()),
        (broken_names, "unreadable_file", "names.txt:1: expected UTF-8, got the byte 0x", set()),
        (broken_pairs, "unreadable_file", "pairs.csv:12: ", set()),
        (no_mixed_images, "missing_part", "mixed_images_lmdb", set()),
        (no_clean_training, "missing_part", "clean_train_lmdb", set()),
        (nothing_to_train_on, "no_training_set", "", {"missing_part", "missing_database"}),
        (fewer_labels, "records_out_of_step", "mixed_ntype_labels_lmdb: 59 records, mixed_index.npy has 60", set()),
        (index_too_high, "index_out_of_range", "mixed_index.npy record 7: 60 of 60 images",
         {"group_differs", "unread_image"}),
        (noisy_image_unread, "unread_image", "mixed_images_lmdb record 30: ", {"group_differs"}),
        (no_side_file, "missing_group", "mixed_noisy_labels_lmdb", set()),
        (old_side_file, "group_differs", "mixed_noisy_labels_lmdb: made for images in another order", set()),
        (label_too_high, "label_out_of_range", "val_lmdb record 1: ", {"inconsistent_label", "absent_class"}),
        (type_too_high, "label_out_of_range", "mixed_ntype_labels_lmdb record 0: label 3 is not in [-1, 3)",
         {"inconsistent_label"}),
        (fraction, "label_out_of_range", "mixed_truth_labels_lmdb record 5: label 1.5 is not in",
         {"inconsistent_label"}),
        (no_label_at_all, "inconsistent_label", "mixed_noisy_labels_lmdb record ", set()),
        (another_clean_label, "inconsistent_label", "mixed_clean_labels_lmdb record ", set()),
        (tested_image_in_training, "key_in_two_splits", "clean_train_lmdb record 3: ",
         {"inconsistent_label", "unread_image"}),
        (same_pixels, "same_image_held_out", "mixed_images_lmdb record 30: ", set()),
        (clean_pixels_among_noisy, "same_image_clean_and_noisy", "mixed_images_lmdb record 30: ", set()),
        (changed_confusion(on_the_diagonal), "wrong_confusion", "confusion.binaryproto: class 1: expected 0 on the",
         {"confusion_not_of_pairs"}),
        (changed_confusion(doubled), "wrong_confusion", "confusion.binaryproto: column 0 (true class): expected",
         {"confusion_not_of_pairs"}),
        (changed_confusion(negative), "wrong_confusion", "confusion.binaryproto: it has entries that are negative",
         {"confusion_not_of_pairs"}),
        (changed_confusion(transposed), "confusion_not_of_pairs", "confusion.binaryproto: column 0 (true class)",
         {"wrong_confusion"}),
        (flat_confusion, "wrong_confusion", "confusion.binaryproto: expected shape (1, 1, 4, 4), got ", set()),
        (another_npy, "wrong_confusion", "confusion.binaryproto: confusion.npy holds another matrix", set()),
        (wrong_type, "wrong_noise_type", "noise_types.csv: ", set()),
        (type_not_in_table, "wrong_noise_type", "ntype_test_lmdb record 1: ", set()),
        (labels_of_one_class, "absent_class", "val_lmdb: class 3 Chiffon", {"wrong_record_key"}),
    ],
)  # fmt: skip
def test_every_fault_is_found_where_it_is(
    data: Path, plant: Callable[[Path], None], kind: str, place: str, others: set[str]
) -> None:
    plant(data)
    places = found(data)
    assert kind in places and set(places) <= {kind, *others}
    assert any(one.startswith(place) for one in places[kind]), places[kind]


def unread_records(data: Path, *unread: int) -> list[str]:
    """What is said of an index that reads other images of the same side instead of these."""
    index = np.load(data / layout.MIXED_INDEX)
    for record in unread:
        index[index == record] = 5 if record < 20 else 45
    np.save(data / layout.MIXED_INDEX, index)
    return found(data)["unread_image"]


def test_the_side_of_unread_images_is_told(data: Path) -> None:
    assert [place.rpartition(": ")[2] for place in unread_records(data, 3, 19, 20, 30)] == ["noisy", "noisy"]
    findings = check(MADE, Subject(data))
    assert findings.facts["clean_images_not_drawn"] == 2
    assert "clean images that no record of the mixed set reads: 2 (" in "\n".join(text_lines(findings, 3))


def test_without_the_clean_database_by_where_they_are_stored(data: Path) -> None:
    shutil.rmtree(data / layout.CLEAN_TRAIN)
    ends = [place.rpartition(": ")[2] for place in unread_records(data, 3, 19, 30)]
    assert ends[0].endswith(".jpg") and ends[1:] == ["noisy"]  # 3 is clean, 19 may be either


def test_equal_clean_images_are_no_noisy_ones(data: Path) -> None:
    _, datum = record_of(data / layout.CLEAN_TRAIN, 0)
    for database in (layout.CLEAN_TRAIN, layout.MIXED_IMAGES):
        again = record_of(data / database, 1)[1]
        again.data = datum.data
        replace_record(data / database, 1, None, again)
    assert record_of(data / layout.MIXED_IMAGES, 0)[1].data == datum.data
    assert "same_image_clean_and_noisy" not in found(data)


def test_pixels_are_not_compared_unless_read(data: Path) -> None:
    same_pixels(data)
    assert check(MADE, Subject(data, read_images=False)).places == {}


def test_slices_are_put_together(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from caffe_compat.datasets.check.made import scanning

    broken_record(data)
    alone = scanning.scan_images(data / layout.TEST, True, 1)
    monkeypatch.setattr(scanning, "in_processes", lambda function, items, processes, chunk: map(function, items))
    monkeypatch.setattr(scanning, "_RECORDS_AT_ONCE", 1)
    apart = scanning.scan_images(data / layout.TEST, True, 1)
    assert (alone.paths, alone.bad, alone.shapes) == (apart.paths, apart.bad, apart.shapes)
    np.testing.assert_array_equal(alone.digests, apart.digests)
