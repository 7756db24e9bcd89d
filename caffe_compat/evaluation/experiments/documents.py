"""The tables in docs/results/*.md, made from the results that are committed beside them, between these markers:

    <!-- table: cifar10n seeds 3 -->
    ...
    <!-- end of table -->

``python scripts/results_tables.py`` writes them anew; a test holds the documents against the results.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from caffe_compat.evaluation.experiments.catalogue import RECIPES
from caffe_compat.evaluation.experiments.identity import settings_digest
from caffe_compat.evaluation.experiments.jobs import Job
from caffe_compat.evaluation.experiments.results import Result, parse_result
from caffe_compat.evaluation.experiments.table import Table
from caffe_compat.repository import REPOSITORY

RESULTS = REPOSITORY / "docs" / "results"
TABLE = re.compile(r"(<!-- table: (\w+) seeds (\d+) -->\n)(.*?)(<!-- end of table -->)", re.DOTALL)


def results_of(recipe: str) -> dict[tuple[str, int], Result]:
    """The committed results of a recipe by (stage, seed).

    Where it has none of its own, that of another recipe counts whose stage of this name has the same settings, and
    whose data the same command makes.
    """
    this = RECIPES[recipe]
    found = {(result.stage, result.seed): result for result in _committed(recipe)}
    stages = {stage.name: stage for stage in this.stages}
    for other in RECIPES.values():
        for result in _committed(other.name) if other.make_data == this.make_data else []:
            at = result.stage, result.seed
            if at not in found and result.stage in stages:
                job = Job(this, stages[result.stage], result.seed, Path(this.data_root), RESULTS)
                if result.settings == settings_digest(job):
                    found[at] = result
    return found


def _committed(recipe: str) -> list[Result]:
    return [parse_result(json.loads(path.read_text())) for path in sorted((RESULTS / recipe).glob("seed_*/*.json"))]


def with_tables(document: str) -> str:
    """The document's text with each table made anew."""

    def table(match: re.Match[str]) -> str:
        head, name, seeds, _, end = match.groups()
        made = Table(RECIPES[name], results_of(name), range(1, int(seeds) + 1)).markdown()
        return f"{head}\n{made}\n{end}"

    return TABLE.sub(table, document)


def documents() -> list[Path]:
    return [path for path in sorted(RESULTS.glob("*.md")) if TABLE.search(path.read_text())]
