"""The mixed training set: what is drawn, in which order, and what the databases say about it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_datasets import images_of, labels_of, paths_of, write_plain_image

from caffe_compat.data.group import read_group, side_file
from caffe_compat.data.imageset import ImageFormat
from caffe_compat.datasets import layout
from caffe_compat.datasets.databases import image_reader
from caffe_compat.datasets.image_database import ImageDatabase
from caffe_compat.datasets.mix_recipe import MixRecipe
from caffe_compat.datasets.mixing import Mix, mix, write_mix, write_mix_over
from caffe_compat.datasets.samples import Samples
from caffe_compat.errors import DataError

ONCE = MixRecipe(clean_ratio=0, noisy_labels_of_clean=False)


def samples(prefix: str, count: int, **labels: np.ndarray) -> Samples:
    return Samples.of([f"{prefix}, {number}.png" for number in range(count)], **labels)


def small_mix(recipe: MixRecipe, seed: int = 0) -> Mix:
    clean = samples("c", 4, clean=np.array([0, 1, 2, 0]), noisy=np.array([0, 2, -1, 1]),
                    noise_type=np.array([0, 2, -1, 1]))  # fmt: skip
    return mix(clean, samples("n", 8, noisy=np.arange(8) % 3), recipe, np.random.default_rng(seed))


def rows(ordered: Samples) -> list[tuple[str, int, int, int]]:
    return list(zip(ordered.paths, *(c.tolist() for c in (ordered.clean, ordered.noisy, ordered.noise_type)),
                    strict=True))  # fmt: skip


def test_each_sample_once_without_a_ratio() -> None:
    ordered = small_mix(ONCE).in_reading_order()
    assert sorted(rows(ordered)) == [
        ("c, 0.png", 0, -1, 0), ("c, 1.png", 1, -1, 2), ("c, 2.png", 2, -1, -1), ("c, 3.png", 0, -1, 1),
        *((f"n, {number}.png", -1, number % 3, -1) for number in range(8)),
    ]  # fmt: skip
    assert [path[0] for path in ordered.paths] != sorted(path[0] for path in ordered.paths)


@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.0])
def test_clean_samples_are_drawn_up_to_the_ratio(ratio: float) -> None:
    clean = samples("c", 10, clean=np.zeros(10))
    noisy = samples("n", 2000, noisy=np.zeros(2000))
    paths = mix(clean, noisy, MixRecipe(ratio, False), np.random.default_rng(0)).in_reading_order().paths
    counts = [paths.count(path) for path in clean.paths]
    assert sum(counts) == 2000 * ratio
    assert all(abs(count - 200 * ratio) < 5 * np.sqrt(200 * ratio) for count in counts)
    assert len(set(counts)) > 1  # drawn, not repeated in turn
    assert sorted(path for path in paths if path[0] == "n") == sorted(noisy.paths)


def test_clean_samples_that_are_never_read_are_told(caplog: pytest.LogCaptureFixture) -> None:
    clean, noisy = samples("c", 1000, clean=np.zeros(1000)), samples("n", 100, noisy=np.zeros(100))
    mixed = mix(clean, noisy, MixRecipe(1.0, False), np.random.default_rng(0))
    unread = 1000 - len(set(mixed.in_reading_order().paths) & set(clean.paths))
    assert f"{unread} of 1000 clean images are in none of the 100 clean records drawn" in caplog.text
    caplog.clear()
    mix(clean, noisy, ONCE, np.random.default_rng(0))
    assert not caplog.records


def test_noisy_labels_of_clean_samples_are_kept_on_demand() -> None:
    kept = small_mix(MixRecipe(0, noisy_labels_of_clean=True)).in_reading_order()
    assert {row[2] for row in rows(kept) if row[0] == "c, 1.png"} == {2}
    assert {row[2] for row in rows(kept) if row[0] == "c, 2.png"} == {-1}


def test_the_seed_decides() -> None:
    recipe = MixRecipe(1.0, False)
    one, again, other = (small_mix(recipe, seed).order.tolist() for seed in (1, 1, 2))
    assert one == again != other


def test_truth_is_clean_where_known() -> None:
    labelled = samples("c", 3, clean=np.array([4, -1, -1]), noisy=np.array([5, 6, -1]))
    assert labelled.truth.tolist() == [4, 6, -1]


def test_an_image_in_both_lists_is_refused() -> None:
    with pytest.raises(DataError, match=r"2 image\(s\) are in the clean and in the noisy list, .*: x, 0.png"):
        mix(samples("x", 2), samples("x", 5), ONCE, np.random.default_rng(0))


@pytest.mark.parametrize(("clean", "noisy", "name"), [(0, 2, "clean"), (2, 0, "noisy")])
def test_an_empty_list_is_refused(clean: int, noisy: int, name: str) -> None:
    with pytest.raises(DataError, match=f"the {name} list is empty"):
        mix(samples("c", clean), samples("n", noisy), ONCE, np.random.default_rng(0))


def test_labels_have_to_fit_the_paths() -> None:
    with pytest.raises(ValueError, match=r"labels: expected shape \(2,\), got \(3,\)"):
        samples("x", 2, clean=np.arange(3))


# --- the databases ------------------------------------------------------------------------------------------------


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """One image file for each sample of ``small_mix``, of the colour of its number; noisy ones from 100."""
    root = tmp_path / "images"
    for number in range(8):
        write_plain_image(root / f"c, {number}.png", (number, 0, 0))
        write_plain_image(root / f"n, {number}.png", (100 + number, 0, 0))
    return root


def check_labels(folder: Path, ordered: Samples) -> None:
    for name, column in (
        (layout.MIXED_CLEAN_LABELS, ordered.clean), (layout.MIXED_NOISY_LABELS, ordered.noisy),
        (layout.MIXED_NTYPE_LABELS, ordered.noise_type), (layout.MIXED_TRUTH_LABELS, ordered.truth),
    ):  # fmt: skip
        assert labels_of(folder / name) == column.tolist()


def colour_of(path: str) -> int:
    return int(path.split(", ")[1].removesuffix(".png")) + 100 * (path[0] == "n")


def test_images_once_and_an_index(tmp_path: Path, images: Path) -> None:
    mixed = small_mix(MixRecipe(2.0, False))
    write_mix(tmp_path, mixed, image_reader(images, ImageFormat()))
    ordered = mixed.in_reading_order()
    assert paths_of(tmp_path / layout.MIXED_IMAGES) == list(mixed.samples.paths)
    stored, labels = images_of(tmp_path / layout.MIXED_IMAGES)
    assert set(labels) == {-1}
    index = np.load(tmp_path / layout.MIXED_INDEX)
    assert index.dtype == np.int64 and index.shape == (24,)
    assert [int(stored[position][0, 0, 0]) for position in index] == [colour_of(path) for path in ordered.paths]
    check_labels(tmp_path, ordered)


def test_materialised_images_are_in_reading_order(tmp_path: Path, images: Path) -> None:
    mixed = small_mix(MixRecipe(2.0, False))
    write_mix(tmp_path, mixed, image_reader(images, ImageFormat()), materialise=True)
    ordered = mixed.in_reading_order()
    assert paths_of(tmp_path / layout.MIXED_IMAGES) == list(ordered.paths)
    stored, _ = images_of(tmp_path / layout.MIXED_IMAGES)
    assert [int(image[0, 0, 0]) for image in stored] == [colour_of(path) for path in ordered.paths]
    assert not (tmp_path / layout.MIXED_INDEX).exists()
    check_labels(tmp_path, ordered)


@pytest.mark.parametrize("materialise", [False, True])
def test_side_files_agree(tmp_path: Path, images: Path, materialise: bool) -> None:
    mixed = small_mix(MixRecipe(0.5, False))
    write_mix(tmp_path, mixed, image_reader(images, ImageFormat()), materialise)
    index = None if materialise else tmp_path / layout.MIXED_INDEX
    groups = [read_group(side_file(tmp_path / layout.MIXED_IMAGES, index))]
    groups += [read_group(side_file(tmp_path / name)) for name in layout.DATABASES if name.startswith("mixed_")][1:]
    assert len(groups) == 5 and groups[0] is not None and groups[0].records == 12
    assert all(group == groups[0] for group in groups)
    if not materialise:
        assert read_group(side_file(tmp_path / layout.MIXED_IMAGES)) is None
    other = small_mix(MixRecipe(0.5, False), seed=9)
    write_mix(tmp_path / "other", other, image_reader(images, ImageFormat()), materialise=True)
    remade = read_group(side_file(tmp_path / "other" / layout.MIXED_IMAGES))
    assert remade is not None and remade.group == groups[0].group and remade != groups[0]


def test_an_image_database_holds_the_paths_alone_that_are_asked_for(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        write_plain_image(tmp_path / name, (1, 2, 3))
    write_mix(tmp_path, Mix(Samples.of(["a.png", "b.png"]), np.arange(2)), image_reader(tmp_path, ImageFormat()))
    images = ImageDatabase(tmp_path / layout.MIXED_IMAGES, only=["b.png"])
    assert images.positions(["b.png"]).tolist() == [1]
    with pytest.raises(DataError, match=r"no record for the image 'a.png'"):
        images.read("a.png")


def test_an_index_over_an_existing_database(tmp_path: Path, images: Path) -> None:
    """The database is in another order and has images of its own."""
    paths = [f"n, {number}.png" for number in range(8)] + [f"c, {number}.png" for number in (3, 5, 1, 0, 2)]
    write_mix(tmp_path / "old", Mix(Samples.of(paths), np.arange(13)), image_reader(images, ImageFormat()))
    mixed = small_mix(MixRecipe(1.0, False))
    old = ImageDatabase(tmp_path / "old" / layout.MIXED_IMAGES)
    write_mix_over(tmp_path, mixed, old, labels=[layout.MIXED_NOISY_LABELS])
    index = np.load(tmp_path / layout.MIXED_INDEX)
    assert [paths[position] for position in index] == list(mixed.in_reading_order().paths)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("mixed")) == sorted(
        [layout.MIXED_INDEX, layout.MIXED_INDEX + ".group.json", layout.MIXED_NOISY_LABELS]
    )
    assert old.read("c, 5.png").data[0] == 5
    with pytest.raises(DataError, match=r"mixed_images_lmdb: no record for the image 'nowhere.png'"):
        old.read("nowhere.png")
