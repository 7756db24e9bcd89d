"""The rows of the table of options of DummyData, ImageData, HDF5Data, HDF5Output and WindowData."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import h5py
import numpy as np
from nets import inputs, layer_text
from option_table import Changes, NoEffect, Observation, Row, observe_net

from caffe_compat.data.loader import set_num_workers
from caffe_compat.weights import write_blobproto_file

MESSAGES = (
    "DummyDataParameter",
    "ImageDataParameter",
    "HDF5DataParameter",
    "HDF5OutputParameter",
    "WindowDataParameter",
)


def observe_with_files(text: str) -> Observation:
    """``observe_net`` with FOLDER in the text a folder of images, lists, HDF5 files, windows and a mean."""
    with tempfile.TemporaryDirectory() as folder:
        _write_files(Path(folder))
        set_num_workers(0)
        try:
            return observe_net(text.replace("FOLDER", folder))
        finally:
            set_num_workers(None)


def _write_files(folder: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("one", "two"):
        (folder / name).mkdir()
        for number in range(6):
            image = random.integers(0, 256, (8, 9, 3)).astype(np.uint8)
            cv2.imwrite(f"{folder}/{name}/{number}.png", image)
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["data"], file["label"] = random.random((3, 2)), np.arange(3)
    for name, labels in (("list", range(6)), ("other", range(5, -1, -1))):
        (folder / f"{name}.txt").write_text("".join(f"{label}.png {label}\n" for label in labels))
    (folder / "one.txt").write_text(f"{folder}/one.h5\n")
    (folder / "both.txt").write_text(f"{folder}/one.h5\n{folder}/two.h5\n")
    head = "# 0\n0.png\n3 8 9\n"
    (folder / "windows.txt").write_text(f"{head}3\n2 0.9 1 2 5 4\n3 0.6 4 1 8 7\n0 0.4 0 0 5 6\n")
    (folder / "more.txt").write_text(f"{head}2\n2 0.9 3 3 7 7\n0 0.1 0 1 5 6\n")
    write_blobproto_file(folder / "mean", np.full((1, 3, 8, 9), 10, np.float32))


# --- DummyData --------------------------------------------------------------------------------------------------


def dummy(options: str) -> str:
    return layer_text("DummyData", "", "a b", f"dummy_data_param {{ {options} }}")


def are_threes(base: Observation, changed: Observation) -> None:
    assert not base["blob a"].any() and (changed["blob b"] == 3).all()


LEGACY = {"num": 2, "channels": 3, "height": 4, "width": 5}


def legacy(extra: str = "") -> str:
    return dummy(" ".join(f"{name}: {size}" for name, size in LEGACY.items()) + f" {extra}")


def second_top_grows(axis: int):  # type: ignore[no-untyped-def]
    def check(base: Observation, changed: Observation) -> None:
        expected = list(base["blob b"].shape)
        expected[axis] = 7
        assert changed["blob a"].shape == base["blob a"].shape and list(changed["blob b"].shape) == expected

    return check


DUMMY: list[Row] = [
    Changes(
        "DummyDataParameter.data_filler",
        dummy("shape { dim: 4 }"),
        dummy("shape { dim: 4 } data_filler { value: 3 }"),
        along=("FillerParameter.value",),
        expect=are_threes,
    ),
    Changes(
        "DummyDataParameter.shape", dummy("shape { dim: 4 }"), dummy("shape { dim: 4 } shape { dim: 2 dim: 3 }")
    ),
    *(
        Changes(f"DummyDataParameter.{name}", legacy(), legacy(f"{name}: 7"), expect=second_top_grows(axis))
        for axis, name in enumerate(LEGACY)
    ),
]  # fmt: skip

# --- ImageData --------------------------------------------------------------------------------------------------


def images(options: str = "", source: str = "list", root: str = 'root_folder: "FOLDER/one/"', batch: int = 6) -> str:
    text = f'source: "FOLDER/{source}.txt" batch_size: {batch} {root} {options}'
    return layer_text("ImageData", "", "data label", f"image_data_param {{ {text} }}")


def old_images(options: str = "") -> str:
    """In a V1 layer the transformation's fields are image_data_param's own."""
    text = f'source: "FOLDER/list.txt" batch_size: 6 root_folder: "FOLDER/one/" {options}'
    return f'layers {{ name: "d" type: IMAGE_DATA top: "data" top: "label" image_data_param {{ {text} }} }}'


def is_halved(base: Observation, changed: Observation) -> None:
    np.testing.assert_array_equal(changed["blob data"], base["blob data"] / 2)


def is_less_by_ten(base: Observation, changed: Observation) -> None:
    np.testing.assert_array_equal(changed["blob data"], base["blob data"] - 10)


def is_the_centre(base: Observation, changed: Observation) -> None:
    np.testing.assert_array_equal(changed["blob data"], base["blob data"][:, :, 1:6, 2:7])


def is_partly_mirrored(base: Observation, changed: Observation) -> None:
    pairs = list(zip(base["blob data"], changed["blob data"], strict=True))
    kept = [np.array_equal(one, other) for one, other in pairs]
    assert all(same or np.array_equal(one[:, :, ::-1], other) for same, (one, other) in zip(kept, pairs, strict=True))
    assert 0 < sum(kept) < len(kept)


def is_another_order(base: Observation, changed: Observation) -> None:
    order = changed["blob label"].tolist()
    assert sorted(order) == base["blob label"].tolist() and order != sorted(order)


def begins_later(base: Observation, changed: Observation) -> None:
    first = int(changed["blob label"][0])
    assert first in (1, 2, 3, 4) and changed["blob label"].tolist() == np.roll(base["blob label"], -first).tolist()


def is_grey(base: Observation, changed: Observation) -> None:
    assert base["blob data"].shape[1] == 3 and changed["blob data"].shape[1] == 1
    grey = (base["blob data"] * np.array([0.114, 0.587, 0.299])[:, None, None]).sum(1, keepdims=True)
    np.testing.assert_allclose(changed["blob data"], grey, atol=1.01)


def resized(changes: str) -> tuple[str, str]:
    sizes = {"new_height": 5, "new_width": 6}
    texts = [{**sizes, **extra} for extra in ({}, {changes: 12})]
    made = [images(" ".join(f"{name}: {size}" for name, size in text.items())) for text in texts]
    return made[0], made[1]


IMAGES: list[Row] = [
    Changes(f"ImageDataParameter.{name}", *texts, observe=observe_with_files, expect=expect)
    for name, texts, expect in (
        ("source", (images(), images(source="other")), None),
        ("batch_size", (images(), images(batch=4)), None),
        ("root_folder", (images(), images(root='root_folder: "FOLDER/two/"')), None),
        ("shuffle", (images(), images("shuffle: true")), is_another_order),
        ("rand_skip", (images(), images("rand_skip: 5")), begins_later),
        ("new_height", resized("new_height"), None),
        ("new_width", resized("new_width"), None),
        ("is_color", (images(), images("is_color: false")), is_grey),
        ("scale", (old_images(), old_images("scale: 0.5")), is_halved),
        ("mean_file", (old_images(), old_images('mean_file: "FOLDER/mean"')), is_less_by_ten),
        ("crop_size", (old_images(), old_images("crop_size: 5")), is_the_centre),
        ("mirror", (old_images(), old_images("mirror: true")), is_partly_mirrored),
    )
]

# --- HDF5 -------------------------------------------------------------------------------------------------------


def hdf5(options: str = "", source: str = "both", batch: int = 6) -> str:
    text = f'source: "FOLDER/{source}.txt" batch_size: {batch} {options}'
    return layer_text("HDF5Data", "", "data label", f"hdf5_data_param {{ {text} }}")


def holds_the_same_rows(base: Observation, changed: Observation) -> None:
    rows = [sorted(map(tuple, seen["blob data"].tolist())) for seen in (base, changed)]
    assert rows[0] == rows[1] and not np.array_equal(base["blob data"], changed["blob data"])


def output(name: str) -> str:
    options = f'hdf5_output_param {{ file_name: "FOLDER/{name}" }}'
    return f"{inputs(x=(2, 3), label=(2,))}\n{layer_text('HDF5Output', 'x label', '', options)}"


def observe_what_is_written(text: str) -> Observation:
    with tempfile.TemporaryDirectory() as folder:
        seen = observe_net(text.replace("FOLDER", folder))
        for path in sorted(Path(folder).iterdir()):
            with h5py.File(path) as file:
                seen.update({f"dataset {name} of {path.name}": dataset[()] for name, dataset in file.items()})
        return seen


def is_written_to_the_other(base: Observation, changed: Observation) -> None:
    np.testing.assert_array_equal(base["dataset data of a.h5"], changed["dataset data of b.h5"])
    np.testing.assert_array_equal(changed["dataset data of b.h5"][:, :, 0, 0], changed["blob x"])
    assert "dataset data of b.h5" not in base and "dataset data of a.h5" not in changed


HDF5: list[Row] = [
    Changes("HDF5DataParameter.source", hdf5(), hdf5(source="one"), observe=observe_with_files),
    Changes("HDF5DataParameter.batch_size", hdf5(), hdf5(batch=4), observe=observe_with_files),
    Changes(
        "HDF5DataParameter.shuffle",
        hdf5(),
        hdf5("shuffle: true"),
        observe=observe_with_files,
        expect=holds_the_same_rows,
    ),
    Changes(
        "HDF5OutputParameter.file_name",
        output("a.h5"),
        output("b.h5"),
        observe=observe_what_is_written,
        expect=is_written_to_the_other,
    ),
]

# --- WindowData -------------------------------------------------------------------------------------------------


def windows(
    options: str = "", source: str = "windows", root: str = "one", batch: int = 8, fraction: float = 0.5
) -> str:
    text = f'source: "FOLDER/{source}.txt" batch_size: {batch} root_folder: "FOLDER/{root}/" fg_fraction: {fraction}'
    return layer_text(
        "WindowData", "", "data label", f"transform_param {{ crop_size: 5 }} window_data_param {{ {text} {options} }}"
    )


def old_windows(options: str = "", size: int = 5) -> str:
    text = f'source: "FOLDER/windows.txt" batch_size: 40 root_folder: "FOLDER/one/" crop_size: {size} {options}'
    return f'layers {{ name: "d" type: WINDOW_DATA top: "data" top: "label" window_data_param {{ {text} }} }}'


def has_no_threes(base: Observation, changed: Observation) -> None:
    assert 3 in base["blob label"] and 3 not in changed["blob label"]


def is_all_foreground(base: Observation, changed: Observation) -> None:
    assert (base["blob label"] > 0).sum() == 4 and (changed["blob label"] > 0).all()


WINDOWS: list[Row] = [
    Changes(f"WindowDataParameter.{name}", *texts, observe=observe_with_files, expect=expect)
    for name, texts, expect in (
        ("source", (windows(), windows(source="more")), None),
        ("root_folder", (windows(), windows(root="two")), None),
        ("batch_size", (windows(), windows(batch=6)), None),
        ("scale", (windows(), windows("scale: 0.5")), is_halved),
        ("mean_file", (old_windows(), old_windows('mean_file: "FOLDER/mean"')), is_less_by_ten),
        ("crop_size", (old_windows(), old_windows(size=4)), None),
        ("mirror", (old_windows(), old_windows("mirror: true")), is_partly_mirrored),
        ("fg_threshold", (windows(), windows("fg_threshold: 0.7")), has_no_threes),
        ("fg_fraction", (windows(), windows(fraction=1)), is_all_foreground),
        ("context_pad", (windows(), windows("context_pad: 1")), None),
        ("crop_mode", (windows(), windows('crop_mode: "square"')), None),
    )
] + [
    Changes(
        "WindowDataParameter.bg_threshold",
        windows(),
        windows("bg_threshold: 0.3"),
        observe=observe_with_files,
        refused="no background windows",
    ),
    NoEffect(
        "WindowDataParameter.cache_images",
        "it keeps the files in memory, and the batches are the same",
        windows(),
        windows("cache_images: true"),
        observe=observe_with_files,
    ),
]

ROWS: list[Row] = [*DUMMY, *IMAGES, *HDF5, *WINDOWS]
