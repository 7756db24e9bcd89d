"""The tables in docs/results are those of the results that lie beside them."""

import json
from pathlib import Path

import pytest

from caffe_compat.evaluation.experiments import RECIPES
from caffe_compat.evaluation.jobs import REPOSITORY, Job
from caffe_compat.evaluation.results import parse_result, settings_digest
from caffe_compat.evaluation.table import Table

RESULTS = REPOSITORY / "docs" / "results"
SEEDS = [1, 2, 3]


@pytest.mark.parametrize(("document", "name"), [("cifar10n.md", "cifar10n"), ("cifar10n.md", "cifar10n_one_order")])
def test_table_is_that_of_the_results(document: str, name: str):
    recipe = RECIPES[name]
    results = {}
    for path in sorted((RESULTS / name).glob("seed_*/*.json")):
        result = parse_result(json.loads(path.read_text()))
        job = Job(recipe, recipe.stage(result.stage), result.seed, Path("data"), Path("out"))
        assert path == RESULTS / name / f"seed_{result.seed}" / f"{result.stage}.json"
        assert result.recipe == name and result.settings == settings_digest(job), "made with other nets or solvers"
        assert result.test == result.test_history[result.iterations], "the last iteration counts"
        results[result.stage, result.seed] = result
    assert results
    assert Table(recipe, results, SEEDS).markdown().strip() in (RESULTS / document).read_text()
