"""tools/import_clothing1m.py through its command line, on a tiny tree of the real one's shape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_datasets import (
    CLOTHING_NAMES,
    clothing_key,
    clothing_noisy,
    clothing_number,
    images_of,
    labels_of,
    paths_of,
    write_clothing1m,
)

from caffe_compat.cli.import_clothing1m import main
from caffe_compat.data.datum import parse_datum
from caffe_compat.data.lmdb_store import LmdbReader
from caffe_compat.datasets import layout
from caffe_compat.datasets.pairs import read_noise_types, read_pairs
from caffe_compat.datasets.truth import read_truth
from caffe_compat.weights import read_blobproto_file

EVERYTHING = {*layout.EVERYTHING} - {layout.SYNTHETIC_NOISE, layout.TRUE_CONFUSION, layout.CONFUSION_OF_ALL}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_clothing1m(tmp_path / "root")
    return tmp_path / "root"


def import_(root: Path, *options: str) -> int:
    return main([str(root), str(root.parent / "out"), *options])


def numbers_of(database: Path) -> list[int]:
    return [clothing_number(path) for path in paths_of(database)]


def test_everything_the_nets_read(root: Path, tmp_path: Path) -> None:
    assert import_(root) == 0
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == EVERYTHING
    for name, numbers in (
        (layout.CLEAN_TRAIN, range(20)),
        (layout.VAL, range(20, 26)),
        (layout.TEST, range(26, 32)),
        (layout.NTYPE_TRAIN, range(0, 20, 2)),
        (layout.NTYPE_VAL, range(20, 26, 2)),
        (layout.NTYPE_TEST, range(26, 32, 2)),
    ):
        found = numbers_of(out / name)
        assert sorted(found) == list(numbers)
        images, labels = images_of(out / name)
        assert all(image.shape == (3, 256, 256) and image[0, 9, 9] == n for image, n in zip(images, found, strict=True))
        types = read_noise_types(out / layout.NOISE_TYPES)
        wanted = [types[clothing_key(n)] if name.startswith("ntype") else n % 4 for n in found]
        assert labels == wanted

    noisy_of_val = [clothing_noisy(n) if n % 2 == 0 else -1 for n in numbers_of(out / layout.VAL)]
    assert labels_of(out / layout.VAL_NOISY_LABELS) == noisy_of_val
    assert read_truth(out / layout.TRUTH, 4) == {clothing_key(n): n % 4 for n in range(20, 26)}

    order = np.array(numbers_of(out / layout.MIXED_IMAGES))[np.load(out / layout.MIXED_INDEX)].tolist()
    assert labels_of(out / layout.MIXED_CLEAN_LABELS) == [n % 4 if n < 20 else -1 for n in order]
    noisy = [clothing_noisy(n) if n >= 32 or n % 2 == 0 else -1 for n in order]
    assert labels_of(out / layout.MIXED_NOISY_LABELS) == noisy
    assert labels_of(out / layout.MIXED_NTYPE_LABELS) == [types.get(clothing_key(n), -1) for n in order]
    assert labels_of(out / layout.MIXED_TRUTH_LABELS) == [n % 4 if n < 20 else clothing_noisy(n) for n in order]
    assert read_blobproto_file(out / layout.MEAN)[0, :, 0, 0].tolist() == [9.5, 0, 100]  # of the clean training images
    assert read_blobproto_file(out / layout.CONFUSION).shape == (1, 1, 4, 4)
    assert [key for key, *_ in read_pairs(out / layout.PAIRS, 4)] == [clothing_key(n) for n in range(0, 20, 2)]
    assert (out / layout.NAMES).read_text().splitlines() == list(CLOTHING_NAMES)


def test_another_noisy_list(root: Path, tmp_path: Path) -> None:
    """What remove_near_duplicates has left of it."""
    left = [clothing_key(n) for n in range(33, 60)]
    (tmp_path / "left.txt").write_text("".join(f"{key}\n" for key in left))
    assert import_(root, "--noisy_list", str(tmp_path / "left.txt")) == 0
    found = paths_of(tmp_path / "out" / layout.MIXED_IMAGES)
    assert {key for key in found if clothing_number(key) >= 32} == set(left)


def test_the_releases_recipe_and_single_choices(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert import_(root, "--recipe", "release", "--materialise") == 0
    numbers = numbers_of(out / layout.MIXED_IMAGES)
    assert len(numbers) == 80 and sum(number < 20 for number in numbers) == 40
    assert {noisy for n, noisy in zip(numbers, labels_of(out / layout.MIXED_NOISY_LABELS), strict=True) if n < 20} == {
        -1
    }
    assert len(list(read_pairs(out / layout.PAIRS, 4))) == 13
    assert import_(root, "--recipe", "release", "--no-confusion_from_val", "--clean_ratio", "none",
                   "--noisy_labels_of_clean", "--force") == 0  # fmt: skip
    assert len(np.load(out / layout.MIXED_INDEX)) == 60
    assert len(list(read_pairs(out / layout.PAIRS, 4))) == 10
    assert min(labels_of(out / layout.MIXED_TRUTH_LABELS)) == 0
    assert sum(label >= 0 for label in labels_of(out / layout.MIXED_NOISY_LABELS)) == 50


def test_encoded_images(root: Path, tmp_path: Path) -> None:
    assert import_(root, "--encoded") == 0
    datum = parse_datum(LmdbReader(tmp_path / "out" / layout.VAL).read(0))
    assert datum.encoded and datum.data[:3] == b"\xff\xd8\xff" and datum.label == 0
    assert images_of(tmp_path / "out" / layout.VAL)[0][0].shape == (3, 256, 256)


def test_images_elsewhere(root: Path, tmp_path: Path) -> None:
    (root / "images").rename(tmp_path / "pictures")
    assert import_(root) == 2
    assert import_(root, "--images", str(tmp_path / "pictures")) == 0


def test_what_cannot_be_used_is_listed_then_left_out(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / clothing_key(40)).unlink()
    with open(root / "clean_label_kv.txt", "a") as file:
        file.write("images/0/00/unlabelled.jpg\n")
    with open(root / "noisy_train_key_list.txt", "a") as file:
        file.write(f"{clothing_key(26)}\n")
    assert import_(root) == 2
    listed = [
        "1 line(s) of clean_label_kv.txt without a label: 33",
        f"1 key(s) of noisy_train_key_list.txt with a clean label: {clothing_key(26)}",
        f"1 key(s) of noisy_train_key_list.txt without an image file: {clothing_key(40)}",
    ]
    assert capsys.readouterr().err.splitlines() == [
        f"{root}: unusable entries (--skip_unusable leaves them out):", *(f"  {problem}" for problem in listed),
    ]  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["root"]
    assert import_(root, "--skip_unusable") == 0
    log = capsys.readouterr().err
    assert all(f"left out: {problem}" in log for problem in listed)
    noisy = {number for number in numbers_of(tmp_path / "out" / layout.MIXED_IMAGES) if number >= 20}
    assert noisy == set(range(32, 72)) - {40}


def test_an_image_that_cannot_be_read_is_named(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / clothing_key(45)).write_bytes(b"no image")
    assert import_(root) == 2
    assert f"{root / clothing_key(45)}: not a readable image" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["root"]
