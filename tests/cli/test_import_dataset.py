"""tools/import_dataset.py: one's own lists of images to a whole data folder, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_datasets import images_of, labels_of, paths_of, write_plain_image

from caffe_compat.cli.check_dataset import main as check_dataset
from caffe_compat.cli.import_dataset import main
from caffe_compat.datasets import layout
from caffe_compat.datasets.pairs import read_noise_types, read_pairs, write_pairs
from caffe_compat.label_noise.confusion import estimate_confusion

SIZE = (6, 8)
CLEAN = {f"photos/café {number}, red.jpg": number % 3 for number in range(20)}
NOISY_OF_CLEAN = {path: (label + (number % 4 == 0)) % 3 for number, (path, label) in enumerate(CLEAN.items())}
NOISY = {f"web/{number}.jpg": (number * 7) % 3 for number in range(40)}
VAL = {f"val/{number}.jpg": number % 3 for number in range(6)}
TEST = {f"test/{number}.jpg": number % 3 for number in range(9)}


def write_list(path: Path, labels: dict[str, int]) -> None:
    path.write_text("".join(f"{image} {label}\n" for image, label in labels.items()), encoding="utf-8")


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """Four lists, names.txt and images/; the noisy list has noisy labels of clean and held-out images too."""
    write_list(tmp_path / "clean.txt", CLEAN)
    write_list(tmp_path / "noisy.txt", NOISY | NOISY_OF_CLEAN | {"val/0.jpg": 1, "test/3.jpg": 2})
    write_list(tmp_path / "val.txt", VAL)
    write_list(tmp_path / "test.txt", TEST)
    (tmp_path / "names.txt").write_text("coat\nvest\nshirt\n")
    for colour, image in enumerate([*CLEAN, *NOISY, *VAL, *TEST]):
        write_plain_image(tmp_path / "images" / image, (colour, 2 * colour, 3), (5 + colour % 3, 9))
    return tmp_path


def run(lists: Path, *options: str, val: bool = True) -> int:
    files = ["--clean", f"{lists}/clean.txt", "--noisy", f"{lists}/noisy.txt", "--test", f"{lists}/test.txt"]
    files += ["--val", f"{lists}/val.txt"] if val else []
    size = ["--size", *map(str, SIZE)]
    return main([f"{lists}/data", "--root", f"{lists}/images", *files, *size, *options])


def test_everything_the_nets_read(lists: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(lists, "--names", f"{lists}/names.txt") == 0
    out = lists / "data"
    assert {path.name for path in out.iterdir()} == {*layout.EVERYTHING} - {
        layout.TRUE_CONFUSION, layout.CONFUSION_OF_ALL,
        layout.NTYPE_TEST, layout.TRUTH, layout.SYNTHETIC_NOISE}  # fmt: skip
    noisy_of_val = [1 if path == "val/0.jpg" else -1 for path in paths_of(out / layout.VAL)]
    assert labels_of(out / layout.VAL_NOISY_LABELS) == noisy_of_val
    for database, labels in ((layout.CLEAN_TRAIN, CLEAN), (layout.VAL, VAL), (layout.TEST, TEST)):
        images, stored = images_of(out / database)
        assert dict(zip(paths_of(out / database), stored, strict=True)) == labels
        assert {image.shape for image in images} == {(3, *SIZE)}
    assert paths_of(out / layout.CLEAN_TRAIN) != list(CLEAN)  # shuffled once
    estimate = estimate_confusion(list(NOISY_OF_CLEAN.values()), list(CLEAN.values()), 3)
    np.testing.assert_array_equal(np.load(out / layout.CONFUSION_NPY), estimate.confusion)
    assert sorted(read_pairs(out / layout.PAIRS, 3)) == sorted((p, CLEAN[p], n) for p, n in NOISY_OF_CLEAN.items())
    types = read_noise_types(out / layout.NOISE_TYPES)
    assert types == dict(zip(CLEAN, estimate.noise_types.tolist(), strict=True))
    assert len(paths_of(out / layout.NTYPE_TRAIN)) == 16 and len(paths_of(out / layout.NTYPE_VAL)) == 4

    stored = paths_of(out / layout.MIXED_IMAGES)
    assert set(stored) == {*CLEAN, *NOISY}  # held-out images are left out
    order = [stored[position] for position in np.load(out / layout.MIXED_INDEX)]
    assert sum(path in CLEAN for path in order) == len(NOISY) / 2
    assert labels_of(out / layout.MIXED_CLEAN_LABELS) == [CLEAN.get(path, -1) for path in order]
    assert labels_of(out / layout.MIXED_NOISY_LABELS) == [(NOISY | NOISY_OF_CLEAN)[path] for path in order]
    assert (out / layout.NAMES).read_text().split() == ["coat", "vest", "shirt"]
    printed = capsys.readouterr().out
    assert "3 classes; images: 20 clean, 20 of them with a noisy label, 40 noisy, 6 validation, 9 test" in printed


def test_what_it_makes_passes_the_check(lists: Path) -> None:
    assert run(lists, "--recipe", "release") == 0
    assert check_dataset([f"{lists}/data"]) == 0


def test_without_validation_images_and_names(lists: Path) -> None:
    write_list(lists / "noisy.txt", NOISY)
    write_pairs(lists / "pairs.csv", ((path, CLEAN[path], NOISY_OF_CLEAN[path]) for path in list(CLEAN)[:7]))
    assert run(lists, "--pairs", f"{lists}/pairs.csv", "--clean_ratio", "none", val=False) == 0
    out = lists / "data"
    assert not (out / layout.VAL).exists()
    assert (out / layout.NAMES).read_text().splitlines() == ["class 0", "class 1", "class 2"]
    assert len(list(read_pairs(out / layout.PAIRS, 3))) == 7
    assert len(np.load(out / layout.MIXED_INDEX)) == 60


def test_missing_files_stop_it_or_are_left_out(lists: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lists / "images/web/3.jpg").unlink()
    (lists / "images/test/4.jpg").unlink()
    assert run(lists) == 2
    assert "2 of 75 listed images are not in it, the first 'test/4.jpg'" in capsys.readouterr().err
    assert not (lists / "data").exists()
    assert run(lists, "--skip_missing") == 0
    assert set(paths_of(lists / "data" / layout.TEST)) == {*TEST} - {"test/4.jpg"}
    assert "web/3.jpg" not in paths_of(lists / "data" / layout.MIXED_IMAGES)


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        (list(CLEAN)[:16], "expected 5 or more images with both labels to be left, got 4"),
        (list(VAL), "no image of --val is left"),
    ],
)
def test_too_few_images_left(lists: Path, gone: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    for image in gone:
        (lists / "images" / image).unlink()
    assert run(lists, "--skip_missing") == 2
    assert message in capsys.readouterr().err
    assert not (lists / "data").exists()


def test_a_mistyped_label_makes_no_classes(lists: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_list(lists / "noisy.txt", NOISY | NOISY_OF_CLEAN | {"web/3.jpg": 2_000_000_000})
    assert run(lists) == 2
    error = capsys.readouterr().err
    assert "noisy.txt:4: 'web/3.jpg': expected labels below 20, the images of" in error and "give --names" in error


def test_a_class_without_a_name(lists: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lists / "names.txt").write_text("coat\nvest\n")
    assert run(lists, "--names", f"{lists}/names.txt") == 2
    line = list(CLEAN.values()).index(2) + 1
    said = (
        f"clean.txt:{line}: {list(CLEAN)[line - 1]!r}: expected labels below 2, as there are names in {lists}/names.txt"
    )
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("other", ["noisy", "test", "val"])
def test_one_file_for_two_lists(lists: Path, other: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Were it taken, test images would be trained on."""
    (lists / f"{other}.txt").unlink()
    (lists / f"{other}.txt").symlink_to(lists / "clean.txt")
    assert run(lists) == 2
    assert f"{other}.txt: given as the clean list and as the {other} list" in capsys.readouterr().err
    assert not (lists / "data").exists()


def test_swapped_lists_are_told(lists: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clean, noisy = (lists / "clean.txt").read_text(), (lists / "noisy.txt").read_text()
    (lists / "clean.txt").write_text(
        "".join(line for line in noisy.splitlines(True) if line[:4] not in ("val/", "test"))
    )
    (lists / "noisy.txt").write_text(clean + "web/0.jpg 0\nelsewhere/1.jpg 1\n")
    write_plain_image(lists / "images/elsewhere/1.jpg", (1, 2, 3), (5, 9))
    assert run(lists) == 0
    assert "clean.txt has more images than" in capsys.readouterr().err


def test_lists_that_name_images_differently(lists: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_list(lists / "clean.txt", {f"images/{path}": label for path, label in CLEAN.items()})
    assert run(lists) == 2
    said = f"(they name images differently: 'images/{next(iter(CLEAN))}' there, 'web/0.jpg' here?)"
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--pairs", "--clean_additions"])
def test_labels_of_csvs_are_classes(lists: Path, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_pairs(lists / "labels.csv", [("web/1.jpg", 3, NOISY["web/1.jpg"])])
    assert run(lists, option, f"{lists}/labels.csv") == 2
    assert "labels.csv:2" in (error := capsys.readouterr().err) and "expected a whole number in [0, 3)" in error


def test_blank_lines_are_no_images(lists: Path) -> None:
    lines = (lists / "noisy.txt").read_text().splitlines()
    (lists / "noisy.txt").write_text("\n".join([*lines[:5], "", *lines[5:], "", ""]))
    assert run(lists) == 0
    assert set(paths_of(lists / "data" / layout.MIXED_IMAGES)) == {*CLEAN, *NOISY}


def test_a_wrong_root_is_no_empty_data_set(lists: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(lists, "--root", f"{lists}/elsewhere", "--skip_missing") == 2
    assert "75 of 75 listed images are not in it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "labels", "message"),
    [
        ("test.txt", {"test/0.jpg": 3}, "'test/0.jpg': expected labels below 3"),
        ("test.txt", {"test/0.jpg": -1}, "test.txt:1: expected a label >= 0, got -1"),
        ("test.txt", {next(iter(CLEAN)): 0}, "1 image(s) are in"),
        ("val.txt", {"test/5.jpg": 0, "test/6.jpg": 0}, "val.txt: 2 image(s) are in"),
        ("noisy.txt", dict(list(NOISY_OF_CLEAN.items())[:4]) | NOISY, "expected 5 or more images of"),
        ("noisy.txt", NOISY_OF_CLEAN, "no image in it that is in none of the other lists"),
    ],
)
def test_lists_that_do_not_fit(
    lists: Path, name: str, labels: dict[str, int], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_list(lists / name, labels)
    assert run(lists, "--names", f"{lists}/names.txt") == 2
    error = capsys.readouterr().err
    assert message in error and name in error
    assert not (lists / "data").exists()


def test_one_image_with_two_labels(lists: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open(lists / "clean.txt", "a") as file:
        file.write(f"{next(iter(CLEAN))} 2\n")
    assert run(lists) == 2
    assert (
        "clean.txt:21: the image 'photos/café 0, red.jpg' has the label 0 in an earlier line" in capsys.readouterr().err
    )


@pytest.mark.parametrize(("clean", "noisy"), [(1, 1), (0, 2)])
def test_pairs_that_contradict_the_lists(
    lists: Path, clean: int, noisy: int, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pairs(lists / "pairs.csv", [(next(iter(CLEAN)), clean, noisy)])
    assert run(lists, "--pairs", f"{lists}/pairs.csv") == 2
    kind = "clean" if clean else "noisy"
    assert f"expected the {kind} label of the list" in capsys.readouterr().err


def test_decisions_become_clean_labels_that_c_is_not_estimated_from(
    lists: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    decided = {"web/1.jpg": 2, "web/2.jpg": NOISY["web/2.jpg"]}
    additions = lists / "additions.csv"
    write_pairs(additions, ((path, label, NOISY[path]) for path, label in decided.items()))
    assert run(lists, "--clean_additions", str(additions), "--clean_ratio", "none") == 0
    out = lists / "data"
    images = dict(zip(paths_of(out / layout.CLEAN_TRAIN), images_of(out / layout.CLEAN_TRAIN)[1], strict=True))
    assert images == CLEAN | decided
    assert len(list(read_pairs(out / layout.PAIRS, 3))) == len(CLEAN)
    stored = paths_of(out / layout.MIXED_IMAGES)
    order = [stored[position] for position in np.load(out / layout.MIXED_INDEX)]
    noisy = dict(zip(order, labels_of(out / layout.MIXED_NOISY_LABELS), strict=True))
    assert [noisy[path] for path in decided] == [-1, -1] and noisy["web/3.jpg"] == NOISY["web/3.jpg"]

    write_pairs(additions, [("test/3.jpg", 1, 2)])
    assert run(lists, "--clean_additions", str(additions), "--force") == 2
    assert "additions.csv: the image 'test/3.jpg' is not in the noisy list alone" in capsys.readouterr().err
