"""The tables in docs/results are those of the results beside them, and these are of the recipes as they stand."""

import json
from pathlib import Path

import pytest

from caffe_compat.evaluation.experiments.catalogue import RECIPES
from caffe_compat.evaluation.experiments.documents import RESULTS, TABLE, documents, with_tables
from caffe_compat.evaluation.experiments.jobs import Job
from caffe_compat.evaluation.experiments.results import parse_result, settings_digest

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
    assert shown == {path.parts[-3] for path in FILES}
