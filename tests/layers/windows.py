"""WindowData layers over real files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from databases import layer_from_text

from caffe_compat.layers import Layer


def picture(number: int, height: int = 20, width: int = 30) -> np.ndarray:
    """(H, W, 3) uint8."""
    return np.random.default_rng(number).integers(0, 256, (height, width, 3)).astype(np.uint8)


WINDOWS = (
    ("1 0.9 0 0 3 3", "2 0.7 4 1 7 4", "0 0.1 10 10 13 13"),
    ("3 0.5 2 2 5 5", "3 0.4 2 3 5 6", "0 0 26 16 29 19"),
)


def write_windows(folder: Path, windows: Sequence[Sequence[str]] = WINDOWS) -> Path:
    lines = []
    for number, boxes in enumerate(windows):
        cv2.imwrite(f"{folder}/{number}.png", picture(number))
        lines += [f"# {number}", f"{number}.png", "3", "20", "30", str(len(boxes)), *boxes]
    (folder / "windows.txt").write_text("\n".join(lines) + "\n")
    return folder


def window_data(folder: Path, options: str = "batch_size: 8", transform: str = "crop_size: 4", **context: int) -> Layer:
    for field, value in (("source", f"{folder}/windows.txt"), ("root_folder", f"{folder}/")):
        options += "" if field in options else f' {field}: "{value}"'
    return layer_from_text(
        f'name: "w" type: "WindowData" top: "data" top: "label" transform_param {{ {transform} }} '
        f"window_data_param {{ {options} }}",
        **context,
    )
