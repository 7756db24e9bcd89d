"""WindowData against Caffe's loops, written once more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from windows import picture, window_data, write_windows

from caffe_compat.weights import write_blobproto_file

pytestmark = pytest.mark.usefixtures("in_this_process")

# window_data_layer.cpp once more, pixel by pixel: load_batch's loops, with its names, in float32 where it has Dtype.


def c_round(value: np.float32) -> int:
    """C's round: halves away from zero."""
    return int(np.floor(abs(value) + np.float32(0.5))) * (1 if value >= 0 else -1)


def item_by_loops(
    image: np.ndarray,
    box: Sequence[int],
    crop_size: int,
    context_pad: int,
    use_square: bool,
    do_mirror: bool,
    scale: float,
    mean_image: np.ndarray | None,
    mean_values: Sequence[float],
) -> np.ndarray:
    """One item (3, crop_size, crop_size) of the batch. The only thing borrowed is OpenCV's resize, as in Caffe."""
    x1, y1, x2, y2 = box
    rows, cols = image.shape[:2]
    width, height = crop_size, crop_size
    pad_w = pad_h = 0
    if context_pad > 0 or use_square:
        context_scale = np.float32(crop_size) / np.float32(crop_size - 2 * context_pad)
        half_height, half_width = np.float32(y2 - y1 + 1) / np.float32(2), np.float32(x2 - x1 + 1) / np.float32(2)
        center_x, center_y = np.float32(x1) + half_width, np.float32(y1) + half_height
        if use_square:
            if half_height > half_width:
                half_width = half_height
            else:
                half_height = half_width
        x1, x2 = c_round(center_x - half_width * context_scale), c_round(center_x + half_width * context_scale)
        y1, y2 = c_round(center_y - half_height * context_scale), c_round(center_y + half_height * context_scale)
        unclipped_height, unclipped_width = y2 - y1 + 1, x2 - x1 + 1
        pad_x1, pad_y1 = max(0, -x1), max(0, -y1)
        pad_x2, pad_y2 = max(0, x2 - cols + 1), max(0, y2 - rows + 1)
        x1, x2, y1, y2 = x1 + pad_x1, x2 - pad_x2, y1 + pad_y1, y2 - pad_y2
        scale_x = np.float32(crop_size) / np.float32(unclipped_width)
        scale_y = np.float32(crop_size) / np.float32(unclipped_height)
        width = c_round(np.float32(x2 - x1 + 1) * scale_x)
        height = c_round(np.float32(y2 - y1 + 1) * scale_y)
        pad_x1, pad_x2 = c_round(np.float32(pad_x1) * scale_x), c_round(np.float32(pad_x2) * scale_x)
        pad_h = c_round(np.float32(pad_y1) * scale_y)
        pad_w = pad_x2 if do_mirror else pad_x1
        if pad_h + height > crop_size:
            height = crop_size - pad_h
        if pad_w + width > crop_size:
            width = crop_size - pad_w
    warped = cv2.resize(image[y1 : y2 + 1, x1 : x2 + 1], (width, height), interpolation=cv2.INTER_LINEAR)
    top = np.zeros((3, crop_size, crop_size), np.float32)
    mean_off = 0 if mean_image is None else (mean_image.shape[2] - crop_size) // 2
    for h in range(height):
        for w in range(width):
            for c in range(3):
                pixel = np.float32(warped[h, width - 1 - w if do_mirror else w, c])
                if mean_image is not None:
                    pixel = pixel - mean_image[c, h + mean_off + pad_h, w + mean_off + pad_w]
                elif mean_values:
                    pixel = pixel - np.float32(mean_values[c if len(mean_values) > 1 else 0])
                top[c, h + pad_h, w + pad_w] = pixel * np.float32(scale)
    return top


BOXES = (  # windows inside, on each border, in corners, wide, high, a single pixel
    ("0 0 3 3", "4 1 27 6", "11 2 13 18", "0 5 29 9", "29 19 29 19", "20 12 29 19", "0 14 6 19", "22 0 28 5"),
    ("2 2 9 15", "7 7 7 7", "0 0 29 19", "13 0 17 4", "25 3 29 11"),
)
MEANS = {
    "": "",
    "values": "mean_value: 104 mean_value: 117 mean_value: 123",
    "value": "mean_value: 5.5",
    "file": 'mean_file: "{}/mean"',
}


@pytest.mark.parametrize("mode", ["warp", "square"])
@pytest.mark.parametrize("context_pad", [0, 1, 2])
@pytest.mark.parametrize("mean", MEANS)
def test_batches_are_those_of_caffes_loops(tmp_path: Path, mode: str, context_pad: int, mean: str) -> None:
    """Every item is one of the windows of its kind, as the loops make it, mirrored or not; and all of them come."""
    size, overlaps = 9, ("0.9", "0.2")
    kinds = [
        [f"{(number + 1) * (overlap == '0.9')} {overlap} {box}" for box in boxes for overlap in overlaps]
        for number, boxes in enumerate(BOXES)
    ]
    write_windows(tmp_path, kinds)
    mean_image = np.random.default_rng(5).random((3, 14, 13)).astype(np.float32) * 200
    write_blobproto_file(tmp_path / "mean", mean_image[None])
    layer = window_data(
        tmp_path,
        f'batch_size: 30 fg_fraction: 0.4 context_pad: {context_pad} crop_mode: "{mode}" scale: 0.25',
        f"crop_size: {size} mirror: true {MEANS[mean].format(tmp_path)}",
        seed=3,
    )
    values = {"values": [104.0, 117.0, 123.0], "value": [5.5]}.get(mean, [])
    wanted: dict[tuple[int, bytes], str] = {}
    for number, boxes in enumerate(BOXES):
        for box in boxes:
            for mirrored in (False, True):
                item = item_by_loops(
                    picture(number), [int(word) for word in box.split()], size, context_pad, mode == "square",
                    mirrored, 0.25, mean_image if mean == "file" else None, values,
                )  # fmt: skip
                for label in (0, number + 1):
                    wanted.setdefault((label, item.tobytes()), f"{number} {box} {mirrored and 'mirrored'}")
    seen: set[tuple[int, bytes]] = set()
    for _ in range(25):
        data, labels_of_batch = (top.numpy() for top in layer())
        assert [label > 0 for label in labels_of_batch] == [False] * 18 + [True] * 12
        seen |= {(int(label), item.tobytes()) for item, label in zip(data, labels_of_batch, strict=True)}
    assert seen <= set(wanted)
    assert len(seen) > 0.95 * len(wanted), sorted(wanted[key] for key in set(wanted) - seen)
