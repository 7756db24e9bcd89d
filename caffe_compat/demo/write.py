"""The demo data as files: laid out like Clothing1M, as plain lists, and the truth beside them."""

from __future__ import annotations

import csv
import functools
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from caffe_compat.datasets.clothing1m.lists import (
    CLEAN_LABELS,
    NAMES,
    NOISY_LABELS,
    NOISY_TRAIN,
    TEST,
    TRAIN,
    VAL,
    key_list_file,
)  # fmt: skip
from caffe_compat.datasets.workers import in_processes
from caffe_compat.demo import noise, noise_beyond_model
from caffe_compat.demo.noise import Label
from caffe_compat.demo.picture import draw_picture
from caffe_compat.demo.plan import BEYOND_MODEL, MODEL, Plan
from caffe_compat.demo.taxonomy import CLASS_NAMES

logger = logging.getLogger("caffe_compat")

TRUTH_HEADER = ("key", "split", "true", "noise_type", "hardness", "look_alike", "noisy")
_DRAW_LABEL = {MODEL: noise.draw_label, BEYOND_MODEL: noise_beyond_model.draw_label}
_CHUNK = 10
_REPORTED_EVERY = 1000


@dataclass(frozen=True)
class Row:
    """One line of the truth."""

    key: str
    split: str
    label: Label

    def fields(self) -> tuple[object, ...]:
        label = self.label
        hardness = f"{label.hardness:.6f}"
        return self.key, self.split, label.true, label.noise_type, hardness, label.look_alike, label.noisy


def key_of(number: int) -> str:
    """A name in the manner of Clothing1M: ``images/<d>/<dd>/<id>,<id>.jpg``."""
    owner, picture = 1_000_000_000 + number, number * 2_654_435_761 % 2**32
    return f"images/{number % 10}/{number // 10 % 100:02d}/{owner},{picture}.jpg"


def draw_files(folder: Path, plan: Plan, processes: int) -> list[Row]:
    """Draw the pictures into ``folder`` and give the truth; equal for any number of processes."""
    splits = plan.splits()
    for directory in {(folder / key_of(number)).parent for number in range(len(splits))}:
        directory.mkdir(parents=True, exist_ok=True)
    rows = []
    draw = functools.partial(_draw_file, folder, plan)
    for number, label in enumerate(in_processes(draw, range(len(splits)), processes, _CHUNK)):
        rows.append(Row(key_of(number), splits[number], label))
        if len(rows) % _REPORTED_EVERY == 0 or len(rows) == len(splits):
            logger.info("Drew %d of %d pictures.", len(rows), len(splits))
    return rows


def _draw_file(folder: Path, plan: Plan, number: int) -> Label:
    rng = np.random.default_rng([plan.seed, number])
    label = _DRAW_LABEL[plan.noise](rng)
    image = draw_picture(label.true, label.look_alike, label.hardness, plan.size, rng)
    _, jpeg = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 96))))
    (folder / key_of(number)).write_bytes(jpeg.tobytes())
    return label


def write_lists(folder: Path, rows: Sequence[Row]) -> None:
    """Write Clothing1M's text files, and per split a list ``path label`` as convert_imageset reads them."""
    both = [row for row in rows if row.split != NOISY_TRAIN]
    _write_lines(folder / NAMES, CLASS_NAMES)
    _write_lines(folder / NOISY_LABELS, (f"{row.key} {row.label.noisy}" for row in rows))
    _write_lines(folder / CLEAN_LABELS, (f"{row.key} {row.label.true}" for row in both))
    for split in (NOISY_TRAIN, TRAIN, VAL, TEST):
        of_split = [row for row in rows if row.split == split]
        _write_lines(folder / key_list_file(split), (row.key for row in of_split))
        labels = (row.label.noisy if split == NOISY_TRAIN else row.label.true for row in of_split)
        _write_lines(
            folder / f"{split}.txt", (f"{row.key} {label}" for row, label in zip(of_split, labels, strict=True))
        )


def write_truth(path: Path, rows: Sequence[Row]) -> None:
    """Write what only the generator knows, as CSV."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(TRUTH_HEADER)
        writer.writerows(row.fields() for row in rows)


def _write_lines(path: Path, lines: Sequence[str] | Iterator[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
