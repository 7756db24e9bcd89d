"""Near duplicates: hashes, pairs, alignment, groups, kept hashes, each against a plain witness."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("imagehash")
pytest.importorskip("faiss")

from caffe_compat.datasets.near_duplicates import store as store_module
from caffe_compat.datasets.near_duplicates.alignment import Pair, aligned_correlation, correlate_files
from caffe_compat.datasets.near_duplicates.candidates import (
    CANDIDATE,
    find_candidates,
    hamming,
    without_itself,
)
from caffe_compat.datasets.near_duplicates.groups import write_clusters, write_groups
from caffe_compat.datasets.near_duplicates.hashing import FINGERPRINT, hash_file
from caffe_compat.datasets.near_duplicates.matching import Matches
from caffe_compat.datasets.near_duplicates.sides import Side
from caffe_compat.datasets.near_duplicates.store import HashStore
from caffe_compat.errors import DataError


def picture(seed: int, size: int = 128) -> np.ndarray:
    """A smooth picture with some detail, (size, size, 3)."""
    rng = np.random.default_rng(seed)
    coarse, fine = (cv2.resize(rng.random((n, n, 3)), (size, size), interpolation=cv2.INTER_CUBIC) for n in (5, 24))
    return np.clip(255 * (0.8 * coarse + 0.2 * fine), 0, 255).astype(np.uint8)


def write(path: Path, image: np.ndarray, quality: int = 90) -> str:
    done, jpeg = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, quality))
    assert done
    path.write_bytes(jpeg.tobytes())
    return str(path)


def fingerprint(path: str) -> np.void:
    return np.frombuffer(hash_file(path).fingerprint, FINGERPRINT)[0]


def bits(one: np.ndarray, other: np.ndarray) -> int:
    return sum(bin(int(a) ^ int(b)).count("1") for a, b in zip(one, other, strict=True))


# --- hashes -------------------------------------------------------------------------------------------------------


def test_fingerprints_are_imagehashs_own(tmp_path: Path) -> None:
    import imagehash
    from PIL import Image

    path = str(tmp_path / "a.png")
    cv2.imwrite(path, picture(0, 64))
    found, image = fingerprint(path), Image.open(path).convert("L")
    assert np.packbits(imagehash.phash(image, 8).hash).tolist() == found["coarse"].tolist()
    assert np.packbits(imagehash.phash(image, 16).hash).tolist() == found["fine"].tolist()


def test_what_stays_near_and_what_does_not(tmp_path: Path) -> None:
    original = fingerprint(write(tmp_path / "a.jpg", picture(1)))
    small = cv2.resize(picture(1), (50, 70), interpolation=cv2.INTER_AREA)
    again = fingerprint(write(tmp_path / "b.jpg", small, 40))
    mirrored = fingerprint(write(tmp_path / "c.jpg", picture(1)[:, ::-1]))
    other = fingerprint(write(tmp_path / "d.jpg", picture(2)))
    assert bits(original["coarse"], again["coarse"]) <= 4 and bits(original["fine"], again["fine"]) <= 20
    assert bits(original["coarse_mirrored"], mirrored["coarse"]) <= 2
    assert bits(original["fine_mirrored"], mirrored["fine"]) <= 6
    for name in ("", "_mirrored"):
        assert bits(original["coarse" + name], other["coarse"]) > 12
        assert bits(original["fine" + name], other["fine"]) > 80


def test_files_that_are_no_images(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no image")
    whole = Path(write(tmp_path / "a.jpg", picture(1)))
    whole.write_bytes(whole.read_bytes()[:1000])
    for name in ("text", "none", "a.jpg"):
        fingerprint_bytes, problem = hash_file(str(tmp_path / name))
        assert fingerprint_bytes == b"" and problem


def test_exif_orientation_is_followed_as_opencv_follows_it(tmp_path: Path) -> None:
    from PIL import Image

    upright = Image.fromarray(picture(1))
    upright.save(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise to be seen
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    turned = tmp_path / "turned.jpg"
    assert bits(fingerprint(str(tmp_path / "upright.png"))["fine"], fingerprint(str(turned))["fine"]) <= 10
    assert correlate_files(Pair(str(tmp_path / "upright.png"), str(turned), False)) > 0.99
    tag = b"\x01\x12\x00\x03\x00\x00\x00\x01"  # orientation, one short: here a type that does not exist
    turned.write_bytes(turned.read_bytes().replace(tag, tag[:3] + b"\xff" + tag[4:]))
    assert hash_file(str(turned)).problem == ""


# --- pairs --------------------------------------------------------------------------------------------------------


def random_fingerprints(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.integers(0, 256, (count, FINGERPRINT.itemsize), np.uint8).view(FINGERPRINT)[:, 0]


def test_pairs_are_all_pairs_within_the_radii() -> None:
    rng = np.random.default_rng(0)
    queries, base = random_fingerprints(rng, 7), random_fingerprints(rng, 400)
    for name in ("coarse", "fine"):  # some near ones, at every distance around the radii
        for query in range(7):
            for row in range(20):
                source = queries[name + ("_mirrored" if row % 2 else "")][query]
                flipped = np.unpackbits(source)
                flipped[: row // 2 + 3] ^= 1
                base[name][20 * query + row] = np.packbits(flipped)
    found = find_candidates(queries, base, coarse_radius=9, fine_radius=11)
    wanted = []
    for query in range(7):
        for position in range(400):
            ways = [
                (bits(queries["fine" + s][query], base["fine"][position]), s != "",
                 bits(queries["coarse" + s][query], base["coarse"][position]))
                for s in ("", "_mirrored")
            ]  # fmt: skip
            if near := [way for way in ways if way[2] <= 9 and way[0] <= 11]:
                fine, mirrored, coarse = min(near)
                wanted.append((query, position, coarse, fine, mirrored))
    assert found.tolist() == wanted and len(wanted) == 7 * 14
    assert {int(pair["coarse"]) for pair in found} == set(range(3, 10))


def test_no_pairs() -> None:
    rng = np.random.default_rng(0)
    some, none = random_fingerprints(rng, 3), random_fingerprints(rng, 0)
    assert len(find_candidates(some, none, 64, 256)) == len(find_candidates(none, some, 64, 256)) == 0


def test_a_set_against_itself() -> None:
    values = random_fingerprints(np.random.default_rng(0), 4)
    values[2] = values[0]
    values[3] = values[0]
    pairs = without_itself(find_candidates(values, values, 0, 0))
    assert pairs[["query", "base"]].tolist() == [(0, 2), (0, 3), (2, 3)]


def test_hamming() -> None:
    one, other = np.array([[0, 255], [1, 2]], np.uint8), np.array([[0, 0], [1, 3]], np.uint8)
    assert hamming(one, other).tolist() == [8, 1]


# --- laid over each other -----------------------------------------------------------------------------------------


def test_crops_and_borders_fit(tmp_path: Path) -> None:
    image = picture(3, 256)
    assert aligned_correlation(image, image) == pytest.approx(1, abs=1e-5)
    crop = image[5:245, 12:252]
    assert aligned_correlation(image, crop) > 0.97 and aligned_correlation(crop, image) > 0.97
    border = cv2.copyMakeBorder(image, 12, 12, 12, 12, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    assert aligned_correlation(image, border) > 0.97
    assert aligned_correlation(image, (0.5 * image + 60).astype(np.uint8)) > 0.99
    assert aligned_correlation(image, picture(4, 256)) < 0.9
    assert aligned_correlation(image, image[..., ::-1]) < 0.9  # the same garment in another colour
    assert aligned_correlation(np.full((40, 40, 3), (7, 0, 90), np.uint8), image) == 0

    one, other = write(tmp_path / "caf\udce9.jpg", image), write(tmp_path / "b.jpg", image[:, ::-1])
    assert correlate_files(Pair(one, other, True)) > 0.99 > correlate_files(Pair(one, other, False))
    assert correlate_files(Pair(one, str(tmp_path / "none.jpg"), False)) == 0


def test_pictures_without_contrast_are_the_same_if_their_colour_is(tmp_path: Path) -> None:
    red, as_red, white = (write(tmp_path / f"{number}.jpg", np.full((40, 50, 3), colour, np.uint8), 60)
                          for number, colour in enumerate([(20, 30, 200), (22, 30, 197), (255, 255, 255)]))  # fmt: skip
    assert bits(fingerprint(red)["fine"], fingerprint(white)["fine"]) == 0  # hashes cannot tell
    assert correlate_files(Pair(red, as_red, False)) == 1
    assert correlate_files(Pair(red, white, False)) == 0
    assert correlate_files(Pair(write(tmp_path / "p.jpg", picture(3)), white, False)) == 0


def test_a_picture_with_an_empty_middle_is_looked_for_whole() -> None:
    image = cv2.copyMakeBorder(np.full((100, 100, 3), 255, np.uint8), 9, 9, 9, 9, cv2.BORDER_CONSTANT, value=(9, 0, 80))
    assert aligned_correlation(image, cv2.resize(image, (70, 70))) > 0.9
    assert aligned_correlation(image, 255 - image) < 0


# --- groups -------------------------------------------------------------------------------------------------------


def side(name: str, count: int) -> Side:
    keys = [f"{name}{number}" for number in range(count)]
    return Side(name, keys, ["list"] * count, keys, str)


def test_duplicates_of_duplicates_are_one_group(tmp_path: Path) -> None:
    pairs = np.array([(0, 1, 3, 20, False), (2, 1, 2, 10, True), (2, 4, 1, 4, False), (1, 0, 0, 0, False)], CANDIDATE)
    matches = Matches(pairs, np.array([0.9, 0.8, 0.97, 1.0]))
    assert write_groups(tmp_path / "groups.csv", matches, side("c", 3), side("n,", 5)) == 2
    with open(tmp_path / "groups.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["group", "key", "side", "distance", "score", "nearest", "mirrored"],
        ["0", "c0", "clean", "", "", "", ""],
        ["0", "c2", "clean", "", "", "", ""],
        ["0", "n,1", "noisy", "10", "0.8000", "c2", "1"],
        ["0", "n,4", "noisy", "4", "0.9700", "c2", "0"],
        ["1", "c1", "clean", "", "", "", ""],
        ["1", "n,0", "noisy", "0", "1.0000", "c1", "0"],
    ]
    assert write_clusters(tmp_path / "clusters.csv", pairs[:1], side("n", 3)) == 1
    assert (tmp_path / "clusters.csv").read_text() == "cluster,key\n0,n0\n0,n1\n"


# --- kept hashes --------------------------------------------------------------------------------------------------


def test_hashes_are_kept_until_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [write(tmp_path / f"{number}.jpg", picture(number)) for number in range(4)]
    (tmp_path / "bad").write_text("no image")
    monkeypatch.setattr(store_module, "_IMAGES_A_PART", 3)
    first = HashStore(tmp_path / "hashes").fingerprints([*paths, str(tmp_path / "bad")], 1)
    assert first.hashed == 5 and list(first.problems) == [4]
    assert len(list((tmp_path / "hashes").iterdir())) == 2
    assert first.values[1] == fingerprint(paths[1]) and not any(first.values[4]["fine"])

    write(Path(paths[2]), picture(9))
    os.utime(paths[2], ns=(0, 10**18))
    again = HashStore(tmp_path / "hashes").fingerprints(paths[::-1], 1)
    assert again.hashed == 1
    assert again.values[1] == fingerprint(paths[2]) != first.values[2]
    assert again.values[3] == first.values[0]


def test_what_was_hashed_before_an_interruption_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [write(tmp_path / f"{number}.jpg", picture(number)) for number in range(5)]
    monkeypatch.setattr(store_module, "_IMAGES_A_PART", 2)

    def interrupted(path: str) -> object:
        if path == paths[4]:
            raise KeyboardInterrupt
        return hash_file(path)

    monkeypatch.setattr(store_module, "hash_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        HashStore(tmp_path / "hashes").fingerprints(paths, 1)
    monkeypatch.setattr(store_module, "hash_file", hash_file)
    assert HashStore(tmp_path / "hashes").fingerprints(paths, 1).hashed == 1


def test_a_part_never_replaces_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [write(tmp_path / f"{number}.jpg", picture(number)) for number in range(4)]
    monkeypatch.setattr(store_module, "_IMAGES_A_PART", 1)
    HashStore(tmp_path / "hashes").fingerprints(paths[:3], 1)
    (tmp_path / "hashes/part_00001.npz").unlink()  # as the error about a broken one advises
    assert HashStore(tmp_path / "hashes").fingerprints(paths, 1).hashed == 2
    assert HashStore(tmp_path / "hashes").fingerprints(paths, 1).hashed == 0


def test_a_name_with_a_nul_is_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert list(HashStore(tmp_path / "hashes").fingerprints([f"{tmp_path}/a\0b"], 1).problems) == [0]


def test_broken_parts_are_named(tmp_path: Path) -> None:
    (tmp_path / "part_00000.npz").write_bytes(b"PK\3\4 broken")
    (tmp_path / ".part_00001.npz.12345678.part").touch()  # what a killed process leaves
    with pytest.raises(DataError, match=r"part_00000.npz: not a part of kept hashes, or broken; remove it"):
        HashStore(tmp_path)
    (tmp_path / "part_00000.npz").unlink()
    HashStore(tmp_path)
