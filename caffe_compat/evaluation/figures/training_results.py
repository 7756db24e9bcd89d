"""What the figure of the training is drawn from: the results that a recipe's stages left, and their logs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from caffe_compat.errors import DataError, expected_got
from caffe_compat.evaluation.experiments.catalogue import RECIPES
from caffe_compat.evaluation.experiments.own_recipe import OWN
from caffe_compat.evaluation.experiments.recipes import Recipe, Stage
from caffe_compat.evaluation.experiments.results import Result, read_result_file
from caffe_compat.evaluation.experiments.training_log import TrainingLog

Panels = dict[str, dict[str, list[dict[int, float]]]]  # {axis label: {method: the points of each seed, by iteration}}


def read_training(folder: Path, name: str | None = None, own: Recipe | None = None) -> Panels:
    """The panels of a recipe's results: an output folder of ``reproduce_table``, or one of docs/results.

    The latter has no logs, so no training loss.

    Args:
        name: the recipe's, whose stages may have been run for another one that shares them; None: the one that all
            results are of.
        own: a recipe that is not in the catalogue (``own_recipe``), in the place of ``name``.
    Returns an empty dict where no stage of a row has finished.
    Raises: DataError if there is no result, or of several recipes without ``name``, or of one that is not known.
    """
    files = sorted(folder.glob("seed_*/*/result.json")) or sorted(folder.glob("seed_*/*.json"))
    results = {file: read_result_file(file) for file in files}
    recipes = sorted({result.recipe for result in results.values()})
    chosen = recipes[0] if name is None and len(recipes) == 1 else name
    if own is None and name is None and recipes == [OWN]:
        raise DataError("results of nets of your own; --nets names their folder", path=str(folder))
    if own is None and (not recipes or chosen not in RECIPES):
        where = "in seed_<n>/<stage>/result.json, or --recipe or --nets"
        wanted = f"results of one recipe ({', '.join(sorted(RECIPES))}) {where}"
        raise DataError(expected_got(wanted, ", ".join(recipes) or "none"), path=str(folder))
    recipe = own or RECIPES[str(chosen)]
    stages = {stage.name: stage for stage in recipe.stages}
    return training_panels(
        recipe,
        (
            (result, file.with_name("train.log"))
            for file, result in results.items()
            if result.stage in stages and _is_of(result, stages[result.stage], recipe)
        ),
    )


def training_panels(recipe: Recipe, runs: Iterable[tuple[Result, Path]]) -> Panels:
    """Test accuracy, test loss and training loss of the recipe's rows, each run with its log, which may be missing."""
    by_stage: dict[str, list[tuple[Result, Path]]] = {}
    for result, log_file in runs:
        by_stage.setdefault(result.stage, []).append((result, log_file))
    panels: Panels = {}
    for row in recipe.rows:
        for result, log_file in by_stage.get(row.stage, ()):
            for label, points in _curves(result, log_file).items():
                panels.setdefault(label, {}).setdefault(row.method, []).append(points)
    return panels


def _is_of(result: Result, stage: Stage, recipe: Recipe) -> bool:
    """Whether the result of a stage of this name is the recipe's own, or of another one that has the same stage."""
    return result.recipe == recipe.name or (result.recipe in RECIPES and stage in RECIPES[result.recipe].stages)


def _curves(result: Result, log_file: Path) -> dict[str, dict[int, float]]:
    accuracy = {at: 100 * outputs["accuracy"] for at, outputs in result.test_history.items()}
    curves = {"test accuracy (%)": accuracy, "test loss": _test_loss(result.test_history)}
    if log_file.exists():
        with open(log_file, errors="replace") as lines:
            curves["training loss (all outputs)"] = TrainingLog.read(lines).losses
    return {label: points for label, points in curves.items() if points}


def _test_loss(history: Mapping[int, Mapping[str, float]]) -> dict[int, float]:
    """That of the true label, the one output of the recipes' test nets whose name begins with ``loss``."""
    return {at: value for at, outputs in history.items() for name, value in outputs.items() if name.startswith("loss")}
