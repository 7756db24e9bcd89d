"""tools/plot_figures.py: the paper's Figures 6, 7 and 8 and those beside them, of whatever results there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from caffe_compat.cli.common import DONE, Parser, command
from caffe_compat.datasets import layout
from caffe_compat.datasets.image_database import ImageDatabase
from caffe_compat.errors import CaffeCompatError, DataError
from caffe_compat.evaluation.experiments.catalogue import RECIPES
from caffe_compat.evaluation.experiments.jobs import data_folder
from caffe_compat.evaluation.experiments.own_recipe import own_recipe
from caffe_compat.evaluation.experiments.recipes import Recipe
from caffe_compat.evaluation.figures.calibration import Claim, draw_calibration
from caffe_compat.evaluation.figures.choosing import choose_records
from caffe_compat.evaluation.figures.confusion_estimate import draw_confusion_estimate
from caffe_compat.evaluation.figures.inputs import (
    DataFolder,
    Scores,
    read_data_folder,
    read_examples,
    read_label_scores,
)
from caffe_compat.evaluation.figures.label_confusion import draw_label_confusion
from caffe_compat.evaluation.figures.predictions import draw_predictions
from caffe_compat.evaluation.figures.rank_precision import Ranking, draw_rank_precision
from caffe_compat.evaluation.figures.saving import save_figure
from caffe_compat.evaluation.figures.training import draw_training
from caffe_compat.evaluation.figures.training_results import read_training


class LeftOut(Exception):
    """A figure that cannot be drawn for want of an option's input."""


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="plot_figures",
        description="Draw every figure for which there is input, as PNG and SVG: the confusion of labels (Fig. 6), "
        "examples of predictions (Fig. 7), precision by rank (Fig. 8), C estimated against counted, calibration, and "
        "the training.",
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="data folder, or one of seeds, of which the first")
    parser.add_argument(
        "--scores",
        type=Path,
        nargs="+",
        default=[],
        metavar="PARQUET",
        help="label scores of score_labels; several are seeds of one experiment, of which Fig. 7 shows the first",
    )
    parser.add_argument(
        "--results", type=Path, metavar="DIR", help="the output folder of reproduce_table, or results copied from it"
    )
    parser.add_argument(
        "--recipe", choices=sorted(RECIPES), help="whose rows to draw, where --results holds several recipes' stages"
    )
    parser.add_argument("--nets", type=Path, metavar="DIR", help="instead: the nets of your own that --results are of")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the pictures")
    args = parser.parse_args(argv)
    if not (args.data or args.scores or args.results):
        parser.error("nothing to draw: give --data, --scores or --results")
    if (args.recipe or args.nets) and not args.results:
        parser.error("--recipe and --nets need --results")
    if args.recipe and args.nets:
        parser.error("expected --recipe or --nets, got both")
    own = own_recipe(args.nets) if args.nets else None
    inputs = _Inputs(args.data, args.scores, args.results, args.recipe, own)
    figures, left_out = {}, []
    for name, draw in _FIGURES.items():  # all before the first is written: an input may turn out to be none
        try:
            figures[name] = draw(inputs)
        except LeftOut as why:
            left_out.append(f"left out {name}: {why}")
    if not figures:
        raise CaffeCompatError("\n".join(["no figure can be drawn", *left_out]))
    args.out.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        for path in save_figure(figure, args.out, name):
            print(f"wrote {path}")
    for line in left_out:
        print(line)
    return DONE


class _Inputs:
    """What the command line gives, read once, when the first figure asks for it."""

    def __init__(
        self,
        data: Path | None,
        scores: Sequence[Path],
        results: Path | None,
        recipe: str | None,
        own: Recipe | None = None,
    ) -> None:
        self._data, self._scores, self._results, self._recipe, self._own = data, scores, results, recipe, own

    @cached_property
    def folder(self) -> Path:
        if self._data is None:
            raise LeftOut("it needs --data")
        if not self._data.is_dir():
            raise DataError("no such folder", path=str(self._data))
        return data_folder(self._data, seed=1)

    @cached_property
    def data(self) -> DataFolder:
        try:
            return read_data_folder(self.folder)
        except FileNotFoundError as exc:
            raise LeftOut(exc) from exc

    @cached_property
    def scores(self) -> list[Scores]:
        if not self._scores:
            raise LeftOut("it needs --scores")
        scores = [read_label_scores(path) for path in self._scores]
        for each in scores[1:]:
            if each.names != scores[0].names:
                raise DataError(f"expected the class names of {scores[0].path}, got others", path=each.path)
        return scores

    @cached_property
    def judged(self) -> list[Any]:
        """The columns of each file of scores, of the records that can be judged."""
        try:
            return [each.judged() for each in self.scores]
        except DataError as exc:
            raise LeftOut(exc) from exc

    @cached_property
    def images(self) -> ImageDatabase:
        """That of the data folder, otherwise where score_labels found it."""
        path = self.folder / layout.MIXED_IMAGES if self._data else Path(self.scores[0].images)
        if not path.exists():
            raise LeftOut(f"its images are not there: {path}; --data names their folder")
        return ImageDatabase(path)

    @cached_property
    def training(self) -> Any:
        if self._results is None:
            raise LeftOut("it needs --results")
        if not (panels := read_training(self._results, self._recipe, self._own)):
            raise LeftOut("no stage of a row has finished")
        return panels


def _label_confusion(inputs: _Inputs) -> Any:
    return draw_label_confusion(inputs.data.counts, inputs.data.names)


def _predictions(inputs: _Inputs) -> Any:
    scores = inputs.scores[0]
    eligible = scores.unseen if scores.unseen.any() else ~scores.unseen
    groups = choose_records(scores.columns, eligible)
    return draw_predictions(
        [(title, read_examples(scores, records, inputs.images)) for title, records in groups], scores.names
    )


def _rank_precision(inputs: _Inputs) -> Any:
    if any(len(np.unique(columns["noisy"] != columns["truth"])) < 2 for columns in inputs.judged):
        raise LeftOut("it needs right and wrong labels among those whose truth is known")
    return draw_rank_precision(
        [
            Ranking(
                {
                    "p(z = confusing | image)": columns["p_type_confusing"],
                    "p(z = random | image)": columns["p_type_random"],
                    "posterior that the label is wrong": -columns["q_noisy"],  # finer than p_wrong near 1
                },
                columns["noisy"] != columns["truth"],
            )
            for columns in inputs.judged
        ]
    )


def _confusion_estimate(inputs: _Inputs) -> Any:
    data = inputs.data
    return draw_confusion_estimate(data.estimated, data.counts, data.names, data.true)


def _calibration(inputs: _Inputs) -> Any:
    kinds = (
        ("p(y|x): the most probable label", "p_true_1", lambda columns: columns["true_1"] == columns["truth"]),
        ("posterior: the suggested label", "q_suggested", lambda columns: columns["suggested"] == columns["truth"]),
        ("p(wrong): the given label is wrong", "p_wrong", lambda columns: columns["noisy"] != columns["truth"]),
    )
    events = ("right", "right", "wrong")
    return draw_calibration(
        [
            Claim(name, event, [each[column] for each in inputs.judged], [is_so(each) for each in inputs.judged])
            for (name, column, is_so), event in zip(kinds, events, strict=True)
        ]
    )


def _training(inputs: _Inputs) -> Any:
    return draw_training(inputs.training)


_FIGURES: dict[str, Callable[[_Inputs], Any]] = {
    "fig6_label_confusion": _label_confusion,
    "fig7_predictions": _predictions,
    "fig8_rank_precision": _rank_precision,
    "confusion_estimate": _confusion_estimate,
    "calibration": _calibration,
    "training": _training,
}
