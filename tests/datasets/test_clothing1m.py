"""Clothing1M's lists: reading them, what is left out of them, and the split, C and mix made of them."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from tiny_datasets import CLOTHING_NAMES, clothing_key, clothing_noisy, clothing_number, write_clothing1m

from caffe_compat.datasets import layout
from caffe_compat.datasets.clothing1m.building import RECIPES, build
from caffe_compat.datasets.clothing1m.checking import usable
from caffe_compat.datasets.clothing1m.lists import Lists, read_lists
from caffe_compat.datasets.clothing1m.problems import Problem, report
from caffe_compat.errors import DataError
from caffe_compat.label_noise.confusion import estimate_confusion


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_clothing1m(tmp_path / "root")
    return tmp_path / "root"


def append(path: Path, *lines: str) -> None:
    path.write_text(path.read_text() + "".join(f"{line}\n" for line in lines))


def checked(root: Path) -> tuple[Lists, list[str]]:
    lists, bad_lines = read_lists(root)
    lists, bad_keys = usable(lists, lambda key: root / key)
    return lists, [str(problem) for problem in (*bad_lines, *bad_keys)]


def numbers(paths: list[str]) -> list[int]:
    return [clothing_number(path) for path in paths]


# --- reading ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["", "annotations"])
def test_reading(root: Path, folder: str) -> None:
    if folder:
        (root / folder).mkdir()
        for path in root.glob("*.txt"):
            path.rename(root / folder / path.name)
    lists, problems = checked(root)
    assert problems == []
    assert lists.names == list(CLOTHING_NAMES)
    assert {name: len(keys) for name, keys in lists.keys.items()} == {
        "noisy_train": 40, "clean_train": 20, "clean_val": 6, "clean_test": 6,
    }  # fmt: skip
    assert lists.clean[clothing_key(5)] == 1 and clothing_key(5) not in lists.noisy
    assert lists.noisy[clothing_key(33)] == 2


def test_a_space_in_a_name_belongs_to_the_name(root: Path) -> None:
    append(root / "clean_label_kv.txt", "images/0/00/a b, c.jpg 3")
    assert checked(root)[0].clean["images/0/00/a b, c.jpg"] == 3


def test_a_folder_without_lists(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected noisy_label_kv.txt in it, or in annotations/, got neither"):
        read_lists(tmp_path)


def test_names_are_needed(root: Path) -> None:
    (root / "category_names_eng.txt").write_text("one\n\n")
    with pytest.raises(DataError, match=r"category_names_eng.txt: expected at least two class names"):
        read_lists(root)


# --- what is left out ---------------------------------------------------------------------------------------------


def test_lines_without_a_label_are_numbered(root: Path) -> None:
    append(root / "clean_label_kv.txt", "images/x.jpg", "images/y.jpg 4", "", "images/z.jpg one", "3", "w.jpg -1")
    _, problems = checked(root)
    assert problems == [
        "3 line(s) of clean_label_kv.txt without a label: 33, 36, 37",
        "2 line(s) of clean_label_kv.txt without a label in [0, 4): 34, 38",
    ]


def test_the_first_of_two_labels_counts(root: Path) -> None:
    append(root / "clean_label_kv.txt", f"{clothing_key(5)} 1", f"{clothing_key(5)} 2")
    lists, problems = checked(root)
    assert problems == ["1 line(s) of clean_label_kv.txt with another label than the key has before: 34"]
    assert lists.clean[clothing_key(5)] == 1


@pytest.mark.parametrize(
    ("name", "key", "problem"),
    [
        ("noisy_train", clothing_key(3), "with a clean label"),
        ("noisy_train", clothing_key(30), "with a clean label"),
        ("clean_train", clothing_key(22), "that are also held out for validation or test"),
        ("clean_val", clothing_key(28), "that are also held out for validation or test"),
        ("clean_test", clothing_key(40), "without a label"),
    ],
)
def test_keys_that_must_not_be_used(root: Path, name: str, key: str, problem: str) -> None:
    if name == "noisy_train" and key not in read_lists(root)[0].noisy:
        append(root / "noisy_label_kv.txt", f"{key} 0")
    before = checked(root)[0].keys
    append(root / f"{name}_key_list.txt", key)
    lists, problems = checked(root)
    assert problems == [f"1 key(s) of {name}_key_list.txt {problem}: {key}"]
    assert lists.keys == before


def test_missing_images_are_listed(root: Path) -> None:
    (root / clothing_key(35)).unlink()
    (root / clothing_key(36)).unlink()
    (root / clothing_key(30)).unlink()
    lists, problems = checked(root)
    assert problems == [
        f"2 key(s) of noisy_train_key_list.txt without an image file: {clothing_key(35)}, {clothing_key(36)}",
        f"1 key(s) of clean_test_key_list.txt without an image file: {clothing_key(30)}",
    ]
    assert len(lists.keys["noisy_train"]) == 38 and clothing_key(30) not in lists.keys["clean_test"]


def test_a_key_listed_twice_is_used_once(root: Path) -> None:
    append(root / "noisy_train_key_list.txt", clothing_key(50))
    lists, problems = checked(root)
    assert problems == [f"1 key(s) more than once in noisy_train_key_list.txt: {clothing_key(50)}"]
    assert len(lists.keys["noisy_train"]) == 40


def test_a_report_is_an_error_or_a_warning(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    problems = [
        Problem("malformed_line", "a.txt", "line(s)", [str(number) for number in range(13)]),
        Problem("repeated_key", "a.txt", "key(s)", ["a"]),
    ]
    with pytest.raises(DataError) as caught:
        report(problems, "ROOT", skip=False)
    assert str(caught.value) == (
        "ROOT: unusable entries (--skip_unusable leaves them out):\n"
        "  13 line(s): 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ... and 3 more\n"
        "  1 key(s): a"
    )
    monkeypatch.setattr(logging.getLogger("caffe_compat"), "propagate", True)
    report(problems, "ROOT", skip=True)
    assert [record.getMessage() for record in caplog.records] == [
        "left out: 13 line(s): 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ... and 3 more", "left out: 1 key(s): a",
    ]  # fmt: skip
    report([], "ROOT", skip=False)


# --- split, C, mix ------------------------------------------------------------------------------------------------


def expected_estimate(last: int) -> tuple[np.ndarray, np.ndarray]:
    """C, and the noise types of images 0, 2, ... below ``last``."""
    both = range(0, last, 2)
    estimate = estimate_confusion([clothing_noisy(n) for n in both], [n % 4 for n in both], 4)
    return estimate.confusion, estimate.noise_types


def test_the_papers_choices(root: Path) -> None:
    contents = build(checked(root)[0], RECIPES["paper"], seed=0)
    confusion, types = expected_estimate(20)  # training images only
    np.testing.assert_array_equal(contents.estimate.confusion, confusion)
    assert numbers(contents.pairs.paths) == list(range(0, 20, 2))

    train = contents.labelled[layout.CLEAN_TRAIN]
    assert sorted(numbers(train.paths)) == list(range(20)) != numbers(train.paths)
    assert numbers(contents.labelled[layout.VAL].paths) == list(range(20, 26))
    assert numbers(contents.labelled[layout.TEST].paths) == list(range(26, 32))
    for samples in contents.labelled.values():
        assert samples.clean.tolist() == [number % 4 for number in numbers(samples.paths)]

    typed = {name: sorted(numbers(samples.paths)) for name, samples in contents.typed.items()}
    assert typed == {
        layout.NTYPE_TRAIN: list(range(0, 20, 2)), layout.NTYPE_VAL: [20, 22, 24], layout.NTYPE_TEST: [26, 28, 30],
    }  # fmt: skip
    by_number = dict(zip(range(0, 20, 2), types.tolist(), strict=True))
    ntype_train = contents.typed[layout.NTYPE_TRAIN]
    assert ntype_train.noise_type.tolist() == [by_number[number] for number in numbers(ntype_train.paths)]

    mixed = contents.mixed.in_reading_order()
    drawn = [number for number in numbers(mixed.paths) if number < 20]
    assert len(mixed) == 60 and len(drawn) == 20 and len(set(drawn)) < 20  # half as many as noisy, with replacement
    for number, clean, noisy, kind in zip(
        numbers(mixed.paths), mixed.clean, mixed.noisy, mixed.noise_type, strict=True
    ):
        both = number < 20 and number % 2 == 0
        assert clean == (number % 4 if number < 20 else -1)
        assert noisy == (clothing_noisy(number) if both or number >= 32 else -1)
        assert kind == (by_number[number] if both else -1)
    assert contents.mean_over == layout.CLEAN_TRAIN


def test_the_releases_choices(root: Path) -> None:
    contents = build(checked(root)[0], RECIPES["release"], seed=0)
    confusion, _ = expected_estimate(26)  # training and validation images
    assert not np.array_equal(confusion, expected_estimate(20)[0])
    np.testing.assert_array_equal(contents.estimate.confusion, confusion)
    mixed = contents.mixed.in_reading_order()
    assert len(mixed) == 80  # as many clean records as noisy ones
    assert set(mixed.noisy[mixed.clean >= 0]) == {-1}
    assert set(numbers(mixed.paths)).isdisjoint(range(20, 32))


def test_without_pairs_there_is_no_matrix(root: Path) -> None:
    append(root / "noisy_label_kv.txt")
    noisy = (root / "noisy_label_kv.txt").read_text().splitlines()
    (root / "noisy_label_kv.txt").write_text("\n".join(noisy[16:]) + "\n")
    with pytest.raises(DataError, match="no clean training image has a noisy label too"):
        build(checked(root)[0], RECIPES["paper"], seed=0)


def test_an_empty_list_is_refused(root: Path) -> None:
    (root / "clean_val_key_list.txt").write_text("")
    with pytest.raises(DataError, match="no usable key in the list clean_val"):
        build(checked(root)[0], RECIPES["paper"], seed=0)


def test_the_seed_decides(root: Path) -> None:
    lists, _ = checked(root)
    one, again, other = (build(lists, RECIPES["paper"], seed) for seed in (1, 1, 2))
    for order_of in (lambda made: made.mixed.order.tolist(), lambda made: made.labelled[layout.CLEAN_TRAIN].paths):
        assert order_of(one) == order_of(again) != order_of(other)
