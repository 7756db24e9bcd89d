"""WindowData over real files. Witnesses: placements by hand, OpenCV's resize, plain slices."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from windows import WINDOWS, picture, window_data, write_windows

from caffe_compat import Net
from caffe_compat.data.loader import set_num_workers
from caffe_compat.data.window_batches import Crop, Placement, cut, placement
from caffe_compat.data.window_file import read_window_file
from caffe_compat.errors import CaffeCompatError, DataError
from caffe_compat.layers import Layer
from caffe_compat.proto import caffe_pb2
from caffe_compat.weights import write_blobproto_file

pytestmark = pytest.mark.usefixtures("in_this_process")


# --- the file ---------------------------------------------------------------------------------------------------


def test_foreground_and_background(tmp_path: Path) -> None:
    """Overlap 0.5 is foreground at threshold 0.5; 0.4 is neither from 0.4 on; a background window has class 0."""
    found = read_window_file(str(write_windows(tmp_path) / "windows.txt"), 0.5, 0.4)
    assert [(image.path, image.size, image.num_windows) for image in found.images] == [
        ("0.png", (3, 20, 30), 3),
        ("1.png", (3, 20, 30), 3),
    ]
    foreground, background = found.foreground, found.background
    assert (foreground.images.tolist(), foreground.labels.tolist()) == ([0, 0, 1], [1, 2, 3])
    assert foreground.boxes.tolist() == [[0, 0, 3, 3], [4, 1, 7, 4], [2, 2, 5, 5]]
    assert (background.images.tolist(), background.labels.tolist()) == ([0, 1], [0, 0])
    assert background.boxes.tolist() == [[10, 10, 13, 13], [26, 16, 29, 19]]
    assert [found.place(int(word)) for word in foreground.words] == [f"{found.path}:{line}" for line in (7, 8, 16)]


def test_thresholds_are_compared_in_float32(tmp_path: Path) -> None:
    """0.7 in the file and 0.7 in the prototxt are one number, as in Caffe."""
    path = str(write_windows(tmp_path) / "windows.txt")
    options = caffe_pb2.WindowDataParameter(fg_threshold=0.7)
    assert read_window_file(path, options.fg_threshold, 0).foreground.labels.tolist() == [1, 2]


def test_blanks_and_line_ends_are_alike(tmp_path: Path) -> None:
    path = write_windows(tmp_path) / "windows.txt"
    found = read_window_file(str(path), 0.5, 0.5)
    path.write_text(" ".join(path.read_text().split()))
    again = read_window_file(str(path), 0.5, 0.5)
    assert again.foreground.boxes.tolist() == found.foreground.boxes.tolist()
    assert [image.path for image in again.images] == ["0.png", "1.png"]


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        ("", 0, "Window file is empty"),
        ("0\na.png\n3 2 2\n0\n", 1, "expected \"# 0\", the beginning of an image, got '0'"),
        ("# 0\na.png\n3 2 2\n0\n# 2\nb.png\n3 2 2\n0\n", 5, "images are numbered in order: expected 1, got 2"),
        ("# 0\na b.png\n3 2 2\n0\n", 2, "expected an integer, got 'b.png'"),
        ("# 0\na.png\n1 2 2\n0\n", 3, "channels: expected 3, for images are read in colour, got 1"),
        ("# 0\na.png\n3 2 2\n-1\n", 4, "number of windows: expected >= 0, got -1"),
        ("# 0\na.png\n3 2\n", 3, "the file ends in the middle of an image"),
        ("# 0\na.png\n3 2 2\n2\n1 0.9 0 0 1 1\n1 0.9 0 0 1\n", 6, "ends in the windows of a.png: expected 2, got 1"),
        ("# 0\na.png\n3 2 2\n2\n1 0.9 0 0 1 1\n1 0.9 0 x 1 1\n", 6, "expected an integer .*, got 'x'"),
        ("# 0\na.png\n3 2 2\n1\n1 0.9 0 0 1.5 1\n", 5, "expected an integer .*, got '1.5'"),
        ("# 0\na.png\n3 2 2\n1\n1 high 0 0 1 1\n", 5, "expected a number, the overlap .*, got 'high'"),
        ("# 0\na.png\n3 2 2\n1\n1 nan 0 0 1 1\n", 5, "expected a number, the overlap .*, got 'nan'"),
        ("# 0\na.png\n3 2 2\n1\n0 0.9 0 0 1 1\n", 5, "a foreground window's class: expected > 0, got 0"),
        ("# 0\na.png\n3 2 2\n1\n1 0.9 0 0 1 1\n7\n", 6, "expected \"# 1\", the beginning of an image, got '7'"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, content: str, line: int, problem: str) -> None:
    (tmp_path / "windows.txt").write_text(content)
    place = f"windows.txt:{line}: " if line else "windows.txt: "
    with pytest.raises(DataError, match=f"{tmp_path}/{place}.*{problem}") as raised:
        window_data(tmp_path)
    error = raised.value
    assert (error.path, error.layer, error.field) == ("net.prototxt", "w", "window_data_param.source")


# --- placements -------------------------------------------------------------------------------------------------

WARP, SQUARE = Crop(10, 2, False, False, 1, None), Crop(10, 0, True, False, 1, None)


@pytest.mark.parametrize(
    ("crop", "box", "is_mirrored", "expected"),
    [
        # 6 x 8 pixels around (13, 24), times 10 / 6: 8 to 18 and 17.3 to 30.7
        (WARP, (10, 20, 15, 27), False, Placement(slice(17, 32), slice(8, 19), 10, 10, 0, 0)),
        # around (3, 24): -2 to 8, of which 2 of 11 columns are outside: 2 * 10 / 11 = 1.8 and 9 * 10 / 11 = 8.2
        (WARP, (0, 20, 5, 27), False, Placement(slice(17, 32), slice(0, 9), 10, 8, 0, 2)),
        (WARP, (0, 20, 5, 27), True, Placement(slice(17, 32), slice(0, 9), 10, 8, 0, 0)),
        # on the right and below: 92 to 102 and 91.3 to 104.7 of 100, so 3 of 11 columns and 6 of 15 rows outside
        (WARP, (94, 94, 99, 101), False, Placement(slice(91, 100), slice(92, 100), 6, 7, 0, 0)),
        (WARP, (94, 94, 99, 101), True, Placement(slice(91, 100), slice(92, 100), 6, 7, 0, 3)),
        # the square around 6 x 8 pixels: 39 to 47 and 20 to 28
        (SQUARE, (40, 20, 45, 27), False, Placement(slice(20, 29), slice(39, 48), 10, 10, 0, 0)),
        # -5 to 14: a quarter outside, 2.5 and 7.5 are rounded to 3 and 8, of which 7 have room
        (SQUARE, (-5, 30, 13, 48), False, Placement(slice(30, 50), slice(0, 15), 10, 7, 0, 3)),
        (SQUARE, (-5, 30, 13, 48), True, Placement(slice(30, 50), slice(0, 15), 10, 8, 0, 0)),
        # neither context nor square: as it is
        (Crop(10, 0, False, False, 1, None), (3, 4, 3, 9), True, Placement(slice(4, 10), slice(3, 4), 10, 10, 0, 0)),
    ],
)
def test_placements_by_hand(crop: Crop, box: Sequence[int], is_mirrored: bool, expected: Placement) -> None:
    assert placement(box, (100, 100), crop, is_mirrored) == expected


@pytest.mark.parametrize("is_mirrored", [False, True])
def test_what_is_cut_out_is_warped_by_opencv_beside_a_band_of_zeros(is_mirrored: bool) -> None:
    image, out = picture(0, 100, 100), np.zeros((3, 10, 10), np.float32)
    mean = np.random.default_rng(1).random((3, 10, 10)).astype(np.float32) * 100
    cut(image, (0, 20, 5, 27), Crop(10, 2, False, True, 0.5, mean), is_mirrored, out)
    warped = cv2.resize(image[17:32, 0:9], (8, 10)).transpose(2, 0, 1).astype(np.float32)
    columns = slice(0, 8) if is_mirrored else slice(2, 10)
    expected = np.zeros_like(out)
    expected[:, :, columns] = (warped[:, :, ::-1] if is_mirrored else warped) - mean[:, :, columns]
    np.testing.assert_array_equal(out, expected * np.float32(0.5))


def test_mirroring_is_cutting_out_of_the_mirror_image() -> None:
    """Up to the rounding of x1 and x2, so of windows whose edges need none."""
    image = picture(0, 40, 40)
    for box in ((2, 3, 7, 8), (30, 20, 39, 29), (0, 0, 9, 9)):
        made = []
        for pixels, edges, flipped in (
            (image, box, True),
            (image[:, ::-1], (39 - box[2], box[1], 39 - box[0], box[3]), False),
        ):
            out = np.zeros((3, 8, 8), np.float32)
            cut(pixels, edges, Crop(8, 0, False, True, 1, None), flipped, out)
            made.append(out)
        np.testing.assert_array_equal(made[0], made[1])


@pytest.mark.parametrize(
    ("crop", "box"),
    [
        (Crop(4, 0, False, False, 1, None), (0, 0, 3, 20)),
        (Crop(4, 0, False, False, 1, None), (-1, 0, 3, 3)),
        (Crop(4, 0, False, False, 1, None), (5, 0, 4, 3)),
        (Crop(4, 1, False, False, 1, None), (90, 0, 95, 3)),
        (Crop(4, 0, True, False, 1, None), (0, -9, 3, -6)),
    ],
)
def test_windows_outside_their_image(crop: Crop, box: Sequence[int]) -> None:
    words = " ".join(map(str, box))
    with pytest.raises(DataError, match=f"x1 <= x2 < 30 and y1 <= y2 < 20, .* in an image of 20 x 30, got {words}"):
        placement(box, (20, 30), crop, False)


def test_a_sliver_of_a_window() -> None:
    """One column of 33 would become 4 / 34 of a column."""
    with pytest.raises(DataError, match="the window -32 0 -1 31 has too little of the image of 20 x 30 in it"):
        cut(picture(0), (-32, 0, -1, 31), Crop(4, 0, True, False, 1, None), False, np.zeros((3, 4, 4), np.float32))


# --- batches ----------------------------------------------------------------------------------------------------


def boxes_of(folder: Path) -> dict[bytes, tuple[int, str]]:
    """What each window of ``write_windows`` looks like, as bytes of (3, 4, 4) float32, and its class."""
    looks = {}
    for number, boxes in enumerate(WINDOWS):
        for box in boxes:
            label, _, x1, y1, x2, y2 = box.split()
            pixels = picture(number)[int(y1) : int(y2) + 1, int(x1) : int(x2) + 1].transpose(2, 0, 1)
            looks[pixels.astype(np.float32).tobytes()] = int(label), box
    return looks


def test_a_batch_is_background_and_then_foreground(tmp_path: Path) -> None:
    """Windows as large as the crop come as they are; each kind is drawn evenly, a quarter is foreground."""
    layer, looks = window_data(write_windows(tmp_path), "batch_size: 10 bg_threshold: 0.4"), boxes_of(tmp_path)
    assert layer.top_shapes([]) == [(10, 3, 4, 4), (10,)]
    seen: Counter[str] = Counter()
    for _ in range(200):
        data, label = layer()
        for item, (pixels, found) in enumerate(zip(data, label.tolist(), strict=True)):
            wanted, box = looks[pixels.numpy().tobytes()]
            assert found == (wanted if item >= 8 else 0) and (found > 0) == (item >= 8)
            seen[box] += 1
    assert set(seen) == {box for boxes in WINDOWS for box in boxes} - {"3 0.4 2 3 5 6"}
    assert all(abs(seen[box] - 800) < 100 for box in ("0 0.1 10 10 13 13", "0 0 26 16 29 19"))
    assert all(abs(seen[box] - 400 / 3) < 40 for box in ("1 0.9 0 0 3 3", "2 0.7 4 1 7 4", "3 0.5 2 2 5 5"))


@pytest.mark.parametrize(("fraction", "foreground"), [(0, 0), (0.29, 2), (0.3, 3), (1, 10)])
def test_the_fraction_is_rounded_down(tmp_path: Path, fraction: float, foreground: int) -> None:
    label = window_data(write_windows(tmp_path), f"batch_size: 10 fg_fraction: {fraction}")()[1]
    assert [bool(value) for value in label] == [False] * (10 - foreground) + [True] * foreground


def test_mirroring_is_random_in_both_phases(tmp_path: Path) -> None:
    looks = boxes_of(write_windows(tmp_path))
    for phase in (caffe_pb2.TRAIN, caffe_pb2.TEST):
        layer = window_data(tmp_path, "batch_size: 60", "crop_size: 4 mirror: true", phase=phase, seed=1)
        plain = [pixels.numpy().tobytes() in looks for pixels in layer()[0]]
        flipped = [pixels.flip(2).numpy().tobytes() in looks for pixels in layer()[0]]
        assert 10 < sum(plain) < 50 and 10 < sum(flipped) < 50


@pytest.mark.parametrize(("values", "mean"), [("mean_value: 7", [7, 7, 7]), ("mean_value: [1, 2, 3]", [1, 2, 3])])
def test_mean_values_and_scale(tmp_path: Path, values: str, mean: list[int]) -> None:
    plain = window_data(write_windows(tmp_path), seed=1)()[0].numpy()
    changed = window_data(tmp_path, "batch_size: 8 scale: 0.5", f"crop_size: 4 {values}", seed=1)()[0].numpy()
    np.testing.assert_array_equal(changed, (plain - np.array(mean, np.float32)[:, None, None]) / 2)


def test_the_middle_of_the_mean_file_is_subtracted(tmp_path: Path) -> None:
    """From (width - size) / 2 on, downwards too, as Caffe does."""
    mean = np.arange(3 * 8 * 10, dtype=np.float32).reshape(1, 3, 8, 10)
    write_blobproto_file(tmp_path / "mean", mean)
    plain = window_data(write_windows(tmp_path), seed=1)()[0].numpy()
    changed = window_data(tmp_path, transform=f'crop_size: 4 mean_file: "{tmp_path}/mean"', seed=1)()[0].numpy()
    np.testing.assert_array_equal(changed, plain - mean[:, :, 3:7, 3:7])


def labels(layer: Layer, batches: int) -> list[int]:
    return [int(label) for _ in range(batches) for label in layer()[1]]


def test_a_run_that_goes_on_reads_what_it_would_have_read(tmp_path: Path) -> None:
    write_windows(tmp_path)
    foreground = "batch_size: 6 fg_fraction: 1"
    whole = labels(window_data(tmp_path, foreground, seed=1, phase=caffe_pb2.TRAIN), 5)
    assert labels(window_data(tmp_path, foreground, seed=1, phase=caffe_pb2.TRAIN, data_start=12), 3) == whole[12:]
    assert labels(window_data(tmp_path, foreground, seed=1, phase=caffe_pb2.TEST, data_start=12), 5) == whole
    assert labels(window_data(tmp_path, foreground, seed=2, phase=caffe_pb2.TRAIN), 5) != whole
    set_num_workers(2)
    assert labels(window_data(tmp_path, foreground, seed=1, phase=caffe_pb2.TRAIN), 5) == whole


def test_cached_images_are_not_read_again(tmp_path: Path) -> None:
    plain = window_data(write_windows(tmp_path), seed=1)
    cached = window_data(tmp_path, "batch_size: 8 cache_images: true", seed=1)
    expected = [plain()[0].numpy() for _ in range(3)]
    plain.loader.close()
    for number in range(2):
        (tmp_path / f"{number}.png").unlink()
    for data in expected:
        np.testing.assert_array_equal(cached()[0].numpy(), data)


def test_an_old_nets_options_are_found_in_transform_param(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The upgrade moves scale there too, where Caffe's layer does not look for it; we say so."""
    options = f'source: "{write_windows(tmp_path)}/windows.txt" root_folder: "{tmp_path}/" batch_size: 8'
    old = 'layers {{ name: "w" type: WINDOW_DATA top: "d" top: "l" window_data_param {{ {} crop_size: 4 {} }} }}'
    plain, scaled = (Net(old.format(options, extra), seed=1)()["d"].numpy() for extra in ("", "scale: 0.5"))
    np.testing.assert_array_equal(plain, scaled)
    assert "transform_param.scale has no effect, as in Caffe; window_data_param.scale has" in caplog.text


def test_the_log_is_caffes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "caffe_compat")
    window_data(write_windows(tmp_path), "batch_size: 8 fg_threshold: 0.7 context_pad: 1")
    assert caplog.messages == [
        "Window data layer:\n  foreground (object) overlap threshold: 0.7\n"
        "  background (non-object) overlap threshold: 0.5\n  foreground sampling fraction: 0.25\n"
        f"  cache_images: 0\n  root_folder: {tmp_path}/",
        f"num: 0 {tmp_path}/0.png 3 20 30 windows to process: 3",
        "Number of images: 2",
        "class 0 has 3 samples",
        "class 1 has 1 samples",
        "class 2 has 1 samples",
        "Amount of context padding: 1",
        "Crop mode: warp",
        "output data size: 8,3,4,4",
    ]


# --- errors -----------------------------------------------------------------------------------------------------

CROP = "crop_size: 4"


@pytest.mark.parametrize(
    ("options", "transform", "field", "problem"),
    [
        ("", CROP, "window_data_param.batch_size", "expected > 0, got 0"),
        ("batch_size: 1 source: ''", CROP, "window_data_param.source", "the path of a window file, got nothing"),
        ("batch_size: 1 source: 'gone'", CROP, "window_data_param.source", "gone: cannot be read: No such file"),
        ("batch_size: 1 crop_mode: 'sqare'", CROP, "window_data_param.crop_mode", '"warp" or "square", got "sqare"'),
        ("batch_size: 1 context_pad: 2", CROP, "window_data_param.context_pad", r"half of crop_size \(4\), got 2"),
        ("batch_size: 1 fg_fraction: 1.5", CROP, "window_data_param.fg_fraction", r"expected in \[0, 1\], got 1.5"),
        ("batch_size: 1 crop_size: 4", CROP, "window_data_param.crop_size", "write transform_param { crop_size: ... }"),
        ("batch_size: 1 mirror: true", CROP, "window_data_param.mirror", "has no effect in Caffe"),
        ("batch_size: 1 mean_file: 'm'", CROP, "window_data_param.mean_file", "has no effect in Caffe"),
        ("batch_size: 1", "", "transform_param.crop_size", "expected > 0, got 0"),
        ("batch_size: 1", f"{CROP} mean_value: 1 mean_value: 2", "transform_param.mean_value", r"\(3\), got 2"),
        ("batch_size: 1", f"{CROP} mean_value: 1 mean_file: 'm'", "transform_param.mean_file", "with mean_value"),
        ("batch_size: 1", f"{CROP} mean_file: 'gone'", "transform_param.mean_file", "gone: no mean file there"),
        ("batch_size: 4 fg_threshold: 2", CROP, "window_data_param.source", "no foreground windows: 1 of 4 in a batch"),
        ("batch_size: 4 bg_threshold: 0", CROP, "window_data_param.source", "no background windows: 3 of 4 in a batch"),
        (
            "batch_size: 1 cache_images: true root_folder: 'nowhere/'",
            CROP,
            "window_data_param.source",
            "windows.txt:1: nowhere/0.png: cannot be read: No such file",
        ),
    ],
)  # fmt: skip
def test_options_that_make_no_sense(tmp_path: Path, options: str, transform: str, field: str, problem: str) -> None:
    with pytest.raises(CaffeCompatError, match=problem) as raised:
        window_data(write_windows(tmp_path), options, transform)
    error = raised.value
    assert (error.path, error.layer, error.layer_type, error.field) == ("net.prototxt", "w", "WindowData", field)


@pytest.mark.parametrize("shape", [(1, 3, 4, 3), (3, 3, 10), (1, 1, 8, 8)])
def test_a_mean_that_is_too_small(tmp_path: Path, shape: tuple[int, ...]) -> None:
    write_blobproto_file(tmp_path / "mean", np.zeros(shape, np.float32))
    problem = r"mean: expected a mean image of 3 channels that holds 4 x 4 pixels in its middle, got"
    with pytest.raises(DataError, match=problem):
        window_data(write_windows(tmp_path), transform=f'crop_size: 4 mean_file: "{tmp_path}/mean"')


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (b"broken", r"windows.txt:8: .*/1.png: not a readable image"),
        (None, r"windows.txt:8: .*/1.png: cannot be read: No such file"),
        (
            cv2.imencode(".png", picture(0, 5, 5))[1].tobytes(),
            r"windows.txt:14: a window outside its image: .* 5 x 5, got 2",
        ),
    ],
)
def test_what_cannot_be_cut_out_is_named(tmp_path: Path, spoil: bytes | None, problem: str, workers: int) -> None:
    """Caffe logs a line and trains on zeros where an image cannot be read."""
    (write_windows(tmp_path, [WINDOWS[0][:1], ("1 0.9 2 2 5 5",)]) / "1.png").unlink()
    if spoil is not None:
        (tmp_path / "1.png").write_bytes(spoil)
    set_num_workers(workers)
    layer = window_data(tmp_path, "batch_size: 20 fg_fraction: 1", seed=1)
    with pytest.raises(DataError, match=problem) as raised:
        layer()
    assert (raised.value.path, raised.value.field) == ("net.prototxt", "window_data_param.source")


def test_what_changes_nothing_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    window_data(write_windows(tmp_path), transform="crop_size: 4 force_gray: true")
    assert "force_color and force_gray have no effect, as in Caffe" in caplog.text
