"""The tables in docs/results are those of the results beside them, and these are of the recipes as they stand."""

import json
import shutil
from pathlib import Path

import pytest

from caffe_compat.evaluation.experiments import documents as documents_module
from caffe_compat.evaluation.experiments.catalogue import RECIPES
from caffe_compat.evaluation.experiments.documents import RESULTS, TABLE, documents, results_of, with_tables
from caffe_compat.evaluation.experiments.identity import settings_digest
from caffe_compat.evaluation.experiments.jobs import Job
from caffe_compat.evaluation.experiments.results import parse_result

FILES = [path for name in RECIPES for path in sorted((RESULTS / name).glob("seed_*/*.json"))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(RESULTS)))
def test_result_is_of_the_recipe_as_it_stands(path: Path):
    result = parse_result(json.loads(path.read_text()))
    recipe = RECIPES[result.recipe]
    job = Job(recipe, recipe.stage(result.stage), result.seed, Path("data"), Path("out"))
    assert path == RESULTS / result.recipe / f"seed_{result.seed}" / f"{result.stage}.json"
    assert result.settings == settings_digest(job), "made with other nets or solvers"
    assert result.test == result.test_history[result.iterations], "the last iteration counts"


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_tables_are_those_of_the_results(path: Path):
    assert with_tables(path.read_text()) == path.read_text(), "scripts/results_tables.py writes them anew"


def test_every_recipe_with_results_has_its_table():
    shown = {match[2] for path in documents() for match in TABLE.finditer(path.read_text())}
    assert shown >= {path.parts[-3] for path in FILES}


def test_a_training_shared_by_two_recipes_is_committed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shutil.copytree(RESULTS / "cifar10n_ablations", tmp_path / "cifar10n_ablations")
    shutil.copytree(RESULTS / "cifar10", tmp_path / "cifar10")
    monkeypatch.setattr(documents_module, "RESULTS", tmp_path)
    shared = results_of("cifar10n")
    assert {stage for stage, _ in shared} >= {"clean", "ntype", "ours"} and "ours_types_slow" not in shared
    assert all(result.recipe == "cifar10n_ablations" for result in shared.values())
    assert results_of("cifar10n_one_order") == {}, "of cifar10 the settings are equal, the data are not"

    own = tmp_path / "cifar10n/seed_1/ours.json"
    own.parent.mkdir(parents=True)
    fields = json.loads((RESULTS / "cifar10n_ablations/seed_1/ours.json").read_text())
    own.write_text(json.dumps({**fields, "recipe": "cifar10n"}))
    assert results_of("cifar10n")["ours", 1].recipe == "cifar10n"
    changed = tmp_path / "cifar10n_ablations/seed_2/ours.json"
    changed.write_text(json.dumps({**json.loads(changed.read_text()), "settings": "00"}))
    assert ("ours", 2) not in results_of("cifar10n")
