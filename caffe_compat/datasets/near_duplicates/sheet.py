"""A picture to look at: pairs of a kept image and a dropped one, from the surest to the most doubtful."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from caffe_compat.data.imageset import read_image
from caffe_compat.datasets.near_duplicates.matching import Matches
from caffe_compat.datasets.near_duplicates.sides import Side
from caffe_compat.errors import DataError

_CELL, _TEXT_HEIGHT, _GAP, _COLUMNS = 150, 46, 12, 4
_PAIRS = 24
_INK, _PAPER = (40, 40, 40), 255
_KEY_LENGTH = 44

_Image = npt.NDArray[np.uint8]


def write_sheet(path: Path, matches: Matches, clean: Side, noisy: Side) -> int:
    """Write a JPEG file, in place, of up to 24 pairs spread evenly over the order of distance; returns how many."""
    best = matches.best_of_each()
    order = np.lexsort((-best.correlation, best.pairs["fine"]))
    chosen = order[np.unique(np.linspace(0, len(order) - 1, min(_PAIRS, len(order))).round().astype(int))]
    panels = [_panel(best, position, clean, noisy) for position in chosen.tolist()]
    _, jpeg = cv2.imencode(".jpg", _tiled(panels), (cv2.IMWRITE_JPEG_QUALITY, 85))
    path.write_bytes(jpeg.tobytes())
    return len(panels)


def _panel(best: Matches, position: int, clean: Side, noisy: Side) -> _Image:
    pair, score = best.pairs[position], best.correlation[position]
    kept, dropped = clean.keys[pair["query"]], noisy.keys[pair["base"]]
    pictures = np.concatenate([_picture(clean.path_of(kept)), _picture(noisy.path_of(dropped))], axis=1)
    mirrored = ", mirrored" if pair["mirrored"] else ""
    text = np.full((_TEXT_HEIGHT, pictures.shape[1], 3), _PAPER, np.uint8)
    lines = (f"kept {kept[-_KEY_LENGTH:]}", f"dropped {dropped[-_KEY_LENGTH:]}",
             f"{pair['fine']} of 256 bits, correlation {score:.3f}{mirrored}")  # fmt: skip
    for line, words in enumerate(lines):
        drawable = words.encode("ascii", "replace").decode()  # OpenCV has no other letters, and dies of broken ones
        cv2.putText(text, drawable, (2, 12 + 14 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.33, _INK, 1, cv2.LINE_AA)
    return np.concatenate([pictures, text])


def _picture(path: str) -> _Image:
    """The image in a square cell, its sides' proportion kept; an empty cell where it cannot be read."""
    cell = np.full((_CELL, _CELL, 3), _PAPER, np.uint8)
    try:
        image = read_image(path)
    except DataError:
        return cell
    scale = (_CELL - 2) / max(image.shape[:2])
    width, height = (max(1, round(size * scale)) for size in (image.shape[1], image.shape[0]))
    top, left = (_CELL - height) // 2, (_CELL - width) // 2
    cell[top : top + height, left : left + width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return cell


def _tiled(panels: list[_Image]) -> _Image:
    height, width = (panels[0].shape[:2]) if panels else (_CELL, 2 * _CELL)
    columns = min(_COLUMNS, max(1, len(panels)))
    rows = max(1, -(-len(panels) // columns))
    sheet = np.full((rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, 3), _PAPER, np.uint8)
    for number, panel in enumerate(panels):
        top, left = _GAP + number // columns * (height + _GAP), _GAP + number % columns * (width + _GAP)
        sheet[top : top + height, left : left + width] = panel
    return sheet
