"""tools/convert_imageset.py against real Caffe's databases, record by record."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from databases import GOLDEN_RUN, pixels, records

from caffe_compat.cli.convert_imageset import main
from caffe_compat.data.datum import decode_datum, parse_datum
from caffe_compat.data.group import describe, read_group, side_file
from caffe_compat.proto import caffe_pb2

IMAGES = f"{GOLDEN_RUN}/images/"
RESIZE = ["--resize_height=16", "--resize_width=16"]


def convert(list_path: Path, database: Path, *flags: str, root: str = IMAGES) -> int:
    return main([*flags, root, str(list_path), str(database)])


def messages(log: str) -> list[str]:
    """What the log says, without glog's prefixes."""
    return [re.sub(r"^[IWEF]\d{4,8} \S+ +\d+ \S+:\d+\] ", "", line) for line in log.splitlines()]


@pytest.mark.parametrize(
    "name, list_name, flags",
    [
        ("train", "train", ["--backend=lmdb", *RESIZE]),
        ("test", "test", ["--backend", "lmdb", "-resize_height", "16", "--resize-width", "16"]),
        ("train_gray", "train", ["--gray", *RESIZE]),
        ("train_asis", "train", ["--encoded=true"]),
    ],
)
def test_the_database_equals_real_caffes(
    name: str,
    list_name: str,
    flags: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert convert(GOLDEN_RUN / f"{list_name}.txt", Path(f"{name}_lmdb"), *flags) == 0
    assert records(f"{name}_lmdb") == records(GOLDEN_RUN / f"{name}_lmdb")
    log = (GOLDEN_RUN / f"convert_{name.removeprefix('train_')}.log").read_text()
    assert messages(capsys.readouterr().err) == messages(log)


def test_encoded_records_equal_real_caffes(tmp_path: Path) -> None:
    """Byte for byte where OpenCV's JPEG encoder is the same; the pixels anyhow within what encoders differ by."""
    convert(GOLDEN_RUN / "train.txt", tmp_path / "db", *RESIZE, "--encoded", "--encode_type=jpg")
    ours, theirs = records(tmp_path / "db"), records(GOLDEN_RUN / "train_encoded_lmdb")
    assert list(ours) == list(theirs)
    for one, other in zip(map(parse_datum, ours.values()), map(parse_datum, theirs.values()), strict=True):
        assert [field.name for field, _ in one.ListFields()] == [field.name for field, _ in other.ListFields()]
        assert (one.label, one.encoded) == (other.label, other.encoded)
        difference = np.abs(decode_datum(one).astype(int) - decode_datum(other).astype(int))
        assert one.data == other.data or difference.max() <= 2


# --- a small tree of images -----------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Images of which one name has a space and a comma, one file is broken and one is missing."""
    for number, image in enumerate(pixels(4, (3, 6, 8))):
        cv2.imwrite(str(tmp_path / f"{number}.png"), image.transpose(1, 2, 0))
    (tmp_path / "3.png").rename(tmp_path / "a b,c.JPEG")
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    return tmp_path


def write_list(folder: Path, *lines: str, end: str = "\n") -> Path:
    (folder / "list.txt").write_bytes(end.join(lines).encode() + b"\n")
    return folder / "list.txt"


def datums(path: Path) -> list[caffe_pb2.Datum]:
    return [parse_datum(value) for value in records(path).values()]


def test_the_label_follows_the_last_space(tree: Path) -> None:
    list_path = write_list(tree, "a b,c.JPEG 7", "0.png -1", "", end="\r\n")
    assert convert(list_path, tree / "db", root=f"{tree}/") == 0
    assert list(records(tree / "db")) == [b"00000000_a b,c.JPEG", b"00000001_0.png"]
    assert [datum.label for datum in datums(tree / "db")] == [7, -1]


@pytest.mark.parametrize("bad, what", [("broken.jpg", "not a readable image"), ("gone.jpg", "No such file")])
def test_an_unreadable_image_stops_the_conversion(
    tree: Path, bad: str, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(write_list(tree, "0.png 0", f"{bad} 1"), tree / "db", root=f"{tree}/") == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"{tree}/list.txt:2: {tree}/{bad}: ") and what in last and "--skip_unreadable" in last
    assert not (tree / "db").exists() and not list(tree.glob(".db*"))


def test_a_root_without_its_slash(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, remedy in (
        ("0.png", f"{tree}/0.png is there: ROOTFOLDER must end in /"),
        ("gone.png", "--skip_unreadable leaves such images out"),
    ):
        assert convert(write_list(tree, f"{name} 0"), tree / "db", root=str(tree)) == 2
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.startswith(f"{tree}/list.txt:1: {tree}{name}: cannot be read: ") and last.endswith(f"; {remedy}")


def test_unreadable_images_can_be_left_out(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    list_path = write_list(tree, "0.png 0", "broken.jpg 1", "1.png 2", "gone.png 3", "2.png 4")
    assert convert(list_path, tree / "db", "--skip_unreadable", "--group=g", root=f"{tree}/") == 0
    assert list(records(tree / "db")) == [b"00000000_0.png", b"00000002_1.png", b"00000004_2.png"]  # gaps, as Caffe's
    out, err = capsys.readouterr()
    assert "left out 2 unreadable image(s)" in out and "line(s) 2, 4" in out and "sed -i.bak '2d;4d' LIST" in out
    assert f"Could not open or find file {tree}/broken.jpg" in err and "Processed 3 files." in err
    assert read_group(side_file(tree / "db")) == describe("g", ["0.png", "1.png", "2.png"])


def test_the_advice_on_lists_leaves_equal_databases(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from caffe_compat.cli.convert_labelset import main as convert_labelset

    list_path = write_list(tree, "0.png 0", "broken.jpg 1", "1.png 2")
    convert(list_path, tree / "db", "--skip_unreadable", "--group=g", root=f"{tree}/")
    (command,) = [line for line in capsys.readouterr().out.splitlines() if "sed" in line]
    subprocess.run(command.replace("LIST", "list.txt"), shell=True, check=True, cwd=tree)
    assert convert_labelset([str(list_path), str(tree / "labels"), "--group=g"]) == 0
    assert read_group(side_file(tree / "labels")) == read_group(side_file(tree / "db"))


def test_shuffling_keeps_labels_with_images(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    list_path = write_list(tree, *(f"{n % 3}.png {n}" for n in range(30)))
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        convert(list_path, tree / name, "--shuffle", f"--seed={seed}", root=f"{tree}/")
    assert "Shuffling data" in messages(capsys.readouterr().err)
    labels = {name: [datum.label for datum in datums(tree / name)] for name in ("one", "again", "other")}
    assert labels["one"] == labels["again"] != labels["other"] and sorted(labels["one"]) == list(range(30))
    keys = [f"{place:08d}_{label % 3}.png".encode() for place, label in enumerate(labels["one"])]
    assert list(records(tree / "one")) == keys
    still = cv2.imread(str(tree / "1.png")).transpose(2, 0, 1)
    first = labels["one"].index(next(label for label in labels["one"] if label % 3 == 1))
    np.testing.assert_array_equal(decode_datum(datums(tree / "one")[first]), still)


def test_a_file_of_the_right_type_is_stored_as_it_is(tree: Path) -> None:
    list_path = write_list(tree, "0.png 0", "a b,c.JPEG 1")
    convert(list_path, tree / "png", "--encode_type=png", root=f"{tree}/")  # means --encoded too, as Caffe's
    convert(list_path, tree / "jpg", "--encoded", "--encode_type=jpg", root=f"{tree}/")
    png, jpg = datums(tree / "png"), datums(tree / "jpg")
    files = [(tree / name).read_bytes() for name in ("0.png", "a b,c.JPEG")]
    assert png[0].data == files[0] and png[1].data[1:4] == b"PNG"
    assert jpg[1].data == files[1] and jpg[0].data[:2] == b"\xff\xd8"
    assert all(datum.encoded for datum in png + jpg)


def test_check_size(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite(str(tree / "wide.png"), np.zeros((8, 6, 3), np.uint8))  # as many pixels, another shape
    list_path = write_list(tree, "0.png 0", "1.png 1", "wide.png 2")
    assert convert(list_path, tree / "free", root=f"{tree}/") == 0
    for flags in ([], ["--encoded"]):
        assert convert(list_path, tree / "db", "--check_size", *flags, root=f"{tree}/") == 2
        assert "list.txt:3: wide.png: expected the first image size (3, 6, 8), got (3, 8, 6)" in capsys.readouterr().err
    assert convert(list_path, tree / "db", "--check_size", *RESIZE, root=f"{tree}/") == 0


def test_an_existing_database_is_not_touched(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    list_path = write_list(tree, "0.png 0")
    assert convert(list_path, tree / "db", root=f"{tree}/") == 0
    before = records(tree / "db")
    assert convert(list_path, tree / "db", root=f"{tree}/") == 2
    assert f"{tree}/db: exists already; remove it or give another name" in capsys.readouterr().err
    assert records(tree / "db") == before


@pytest.mark.parametrize(
    "line, problem",
    [
        ("0.png", "list.txt:2: expected a line \"path label\", the label a whole number, got '0.png'"),
        ("0.png x", "list.txt:2: expected a line \"path label\", the label a whole number, got '0.png x'"),
        ("7", "list.txt:2: "),
        ("", "list.txt:2: expected a line \"path label\", the label a whole number, got ''"),
        ("0.png 4294967296", "list.txt:2: "),
    ],
)
def test_lines_without_a_label(tree: Path, line: str, problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert(write_list(tree, "0.png 0", line, "1.png 1"), tree / "db", root=f"{tree}/") == 2
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags, problem",
    [
        (["--resize_width=5"], "--resize_width and --resize_height go together"),
        (["--resize_width=-5", "--resize_height=5"], "expected a number from 0, got -5"),
        (["--backend=hdf5"], "invalid choice: 'hdf5'"),
        (["--encoded", "--encode_type=xyz"], "cannot be stored as 'xyz'"),
    ],
)
def test_flags_that_make_no_sense(
    tree: Path, flags: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(write_list(tree, "0.png 0"), tree / "db", *flags, root=f"{tree}/") == 2
    assert problem in capsys.readouterr().err


def test_a_name_without_a_type_cannot_be_guessed(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "0.png").rename(tree / "noname")
    assert convert(write_list(tree, "noname 0"), tree / "db", "--encoded", root=f"{tree}/") == 2
    assert "list.txt:1: noname: its name does not tell its type; give --encode_type" in capsys.readouterr().err


def test_no_list_and_an_empty_list(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert(tree / "none.txt", tree / "db") == 2
    assert "none.txt" in capsys.readouterr().err
    assert convert(write_list(tree, ""), tree / "db") == 2
    assert "list.txt: an empty list" in capsys.readouterr().err


def test_the_script_runs() -> None:
    root = Path(__file__).parents[2]
    result = subprocess.run(
        [sys.executable, str(root / "tools" / "convert_imageset.py"), "--help"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert result.returncode == 0 and "--skip_unreadable" in result.stdout
