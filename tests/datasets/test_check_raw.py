"""Checking raw data sets: every fault planted once in a small one, and found with its line."""

from __future__ import annotations

import codecs
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_datasets import clothing_key, write_cifar_csv, write_clothing1m

from caffe_compat.data.image_list import read_list
from caffe_compat.datasets.check.counts import measure_label_accuracy
from caffe_compat.datasets.check.decoding import READABLE, UNREADABLE, decode_file
from caffe_compat.datasets.check.findings import Findings, Place
from caffe_compat.datasets.check.recognise import recognise
from caffe_compat.datasets.check.run import check
from caffe_compat.datasets.check.subjects import CIFAR10N, CLOTHING1M, LIST, Subject
from caffe_compat.errors import DataError

CLEAN_KV, NOISY_KV = "clean_label_kv.txt", "noisy_label_kv.txt"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_clothing1m(tmp_path / "root")
    return tmp_path / "root"


def append(path: Path, *lines: str) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def found(findings: Findings) -> dict[str, list[str]]:
    return {kind: [str(place) for place in places] for kind, places in findings.places.items()}


# --- Clothing1M's layout ------------------------------------------------------------------------------------------


def test_a_clean_folder_is_clean(root: Path) -> None:
    findings = check(CLOTHING1M, Subject(root))
    assert found(findings) == {}
    assert findings.facts["class_counts"]["clean_train"] == dict.fromkeys(
        ("T-Shirt", "Shirt", "Knitwear", "Chiffon"), 5
    )
    assert findings.facts["class_counts"]["clean_val"] == {"T-Shirt": 2, "Shirt": 2, "Knitwear": 1, "Chiffon": 1}
    # of 0, 2, ..., 18 the multiples of 3 are wrong: 0, 6, 12, 18
    assert findings.facts["label_accuracy"]["clean_train"] == {"pairs": 10, "right": 6, "accuracy": 0.6}
    assert findings.facts["images_decoded"] == 72


def unlabelled_line(root: Path) -> None:
    append(root / CLEAN_KV, "images/0/00/1,2.jpg")


def two_labels(root: Path) -> None:
    append(root / NOISY_KV, "images/0/00/1,2.jpg 3 2")


def out_of_range(root: Path) -> None:
    append(root / NOISY_KV, "images/0/00/1,2.jpg 4")


def negative(root: Path) -> None:
    append(root / NOISY_KV, "images/0/00/1,2.jpg -1")


def conflicting(root: Path) -> None:
    append(root / CLEAN_KV, f"{clothing_key(5)} 2")


def unlabelled_key(root: Path) -> None:
    append(root / "clean_test_key_list.txt", clothing_key(40))


def repeated(root: Path) -> None:
    append(root / "noisy_train_key_list.txt", clothing_key(50))


def train_and_test(root: Path) -> None:
    append(root / "clean_train_key_list.txt", clothing_key(28))


def clean_among_noisy(root: Path) -> None:
    append(root / "noisy_train_key_list.txt", clothing_key(30))


def missing(root: Path) -> None:
    (root / clothing_key(35)).unlink()


def unreadable(root: Path) -> None:
    (root / clothing_key(36)).write_bytes(b"no image")


def cut_short(root: Path) -> None:
    done, jpeg = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8))
    assert done
    (root / clothing_key(37)).write_bytes(jpeg.tobytes()[:-30])


def empty(root: Path) -> None:
    (root / "clean_val_key_list.txt").write_text("")


def one_class_less(root: Path) -> None:
    path = root / "clean_val_key_list.txt"
    path.write_text("".join(f"{clothing_key(number)}\n" for number in (20, 21, 22, 24, 25)))


def no_pairs(root: Path) -> None:
    (root / NOISY_KV).write_text("\n".join((root / NOISY_KV).read_text().splitlines()[10:]) + "\n")


@pytest.mark.parametrize(
    ("plant", "kind", "place"),
    [
        (unlabelled_line, "malformed_line", f"{CLEAN_KV}:33: 'images/0/00/1,2.jpg'"),
        (two_labels, "malformed_line", f"{NOISY_KV}:57: 'images/0/00/1,2.jpg 3 2'"),
        (out_of_range, "label_out_of_range", f"{NOISY_KV}:57: 'images/0/00/1,2.jpg 4'"),
        (negative, "label_out_of_range", f"{NOISY_KV}:57: 'images/0/00/1,2.jpg -1'"),
        (conflicting, "conflicting_label", f"{CLEAN_KV}:33: '{clothing_key(5)} 2'"),
        (unlabelled_key, "unlabelled_key", f"clean_test_key_list.txt:7: {clothing_key(40)}"),
        (repeated, "repeated_key", f"noisy_train_key_list.txt:41: {clothing_key(50)}"),
        (train_and_test, "key_in_two_splits", f"clean_train_key_list.txt:21: {clothing_key(28)}"),
        (clean_among_noisy, "clean_key_in_noisy_list", f"noisy_train_key_list.txt:41: {clothing_key(30)}"),
        (missing, "missing_image", f"noisy_train_key_list.txt:4: {clothing_key(35)}"),
        (unreadable, "unreadable_image", f"noisy_train_key_list.txt:5: {clothing_key(36)}: not a readable image (8"),
        (cut_short, "unreadable_image", f"noisy_train_key_list.txt:6: {clothing_key(37)}: not a readable image"),
        (empty, "empty_split", "clean_val_key_list.txt: no usable key in it"),
        (one_class_less, "absent_class", "clean_val: class 3 Chiffon"),
        (no_pairs, "no_pairs", "clean_train_key_list.txt"),
    ],
)  # fmt: skip
def test_every_fault_is_found_where_it_is(root: Path, plant: Callable[[Path], None], kind: str, place: str) -> None:
    plant(root)
    places = found(check(CLOTHING1M, Subject(root)))
    assert list(places) == [kind]
    assert len(places[kind]) == 1 and places[kind][0].startswith(place)


def test_byte_order_marks_are_skipped(root: Path) -> None:
    for path in (*root.glob("*_list.txt"), root / CLEAN_KV, root / NOISY_KV, root / "category_names_eng.txt"):
        path.write_text(path.read_text(), encoding="utf-8-sig")
    assert found(check(CLOTHING1M, Subject(root))) == {}


def test_images_are_not_read_unless_asked(root: Path) -> None:
    unreadable(root)
    findings = check(CLOTHING1M, Subject(root, read_images=False))
    assert found(findings) == {} and "images_decoded" not in findings.facts


def test_worker_processes_find_the_same(root: Path) -> None:
    unreadable(root)
    assert found(check(CLOTHING1M, Subject(root, processes=2))) == found(check(CLOTHING1M, Subject(root)))


# --- image lists --------------------------------------------------------------------------------------------------


@pytest.fixture
def lists(root: Path) -> tuple[str, str]:
    train, test = root / "train.txt", root / "test.txt"
    append(train, *(f"{clothing_key(number)} {number % 3}" for number in range(6)))
    append(test, *(f"{clothing_key(number)} {number % 3}" for number in range(6, 12)))
    return str(train), str(test)


def check_lists(lists: tuple[str, str], num_classes: int | None = 3) -> dict[str, list[str]]:
    subject = Subject(Path("."), lists=lists, root=f"{Path(lists[0]).parent}/", num_classes=num_classes)
    return found(check(LIST, subject))


def test_clean_lists_are_clean(lists: tuple[str, str]) -> None:
    assert check_lists(lists) == check_lists(lists, None) == {}


@pytest.mark.parametrize(
    ("line", "kind", "place"),
    [
        (
            "nolabel.jpg",
            "broken_line",
            ":7: expected a line \"path label\", the label a whole number, got 'nolabel.jpg'",
        ),
        (f"{clothing_key(20)} 3", "label_out_of_range", f":7: {clothing_key(20)}: label 3 is not in [-1, 3)"),
        (f"{clothing_key(20)} -2", "label_out_of_range", f":7: {clothing_key(20)}: label -2 is not in [-1, 3)"),
        (f"{clothing_key(8)} 2", "repeated_key", f":7: {clothing_key(8)}: also in line 3"),
        (f"{clothing_key(8)} 1", "conflicting_label", f":7: {clothing_key(8)}: label 1, in line 3 2"),
        (f"{clothing_key(2)} 2", "key_in_two_splits", f":7: {clothing_key(2)}: also in TRAIN:3"),
        ("images/none.jpg 2", "missing_image", ":7: images/none.jpg"),
        (f"{clothing_key(20)} -1", "label_of_none", f":7: {clothing_key(20)}"),
    ],
)  # fmt: skip
def test_faults_of_lists(lists: tuple[str, str], line: str, kind: str, place: str) -> None:
    append(Path(lists[1]), line)
    assert check_lists(lists) == {kind: [lists[1] + place.replace("TRAIN", lists[0])]}


def test_blank_lines_are_where_they_are(lists: tuple[str, str]) -> None:
    path = Path(lists[1])
    path.write_text(f"\n{path.read_text()} \r\n{clothing_key(20)} 2\n\n\n")
    assert check_lists(lists) == {"blank_line": [f"{path}:1", f"{path}:8"]}


def test_lists_without_a_label(lists: tuple[str, str]) -> None:
    path = Path(lists[1])
    path.write_text("".join(f"{line.split()[0]} -1\n" for line in path.read_text().splitlines()))
    found = check_lists(lists)
    assert found["empty_split"] == [f"{path}: no label in it"] and len(found["label_of_none"]) == 6
    path.write_bytes(codecs.BOM_UTF8 + b"\n")
    assert check_lists(lists) == {"byte_order_mark": [f"{path}:1: UTF-8"], "empty_split": [str(path)]}


def test_a_byte_order_mark(lists: tuple[str, str]) -> None:
    path = Path(lists[1])
    path.write_text(path.read_text(), encoding="utf-8-sig")
    assert check_lists(lists) == {"byte_order_mark": [f"{path}:1: UTF-8"]}
    with pytest.raises(DataError, match="test.txt:1: begins with the byte order mark of UTF-8: save it"):
        read_list(path)


@pytest.mark.parametrize("encoding", ["UTF-16", "UTF-32"])
def test_a_list_in_another_encoding_is_one_fault(lists: tuple[str, str], encoding: str) -> None:
    path = Path(lists[1])
    path.write_text(path.read_text(), encoding=encoding)
    assert check_lists(lists) == {"byte_order_mark": [f"{path}:1: {encoding}"]}
    with pytest.raises(DataError, match=f"test.txt:1: begins with the byte order mark of {encoding}: save it as UTF-8"):
        read_list(path)


@pytest.mark.parametrize(("separator", "name"), [("\t", "a tab"), (",", "a comma"), (";", "a semicolon")])
def test_another_separator(lists: tuple[str, str], separator: str, name: str) -> None:
    path = Path(lists[1])
    path.write_text(path.read_text().replace(" ", separator) + "none\n")
    assert check_lists(lists) == {
        "wrong_separator": [f"{path}: {name} in 6 of 7 lines"],
        "broken_line": [f"{path}:7: expected a line \"path label\", the label a whole number, got 'none'"],
    }


def test_labels_that_are_mistyped(lists: tuple[str, str]) -> None:
    append(Path(lists[0]), f"{clothing_key(20)} 10", f"{clothing_key(21)} {2**31 - 1}")
    detail = f"label {2**31 - 1}, the next lower one is 10"
    assert check_lists(lists, None) == {
        "absent_class": [f"{lists[1]}: class 10", f"{lists[1]}: class {2**31 - 1}"],
        "implausible_label": [f"{lists[0]}:8: {clothing_key(21)}: {detail}"],
    }
    assert list(check_lists(lists, 11)) == ["label_out_of_range", "absent_class"]


def test_a_root_that_lacks_its_slash(lists: tuple[str, str]) -> None:
    root = str(Path(lists[0]).parent)
    detail = f"{root}/{clothing_key(0)} is there: --root must end in /"
    assert found(check(LIST, Subject(Path("."), lists=lists, root=root, num_classes=3))) == {
        "root_without_slash": [f"{lists[0]}:1: {detail}"]
    }


def test_a_list_without_a_class_and_one_without_anything(lists: tuple[str, str]) -> None:
    assert check_lists(lists, 4) == {"absent_class": [f"{path}: class 3" for path in lists]}
    Path(lists[1]).write_text("\n")
    assert check_lists(lists) == {"empty_split": [lists[1]]}


# --- CIFAR-10N ----------------------------------------------------------------------------------------------------


def test_cifar10n(tmp_path: Path) -> None:
    root = tmp_path / "cifar"
    labels = write_cifar_csv(root)
    findings = check(CIFAR10N, Subject(root))
    assert found(findings) == {}
    right = int(np.sum(labels["clean"] == labels["worse"]))
    assert findings.facts["label_accuracy"]["worse"]["right"] == right
    assert findings.facts["class_counts"]["train.csv"]["frog"] == 6

    rows = (root / "train.csv").read_text().splitlines()
    append(root / "train.csv", rows[5], "train/00007.jpg,10,1,1,1,1,1", "train/none.jpg,1,1,1,1,1,x")
    append(root / "test.csv", "train/00003.jpg,3")
    assert found(check(CIFAR10N, Subject(root))) == {
        "cell_without_label": ["train.csv:64: train/none.jpg: worse: 'x' is not a label"],
        "repeated_key": ["train.csv:62: train/00004.jpg: also in line 6"],
        "conflicting_label": [f"train.csv:63: train/00007.jpg: label 10, in line 9 {labels['clean'][7]}"],
        "label_out_of_range": ["train.csv:63: train/00007.jpg: label 10 is not in [0, 10)"],
        "key_in_two_splits": ["test.csv:12: train/00003.jpg: also in train.csv:5"],
        "missing_image": ["train.csv:64: train/none.jpg"],
    }  # fmt: skip


def test_cifar10n_without_the_labels_that_are_read_by_default(tmp_path: Path) -> None:
    root = tmp_path / "cifar"
    write_cifar_csv(root)
    table = root / "train.csv"
    table.write_text(table.read_text().replace("worse", "worst", 1))
    assert found(check(CIFAR10N, Subject(root))) == {"no_column_of_labels": ["train.csv:1: no column 'worse'"]}


# --- the parts ----------------------------------------------------------------------------------------------------


def test_telling_the_kinds_apart(root: Path, tmp_path: Path) -> None:
    assert recognise(root) == CLOTHING1M
    write_cifar_csv(tmp_path / "cifar", 1, 1)
    assert recognise(tmp_path / "cifar") == CIFAR10N
    with pytest.raises(DataError, match="expected databases such as clean_train_lmdb"):
        recognise(tmp_path)
    with pytest.raises(DataError, match="expected a folder, got nothing there"):
        recognise(tmp_path / "nowhere")


def test_decoding(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    for suffix in (".jpg", ".png"):
        done, content = cv2.imencode(suffix, image)
        assert done
        path = tmp_path / f"whole{suffix}"
        path.write_bytes(content.tobytes() + b"\0\0")  # some cameras pad
        assert decode_file(str(path)) == (READABLE, "", (30, 40))
        path.write_bytes(content.tobytes()[:-20])
        assert decode_file(str(path)).state == UNREADABLE
    (tmp_path / "empty").write_bytes(b"")
    assert decode_file(str(tmp_path / "empty")).state == UNREADABLE
    declared = struct.pack(">II", 60_000, 60_000)  # in the header that begins at byte 12
    png = cv2.imencode(".png", image)[1].tobytes()
    header = png[12:16] + declared + png[24:29]
    (tmp_path / "huge.png").write_bytes(png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:])
    assert decode_file(str(tmp_path / "huge.png")).state == UNREADABLE


def test_labels_that_count_from_one() -> None:
    clean = np.arange(40) % 4
    findings = Findings()
    measure_label_accuracy("train", clean, clean, 4, findings)
    assert found(findings) == {}
    measure_label_accuracy("val", clean, (clean + 1) % 4, 4, findings)
    assert found(findings) == {"low_label_accuracy": ["val: 0 of 40 noisy labels are right"]}
    assert findings.facts["label_accuracy"]["train"] == {"pairs": 40, "right": 40, "accuracy": 1.0}
    measure_label_accuracy("few", clean[:39], (clean[:39] + 1) % 4, 4, findings)
    assert len(findings.places["low_label_accuracy"]) == 1


def test_only_known_kinds_can_be_found() -> None:
    with pytest.raises(KeyError, match="new_kind"):
        Findings().add("new_kind", Place("file"))
