"""Reading CIFAR-10N in both layouts, and the split, C and mix made of it."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_datasets import (
    HUMAN_COLUMNS,
    Python2Pickler,
    cifar_labels,
    write_cifar_csv,
    write_cifar_pickles,
    write_human_labels,
)

from caffe_compat.data.datum import decode_datum
from caffe_compat.datasets import layout
from caffe_compat.datasets.cifar10n.building import RECIPES, Options, build
from caffe_compat.datasets.cifar10n.reading import read_cifar10n
from caffe_compat.datasets.cifar10n.source import Cifar10n
from caffe_compat.errors import DataError
from caffe_compat.label_noise.confusion import estimate_confusion


def pixels(source: Cifar10n, path: str) -> np.ndarray:
    return decode_datum(source.read_image(path))


@pytest.mark.parametrize("folder", ["", "cifar-10-batches-py"])
def test_the_original_files(tmp_path: Path, folder: str) -> None:
    root = tmp_path / "root"
    expected = write_cifar_pickles(root / folder)
    if folder:
        (root / folder / "CIFAR-10_human.pt").rename(root / "CIFAR-10_human.pt")
    source = read_cifar10n(root)
    assert source.train.paths[:2] == ["train/00000", "train/00001"] and len(source.train.paths) == 60
    assert source.test.paths[-1] == "test/00011"
    np.testing.assert_array_equal(source.train.clean, expected["clean"])
    for name in HUMAN_COLUMNS:
        np.testing.assert_array_equal(source.human(name), expected[name])
    image = pixels(source, "train/00050")  # RGB planes of 150, 100, 50
    assert image.shape == (3, 32, 32) and image.dtype == np.uint8
    assert [np.unique(channel).tolist() for channel in image] == [[50], [100], [150]]
    assert pixels(source, "test/00007")[0, 0, 0] == 7


def test_jpeg_changes_pixels_but_little(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write_cifar_pickles(root)
    noise = np.random.default_rng(0).integers(100, 130, (12, 3072), dtype=np.uint8)
    with open(root / "test_batch", "wb") as file:
        Python2Pickler(file, 2).dump({b"data": noise, b"labels": [0] * 12})
    plain, lossy = (pixels(read_cifar10n(root, quality), "test/00003") for quality in (None, 75))
    np.testing.assert_array_equal(plain, noise[3].reshape(3, 32, 32)[::-1])
    assert 0 < np.abs(plain.astype(int) - lossy).mean() < 10


def test_jpeg_files_and_lists(tmp_path: Path) -> None:
    expected = write_cifar_csv(tmp_path / "root")
    source = read_cifar10n(tmp_path / "root")
    np.testing.assert_array_equal(source.train.clean, expected["clean"])
    for name in HUMAN_COLUMNS:
        np.testing.assert_array_equal(source.human(name), expected[name])
    assert [channel[0, 0] for channel in pixels(source, "train/00050.jpg")] == [50, 100, 150]
    assert source.test.paths[3] == "test/3_0003.jpg" and source.test.clean[3] == 3
    with pytest.raises(DataError, match="JPEG files already"):
        read_cifar10n(tmp_path / "root", jpeg_quality=75)


def test_a_folder_of_neither_layout(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected train.csv, data_batch_1 or cifar-10-batches-py in it"):
        read_cifar10n(tmp_path)


def rewrite_batch(root: Path, **changes: object) -> None:
    content = {"data": np.zeros((12, 3072), np.uint8), "labels": [0] * 12} | changes
    (root / "data_batch_3").write_bytes(pickle.dumps(content, 2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": np.zeros((12, 3071), np.uint8)}, r"data: .* shape \(N, 3072\), got uint8 .* \(12, 3071\)"),
        ({"data": np.zeros((12, 3072))}, "data: expected uint8 .* got float64"),
        ({"data": "pixels"}, "data: expected uint8 .* got str"),
        ({"labels": [0] * 11}, r"labels: expected 12 whole numbers, got shape \(11,\)"),
        ({"labels": [0] * 11 + [10]}, r"labels: expected labels in \[0, 10\), got 10 at 11"),
        ({"labels": ["cat"] * 12}, "labels: expected 12 whole numbers"),
    ],
)  # fmt: skip
def test_a_batch_that_is_none(tmp_path: Path, changes: dict, message: str) -> None:
    write_cifar_pickles(tmp_path / "root")
    rewrite_batch(tmp_path / "root", **changes)
    with pytest.raises(DataError, match="data_batch_3: " + message):
        read_cifar10n(tmp_path / "root")


def test_human_labels_of_other_images_are_refused(tmp_path: Path) -> None:
    labels = write_cifar_pickles(tmp_path / "root")
    labels["clean"] = labels["clean"].copy()
    labels["clean"][41] = 9
    write_human_labels(tmp_path / "root" / "CIFAR-10_human.pt", labels)
    with pytest.raises(DataError, match="human.pt: clean_label: .* got another label for image 41"):
        read_cifar10n(tmp_path / "root").human("worse")


def test_missing_human_labels(tmp_path: Path) -> None:
    write_cifar_pickles(tmp_path / "root")
    (tmp_path / "root" / "CIFAR-10_human.pt").unlink()
    source = read_cifar10n(tmp_path / "root")
    with pytest.raises(DataError, match="human.pt: not there; .*--synthetic_noise needs none"):
        source.human("worse")
    build(source, Options(synthetic_noise=0.3, num_clean=20))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,clean\na.jpg,1\n", r"train\.csv:1: expected a column 'worse', got \['file', 'clean'\]"),
        ("file,clean,worse\na.jpg,1,x\n", r"train\.csv:2: worse: expected a label, got 'x'"),
        ("file,clean,worse\na.jpg,1\n", r"train\.csv:2: worse: expected a label, got ''"),
        ("file,clean,worse\na.jpg,1,10\n", r"train\.csv: worse: expected labels in \[0, 10\), got 10 at 0"),
    ],
)
def test_lists_that_are_none(tmp_path: Path, text: str, message: str) -> None:
    write_cifar_csv(tmp_path / "root")
    (tmp_path / "root" / "train.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_cifar10n(tmp_path / "root").human("worse")


# --- split, C, mix ------------------------------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path: Path) -> Cifar10n:
    write_cifar_csv(tmp_path / "root", train=60)
    return read_cifar10n(tmp_path / "root")


def numbers(paths: list[str]) -> list[int]:
    return [int(path[6:11]) for path in paths]


def test_the_authors_choices(source: Cifar10n) -> None:
    built = build(source, Options(num_clean=20))
    contents, transition = built.contents, built.transition
    assert transition is None
    labels = cifar_labels(60)
    clean, worse = labels["clean"], labels["worse"]
    pairs = contents.pairs
    assert numbers(pairs.paths) == list(range(20))  # the first ones
    expected = estimate_confusion(worse[:20], clean[:20], 10)
    np.testing.assert_array_equal(contents.estimate.confusion, expected.confusion)
    np.testing.assert_array_equal(pairs.noise_type, expected.noise_types)

    train = contents.labelled[layout.CLEAN_TRAIN]
    assert sorted(numbers(train.paths)) == list(range(20)) != numbers(train.paths)
    np.testing.assert_array_equal(train.clean, clean[numbers(train.paths)])
    ntype_train, ntype_val = contents.typed[layout.NTYPE_TRAIN], contents.typed[layout.NTYPE_VAL]
    assert (len(ntype_train), len(ntype_val)) == (16, 4)
    assert sorted(numbers([*ntype_train.paths, *ntype_val.paths])) == list(range(20))
    np.testing.assert_array_equal(ntype_val.noise_type, expected.noise_types[numbers(ntype_val.paths)])

    mixed = contents.mixed.in_reading_order()
    positions = np.array(numbers(mixed.paths))
    assert sorted(positions) == list(range(60))
    is_clean = positions < 20
    np.testing.assert_array_equal(mixed.clean, np.where(is_clean, clean[positions], -1))
    np.testing.assert_array_equal(mixed.noisy, np.where(is_clean, -1, worse[positions]))
    types = np.concatenate([expected.noise_types, np.full(40, -1)])
    np.testing.assert_array_equal(mixed.noise_type, types[positions])
    assert contents.labelled[layout.TEST].paths == source.test.paths
    assert contents.mean_over == layout.MIXED_IMAGES


def test_the_papers_choices(source: Cifar10n) -> None:
    contents = build(source, Options(num_clean=20, recipe=RECIPES["paper"])).contents
    mixed = contents.mixed.in_reading_order()
    assert len(mixed) == 40 + 20
    is_clean = mixed.clean >= 0
    worse = cifar_labels(60)["worse"]
    np.testing.assert_array_equal(mixed.noisy, worse[numbers(mixed.paths)])
    assert is_clean.sum() == 20 and len(set(np.array(mixed.paths)[is_clean])) < 20  # drawn with replacement


def test_other_labels(source: Cifar10n) -> None:
    for name in HUMAN_COLUMNS:
        contents = build(source, Options(labels=name, num_clean=20)).contents
        np.testing.assert_array_equal(contents.pairs.noisy, cifar_labels(60)[name][:20])


def test_a_random_split_follows_the_seed(source: Cifar10n) -> None:
    options = Options(num_clean=20, random_clean=True)
    one, again, other = (numbers(build(source, replace(options, seed=seed)).contents.pairs.paths) for seed in (1, 1, 2))
    assert one == again == sorted(one)
    assert one != other and len(set(one)) == 20


def test_synthetic_noise_corrupts_clean_and_noisy_images_alike(source: Cifar10n) -> None:
    built = build(source, Options(num_clean=30, synthetic_noise=0.5))
    contents, transition = built.contents, built.transition
    assert transition is not None and np.allclose(np.diag(transition), 0.5)
    pairs, mixed = contents.pairs, contents.mixed.samples
    assert 0 < np.mean(pairs.noisy != pairs.clean) < 1
    hidden = cifar_labels(60)["clean"][numbers(mixed.paths)]
    assert 0 < np.mean((mixed.noisy != hidden)[mixed.noisy >= 0]) < 1


@pytest.mark.parametrize("num_clean", [1, 60, -5])
def test_the_number_of_clean_images_has_to_leave_some(source: Cifar10n, num_clean: int) -> None:
    with pytest.raises(DataError, match=f"number of clean images: expected 2 to 59, got {num_clean}"):
        build(source, Options(num_clean=num_clean))
