"""tools/mix_datasets.py through its command line, up to a net that reads what it wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_datasets import images_of, labels_of, paths_of, write_plain_image

from caffe_compat import Net
from caffe_compat.cli.convert_imageset import main as convert_imageset
from caffe_compat.cli.mix_datasets import main
from caffe_compat.datasets import layout
from caffe_compat.datasets.pairs import write_noise_types, write_pairs
from caffe_compat.errors import DataError

CLEAN = {f"shop/c {number}, red.png": number % 3 for number in range(5)}
NOISY = {f"web/n {number},{number}.png": (number + 1) % 3 for number in range(20)}
COLOURS = {path: number + 1 for number, path in enumerate([*CLEAN, *NOISY])}
TYPES = {"shop/c 0, red.png": 0, "shop/c 1, red.png": 1, "shop/c 3, red.png": 2, "not/in/the/list.png": 1}
NOISY_OF_CLEAN = {"shop/c 0, red.png": 0, "shop/c 1, red.png": 2, "shop/c 3, red.png": 1}


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """clean.txt, noisy.txt, types.csv, pairs.csv and the images in root/, each of its own colour."""
    for name, labels in (("clean.txt", CLEAN), ("noisy.txt", NOISY)):
        (tmp_path / name).write_text("".join(f"{path} {label}\n" for path, label in labels.items()))
    for path, colour in COLOURS.items():
        write_plain_image(tmp_path / "root" / path, (colour, 0, 0), (6, 7))
    write_noise_types(tmp_path / "types.csv", TYPES.items())
    write_pairs(tmp_path / "pairs.csv", ((path, CLEAN[path], noisy) for path, noisy in NOISY_OF_CLEAN.items()))
    return tmp_path


def run(lists: Path, *options: str) -> int:
    return main([str(lists / "clean.txt"), str(lists / "noisy.txt"), str(lists / "out"), *options])


def with_root(lists: Path, *options: str) -> int:
    return run(lists, "--image_root", str(lists / "root"), *options)


def check_labels(out: Path, paths: list[str], noisy_of_clean: dict[str, int]) -> None:
    assert labels_of(out / layout.MIXED_CLEAN_LABELS) == [CLEAN.get(path, -1) for path in paths]
    noisy = NOISY | noisy_of_clean
    assert labels_of(out / layout.MIXED_NOISY_LABELS) == [noisy.get(path, -1) for path in paths]
    assert labels_of(out / layout.MIXED_NTYPE_LABELS) == [TYPES.get(path, -1) for path in paths]


def test_images_stored_once(lists: Path) -> None:
    assert with_root(lists, "--noise_types", str(lists / "types.csv")) == 0
    out = lists / "out"
    stored = paths_of(out / layout.MIXED_IMAGES)
    assert stored == [*CLEAN, *NOISY]
    images, _ = images_of(out / layout.MIXED_IMAGES)
    assert images[0].shape == (3, 6, 7)
    assert [int(image[0, 0, 0]) for image in images] == [COLOURS[path] for path in stored]
    order = [stored[position] for position in np.load(out / layout.MIXED_INDEX)]
    assert sum(path in CLEAN for path in order) == 10 and len(order) == 30  # half as many clean as noisy records
    check_labels(out, order, {})
    assert not (out / layout.MIXED_TRUTH_LABELS).exists()


def test_blank_lines_are_skipped(lists: Path) -> None:
    noisy = (lists / "noisy.txt").read_text()
    (lists / "noisy.txt").write_text("\n" + noisy.replace("\n", "\n \n", 1))
    assert with_root(lists) == 0
    assert paths_of(lists / "out" / layout.MIXED_IMAGES) == [*CLEAN, *NOISY]


def test_an_existing_database_is_read_through_an_index(lists: Path, capsys: pytest.CaptureFixture[str]) -> None:
    everything = [*NOISY, *CLEAN]
    (lists / "all.txt").write_text("".join(f"{path} 0\n" for path in everything))
    assert convert_imageset([f"{lists / 'root'}/", str(lists / "all.txt"), str(lists / "all_lmdb")]) == 0
    capsys.readouterr()
    options = ["--image_db", str(lists / "all_lmdb"), "--clean_ratio", "1", "--noise_types", str(lists / "types.csv"),
               "--noisy_labels_of_clean", str(lists / "pairs.csv"), "--truth_labels"]  # fmt: skip
    assert run(lists, *options) == 0
    out = lists / "out"
    assert not (out / layout.MIXED_IMAGES).exists()
    order = [everything[position] for position in np.load(out / layout.MIXED_INDEX)]
    assert len(order) == 40
    check_labels(out, order, NOISY_OF_CLEAN)
    assert labels_of(out / layout.MIXED_TRUTH_LABELS) == [(NOISY | CLEAN)[path] for path in order]
    source, index = lists / "all_lmdb", out / layout.MIXED_INDEX
    assert f'data_param {{ source: "{source}" index: "{index}" }}' in capsys.readouterr().out

    assert run(lists, *options, "--materialise", "--force") == 0
    assert not (out / layout.MIXED_INDEX).exists()
    assert paths_of(out / layout.MIXED_IMAGES) == order
    assert [int(image[0, 0, 0]) for image in images_of(out / layout.MIXED_IMAGES)[0]] == [COLOURS[p] for p in order]
    check_labels(out, order, NOISY_OF_CLEAN)


def test_resizing_and_encoding(lists: Path) -> None:
    assert with_root(lists, "--resize_width", "9", "--resize_height", "4", "--encode_type", "png", "--clean_ratio",
                     "none") == 0  # fmt: skip
    images, _ = images_of(lists / "out" / layout.MIXED_IMAGES)
    assert {image.shape for image in images} == {(3, 4, 9)}
    assert len(np.load(lists / "out" / layout.MIXED_INDEX)) == 25


def test_several_sizes_are_warned_of(lists: Path, capsys: pytest.CaptureFixture[str]) -> None:
    warning = "mixed_images_lmdb: images of 2 sizes, most of them 6 x 7; only nets that crop read these"
    assert with_root(lists) == 0
    assert "only nets that crop" not in capsys.readouterr().err
    write_plain_image(lists / "root" / next(iter(NOISY)), (1, 2, 3), (9, 9))
    assert with_root(lists, "--force") == 0
    assert warning in capsys.readouterr().err


def test_the_seed_decides(lists: Path) -> None:
    orders = []
    for seed in ("1", "1", "2"):
        assert with_root(lists, "--seed", seed, "--force") == 0
        orders.append(np.load(lists / "out" / layout.MIXED_INDEX).tolist())
    assert orders[0] == orders[1] != orders[2]


def test_force_replaces_the_mixed_set_alone(lists: Path) -> None:
    assert with_root(lists) == 0
    out = lists / "out"
    (out / layout.CLEAN_TRAIN).mkdir()
    (out / layout.CONFUSION).write_text("C")
    assert run(lists, "--image_db", str(out / layout.MIXED_IMAGES), "--clean_ratio", "none", "--force") == 0
    assert (out / layout.CLEAN_TRAIN).is_dir() and (out / layout.CONFUSION).read_text() == "C"
    assert len(paths_of(out / layout.MIXED_IMAGES)) == len(np.load(out / layout.MIXED_INDEX)) == 25


# --- a net over it ------------------------------------------------------------------------------------------------


def net_text(out: Path, index: str) -> str:
    parts = [f'layer {{ name: "image" type: "Data" top: "image" data_param {{ source: "{out / layout.MIXED_IMAGES}"'
             f"{index} batch_size: 7 backend: LMDB }} }}"]  # fmt: skip
    for top, name in (
        ("clean", layout.MIXED_CLEAN_LABELS),
        ("noisy", layout.MIXED_NOISY_LABELS),
        ("ntype", layout.MIXED_NTYPE_LABELS),
    ):
        parts.append(f'layer {{ name: "{top}" type: "Data" top: "{top}" data_param {{ source: "{out / name}" '
                     "batch_size: 7 backend: LMDB } }")  # fmt: skip
    return "\n".join(parts)


@pytest.mark.parametrize("materialise", [False, True])
def test_a_net_reads_images_and_labels_in_step(lists: Path, materialise: bool) -> None:
    options = ["--materialise"] if materialise else []
    assert with_root(lists, "--noise_types", str(lists / "types.csv"), *options) == 0
    out = lists / "out"
    net = Net(net_text(out, "" if materialise else f' index: "{out / layout.MIXED_INDEX}"'), "TRAIN")
    path_of_key = {colour: path for path, colour in COLOURS.items()}
    for _ in range(6):  # 42 records: past the end of 30 and round
        blobs = {name: blob.detach().numpy() for name, blob in net().items()}
        paths = [path_of_key[int(image[0, 0, 0])] for image in blobs["image"]]
        assert blobs["clean"].ravel().tolist() == [CLEAN.get(path, -1) for path in paths]
        assert blobs["noisy"].ravel().tolist() == [NOISY.get(path, -1) for path in paths]
        assert blobs["ntype"].ravel().tolist() == [TYPES.get(path, -1) for path in paths]


def test_a_net_refuses_databases_of_two_mixes(lists: Path) -> None:
    assert with_root(lists) == 0
    (lists / "out").rename(lists / "first")
    assert with_root(lists, "--seed", "5") == 0
    stale = lists / "out" / layout.MIXED_NOISY_LABELS
    stale.rename(lists / "aside")
    (lists / "first" / layout.MIXED_NOISY_LABELS).rename(stale)
    index = f' index: "{lists / "out" / layout.MIXED_INDEX}"'
    with pytest.raises(DataError, match="mixed_noisy_labels_lmdb.* belong to one group .* but do not match"):
        Net(net_text(lists / "out", index), "TRAIN")


# --- wrong input --------------------------------------------------------------------------------------------------


def fails(lists: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    before = sorted(path.name for path in lists.iterdir())
    assert with_root(lists, *options) == 2
    assert sorted(path.name for path in lists.iterdir()) == before
    return capsys.readouterr().err


def test_an_image_in_both_lists(lists: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open(lists / "noisy.txt", "a") as file:
        file.write("shop/c 3, red.png 1\n")
    said = fails(lists, capsys)
    assert f"{lists}/clean.txt and {lists}/noisy.txt: 1 image(s) are in the clean and in the noisy list" in said


@pytest.mark.parametrize("label", ["-1", "x"])
def test_a_label_that_is_none(lists: Path, capsys: pytest.CaptureFixture[str], label: str) -> None:
    with open(lists / "clean.txt", "a") as file:
        file.write(f"new.png {label}\n")
    assert f"{lists / 'clean.txt'}:6: expected" in fails(lists, capsys)


def test_noise_types_of_other_images(lists: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_noise_types(lists / "types.csv", [("c 0, red.png", 1)])
    error = fails(lists, capsys, "--noise_types", str(lists / "types.csv"))
    assert "types.csv: none of its keys is in the clean list, e.g. 'c 0, red.png'" in error


def test_a_missing_image(lists: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lists / "root" / "shop" / "c 2, red.png").unlink()
    assert "shop/c 2, red.png: cannot be read: No such file or directory" in fails(lists, capsys)


@pytest.mark.parametrize(
    "options",
    [
        ("--clean_ratio", "-1"),
        ("--clean_ratio", "inf"),
        ("--resize_width", "5"),
        ("--resize_width", "-5"),
        ("--image_db", "x"),
        ("--noise_types", "missing.csv"),
    ],
)
def test_wrong_usage(lists: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]) -> None:
    assert fails(lists, capsys, *options)


def test_images_are_needed(lists: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(lists) == 2
    assert "--image_root" in capsys.readouterr().err
