"""What the figures of labels are drawn from, read from a data folder and files of label scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caffe_compat.arrays import BoolArray, FloatArray, IntArray
from caffe_compat.data.datum import DECODE_COLOR, decode_datum
from caffe_compat.datasets import layout
from caffe_compat.datasets.class_names import read_names
from caffe_compat.datasets.image_database import ImageDatabase
from caffe_compat.datasets.pairs import count_pairs_in
from caffe_compat.datasets.samples import NO_LABEL
from caffe_compat.errors import DataError, expected_got
from caffe_compat.evaluation.figures.predictions import Example
from caffe_compat.evaluation.label_quality.scores_file import TYPES, read_scores
from caffe_compat.npy_files import map_npy

_LABELS = ("noisy", "true_1", "true_2", "true_3", "suggested", "truth", "clean")
_PROBABILITIES = (
    "p_true_1", "p_true_2", "p_true_3", "q_suggested", "q_noisy", "p_wrong",
    *(f"{which}_type_{kind}" for which in "pq" for kind in TYPES),
)  # fmt: skip


@dataclass(frozen=True)
class DataFolder:
    """Class names, (L, L) pairs counted and C, indexed [noisy, true]; ``true`` is what C estimates, if it is known."""

    names: list[str]
    counts: IntArray
    estimated: FloatArray
    true: FloatArray | None


@dataclass(frozen=True)
class Scores:
    """Label scores of N records.

    Attributes:
        columns: by name, (N,) each; labels int64 with -1 for none, probabilities float64 in [0, 1], keys as objects.
        names: class names.
        images: the image database.
    """

    path: str
    columns: Mapping[str, np.ndarray]
    names: list[str]
    images: str

    @property
    def unseen(self) -> BoolArray:
        """(N,) the records whose true label was not used in training: only they can say how good the scores are."""
        return self.columns["clean"] == NO_LABEL

    def judged(self) -> Mapping[str, np.ndarray]:
        """The columns of the unseen records whose true label is known. Raises: DataError if there is none."""
        of_these = self.unseen & (self.columns["truth"] != NO_LABEL)
        if not of_these.any():
            problem = "no true label of a record that was not trained with it; score_labels --truth puts them in"
            raise DataError(problem, path=self.path)
        return {name: values[of_these] for name, values in self.columns.items()}


def read_data_folder(folder: Path) -> DataFolder:
    """Raises: DataError for files that do not fit one another, FileNotFoundError naming all that are missing."""
    needed = (layout.NAMES, layout.PAIRS, layout.CONFUSION_NPY)
    if missing := [name for name in needed if not (folder / name).exists()]:
        raise FileNotFoundError(f"{folder}: not there: {', '.join(missing)}")
    names = read_names(folder / layout.NAMES)
    counts = count_pairs_in(folder / layout.PAIRS, len(names))
    if not counts.any():
        raise DataError("no pair of labels in it", path=str(folder / layout.PAIRS))
    true_file = folder / layout.TRUE_CONFUSION
    return DataFolder(
        names=names,
        counts=counts,
        estimated=_matrix(folder / layout.CONFUSION_NPY, len(names)),
        true=_matrix(true_file, len(names)) if true_file.exists() else None,
    )


def read_label_scores(path: Path) -> Scores:
    """Raises: DataError for another kind of file, or one that lacks a column."""
    file = read_scores(path)
    columns = dict(file.arrays(["key", *_LABELS, *_PROBABILITIES]))
    for name in _PROBABILITIES:
        columns[name] = columns[name].astype(np.float64)
    return Scores(file.path, columns, file.info.class_names, file.info.images)


def read_examples(scores: Scores, records: IntArray, images: ImageDatabase) -> list[Example]:
    """The records at these positions with their images. Raises: DataError for one whose image is not there."""
    return [_example(scores.columns, int(record), images) for record in records]


def _matrix(path: Path, num_classes: int) -> FloatArray:
    try:
        matrix = map_npy(path)
    except ValueError as exc:
        raise DataError(str(exc), path=str(path)) from exc
    if matrix.shape != (num_classes, num_classes):
        wanted = f"shape {(num_classes, num_classes)}, a row and a column for each class of {layout.NAMES}"
        raise DataError(expected_got(wanted, matrix.shape), path=str(path))
    return matrix.astype(np.float64)


def _example(columns: Mapping[str, np.ndarray], record: int, images: ImageDatabase) -> Example:
    row = {name: values[record] for name, values in columns.items()}
    posterior = [(int(row["suggested"]), float(row["q_suggested"]))]
    if row["noisy"] != row["suggested"]:
        posterior.append((int(row["noisy"]), float(row["q_noisy"])))
    tops = [(int(row[f"true_{rank}"]), float(row[f"p_true_{rank}"])) for rank in (1, 2, 3)]
    return Example(
        image=_rgb(decode_datum(images.read(row["key"]), DECODE_COLOR)),
        noisy=int(row["noisy"]),
        truth=int(row["truth"]) if row["truth"] != NO_LABEL else None,
        p_true=[top for top in tops if top[0] != NO_LABEL],
        p_type=np.array([row[f"p_type_{kind}"] for kind in TYPES]),
        q_type=np.array([row[f"q_type_{kind}"] for kind in TYPES]),
        q_true=posterior,
    )


def _rgb(datum: np.ndarray) -> np.ndarray:
    """(H, W, 3) of a BGR or grey datum (C, H, W)."""
    colours = datum if datum.shape[0] == 3 else np.repeat(datum[:1], 3, axis=0)
    return np.ascontiguousarray(colours[::-1].transpose(1, 2, 0))
