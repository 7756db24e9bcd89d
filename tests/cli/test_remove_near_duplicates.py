"""tools/remove_near_duplicates.py through its command line, on a few pictures with planted duplicates."""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("imagehash")
pytest.importorskip("faiss")

from tiny_datasets import write_clothing1m

import caffe_compat.datasets.near_duplicates.removal as removal_module
from caffe_compat.cli.remove_near_duplicates import main


def picture(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse, fine = (cv2.resize(rng.random((n, n, 3)), (128, 128), interpolation=cv2.INTER_CUBIC) for n in (5, 24))
    return np.clip(255 * (0.8 * coarse + 0.2 * fine), 0, 255).astype(np.uint8)


def write(path: Path, image: np.ndarray, quality: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _, jpeg = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, quality))
    path.write_bytes(jpeg.tobytes())


def marked(image: np.ndarray) -> np.ndarray:
    return cv2.putText(image.copy(), "shop", (8, 70), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1)


DUPLICATES = {
    "saved anew.jpg": (0, lambda image: image),
    "small.jpg": (1, lambda image: cv2.resize(image, (60, 60), interpolation=cv2.INTER_AREA)),
    "mirrored.jpg": (2, lambda image: image[:, ::-1]),
    "bright,er.jpg": (3, lambda image: (40 + 0.8 * image).astype(np.uint8)),
    "cropped.jpg": (4, lambda image: image[3:124, 4:125]),
    "marked.jpg": (0, marked),
}


@pytest.fixture
def lists(tmp_path: Path) -> list[str]:
    """Clean images 0 to 5; a noisy list of 6 duplicates among 8 other images, and one that cannot be read."""
    for number in range(6):
        write(tmp_path / f"c/{number}.jpg", picture(number))
    for name, (number, change) in DUPLICATES.items():
        write(tmp_path / "n" / name, change(picture(number)), 60)
    for number in range(8):
        write(tmp_path / f"n/other {number}.jpg", picture(100 + number))
    (tmp_path / "n/broken.jpg").write_text("no image")
    (tmp_path / "clean.txt").write_text("".join(f"{number}.jpg {number}\n" for number in range(6)))
    noisy = ["other 0.jpg", *DUPLICATES, "broken.jpg", *(f"other {number}.jpg" for number in range(1, 8))]
    (tmp_path / "noisy.txt").write_text("".join(f"{name} 3\n" for name in noisy))
    return ["--clean", str(tmp_path / "clean.txt"), "--clean_root", f"{tmp_path}/c/", "--noisy",
            str(tmp_path / "noisy.txt"), "--noisy_root", f"{tmp_path}/n/", "--processes", "1"]  # fmt: skip


def test_the_same_file_can_stay(lists: list[str], tmp_path: Path) -> None:
    """A clean image that is in the noisy list too has both labels; a copy of it under another name goes."""
    with open(tmp_path / "noisy.txt", "a") as file:
        file.write("../c/5.jpg 1\n")
    write(tmp_path / "n/copy of 5.jpg", picture(5))
    with open(tmp_path / "noisy.txt", "a") as file:
        file.write("copy of 5.jpg 1\n")
    for name, options in (("without", []), ("with", ["--keep_same"])):
        assert main([*lists, "--out", str(tmp_path / name), *options]) == 0
    left = [(tmp_path / name / "noisy.txt").read_text().splitlines() for name in ("without", "with")]
    assert [line for line in left[1] if line not in left[0]] == ["../c/5.jpg 1"]


def test_duplicates_go_and_all_else_stays(lists: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    out = tmp_path / "out"
    assert main([*lists, "--out", str(out), "--within_noisy"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("dropped 6 of 15 noisy images, 5 groups; 1 files cannot be read\n")
    left = ["other 0.jpg", "broken.jpg", *(f"other {number}.jpg" for number in range(1, 8))]
    assert (out / "noisy.txt").read_text() == "".join(f"{name} 3\n" for name in left)
    with open(out / "groups.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["side"] == "noisy"]
    assert {row["key"]: row["nearest"] for row in rows} == {
        name: f"{number}.jpg" for name, (number, _) in DUPLICATES.items()
    }
    assert [row["key"] for row in rows if row["mirrored"] == "1"] == ["mirrored.jpg"]
    assert all(int(row["distance"]) <= 40 or float(row["score"]) >= 0.95 for row in rows)
    assert all(float(row["score"]) >= 0.5 for row in rows)
    sheet = cv2.imread(str(out / "contact_sheet.jpg"))
    assert sheet is not None and sheet.shape[1] > 1000
    report = json.loads((out / "report.json").read_text())
    assert (report["dropped"], report["kept"], report["groups"], report["noisy_clusters"]) == (6, 9, 5, 1)
    assert [one["key"] for one in report["unreadable"]] == ["broken.jpg"]
    assert set((out / "noisy_clusters.csv").read_text().split()) >= {"anew.jpg", "0,marked.jpg"}
    assert all(path.read_bytes() == content for path, content in before.items())


def test_a_second_call_hashes_nothing(lists: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*lists, "--out", str(tmp_path / "one"), "--hashes", str(tmp_path / "hashes")]) == 0
    assert main([*lists, "--out", str(tmp_path / "two"), "--hashes", str(tmp_path / "hashes"), "--fine", "0",
                 "--correlation", "1.1"]) == 0  # fmt: skip
    reports = [json.loads((tmp_path / name / "report.json").read_text()) for name in ("one", "two")]
    assert [report["images_hashed"] for report in reports] == [21, 1]  # the broken one is tried again
    assert reports[1]["dropped"] < reports[0]["dropped"]


def test_a_folder_like_clothing1m(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write_clothing1m(root)
    noisy = (root / "noisy_train_key_list.txt").read_text().split()
    clean = (root / "clean_test_key_list.txt").read_text().split()
    for number, path in enumerate(root.glob("images/*/*/*.jpg")):
        write(path, picture(number))
    write(root / noisy[4], cv2.imread(str(root / clean[2])), 50)
    assert main([str(root), "--out", str(tmp_path / "out"), "--processes", "1"]) == 0
    kept = (tmp_path / "out/noisy_train_key_list.txt").read_text().splitlines()
    assert kept == [key for key in noisy if key != noisy[4]]
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["clean_images_with_duplicates"] == {"clean_test_key_list.txt": 1}


def test_nothing_to_drop(lists: list[str], tmp_path: Path) -> None:
    (tmp_path / "noisy.txt").write_text("\nother 0.jpg 3\n \n")
    assert main([*lists, "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out/noisy.txt").read_text() == "other 0.jpg 3\n"


@pytest.mark.parametrize("module", ["imagehash", "faiss"])
def test_a_missing_library_is_named(
    lists: list[str], tmp_path: Path, module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert main([*lists, "--out", str(tmp_path / "out")]) == 2
    assert f"(pip install {'ImageHash' if module == 'imagehash' else 'faiss-cpu'})" in capsys.readouterr().err
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.hashes").exists()  # said before hours of hashing


def test_names_that_are_not_utf8(lists: list[str], tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    write(tmp_path / "n" / name, picture(5), 60)
    (tmp_path / "noisy.txt").write_bytes(os.fsencode(f"{name} 3\nother 0.jpg 3\n"))
    assert main([*lists, "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out/noisy.txt").read_text() == "other 0.jpg 3\n"


def test_pictures_of_one_colour(lists: list[str], tmp_path: Path) -> None:
    for name, colour in (("c/0", 255), ("n/white", 255), ("n/black", 0), ("n/grey", 90)):
        write(tmp_path / f"{name}.jpg", np.full((50, 60, 3), colour, np.uint8))
    (tmp_path / "noisy.txt").write_text("white.jpg 3\nblack.jpg 3\ngrey.jpg 3\n")
    assert main([*lists, "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out/noisy.txt").read_text() == "black.jpg 3\ngrey.jpg 3\n"


def test_files_that_cannot_be_read_are_not_searched(
    lists: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched = []

    def search(queries: np.ndarray, base: np.ndarray, *args: int) -> np.ndarray:
        searched.append((len(queries), len(base)))
        return find_candidates(queries, base, *args)

    find_candidates = removal_module.find_candidates
    monkeypatch.setattr(removal_module, "find_candidates", search)
    (tmp_path / "c/2.jpg").write_text("no image")
    assert main([*lists, "--out", str(tmp_path / "out"), "--within_noisy"]) == 0
    assert searched == [(5, 14), (14, 14)]
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["dropped"] == 5 and [one["key"] for one in report["unreadable"]] == ["2.jpg", "broken.jpg"]


@pytest.mark.parametrize("side", ["clean", "noisy"])
def test_a_side_that_cannot_be_read_at_all(
    lists: list[str], tmp_path: Path, side: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (tmp_path / side[0]).iterdir():
        path.unlink()
    assert main([*lists, "--out", str(tmp_path / "out")]) == 2
    assert (
        f"none of the {6 if side == 'clean' else 15} {side} images can be read; the first: " in capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "out.hashes").exists() == (side == "noisy"), "which were read before; an empty one does not stay"


def test_a_list_against_itself(lists: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "noisy.txt").write_text("../c/1.jpg 1\n../c/3.jpg 3\n")
    assert main([*lists, "--out", str(tmp_path / "out")]) == 2
    said = f"{tmp_path}/noisy.txt: each of the 2 images is a clean one, too: none would be left"
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out.hashes").exists()
    assert main([*lists, "--out", str(tmp_path / "out"), "--keep_same"]) == 0


def test_hashes_in_a_folder_of_other_things(
    lists: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted((tmp_path / "c").iterdir())
    assert main([*lists, "--out", str(tmp_path / "out"), "--hashes", str(tmp_path / "c")]) == 2
    assert f"{tmp_path}/c: expected a folder of kept hashes, got one that holds 0.jpg" in capsys.readouterr().err
    assert sorted((tmp_path / "c").iterdir()) == before
    assert main([*lists, "--out", str(tmp_path / "out"), "--hashes", str(tmp_path / "clean.txt/hashes")]) == 2
    assert f"{tmp_path}/clean.txt: expected a folder of kept hashes, got a file" in capsys.readouterr().err


def test_nothing_but_near_duplicates(lists: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "noisy.txt").write_text("saved anew.jpg 3\nmarked.jpg 3\n")
    assert main([*lists, "--out", str(tmp_path / "out")]) == 2
    said = f"{tmp_path}/noisy.txt: each of the 2 images is a near duplicate of a clean one: none would be left"
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_wrong_usage(lists: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path / "out")]) == 2
    assert main([*lists, str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert main([*lists, "--out", str(tmp_path / "out"), "--coarse", "65"]) == 2
    assert main([*lists, "--out", str(tmp_path)]) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--correlation", "nan"], "--correlation: expected a number from -1, got nan"),
        (["--least_correlation", "-5"], "--least_correlation: expected a number from -1, got -5"),
        (["--fine", "90"], "--fine: expected at most --candidate, 80, got 90"),
    ],
)
def test_thresholds_that_cannot_be_meant(
    lists: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main([*lists, "--out", str(tmp_path / "out"), *options]) == 2
    assert message in capsys.readouterr().err
