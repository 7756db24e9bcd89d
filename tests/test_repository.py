"""Recipes find the project's nets and solvers in a checkout and in what setup.py builds for a wheel."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from caffe_compat.repository import REPOSITORY, root_of

CHECKOUT = Path(__file__).resolve().parents[1]

# Every recipe's stages and every model of make_nets, read by an installed package.
PROGRAM = """
import json
import caffe_compat
from caffe_compat.evaluation.experiments import own_nets
from caffe_compat.evaluation.experiments.catalogue import RECIPES
from caffe_compat.evaluation.experiments.jobs import recipe_messages
nets = [recipe_messages(stage)[1] for recipe in RECIPES.values() for stage in recipe.stages]
nets += [own_nets._messages(model, name)[1] for model in own_nets.MODELS.values() for name in own_nets.NETS]
print(json.dumps([caffe_compat.__file__, len(nets)]))
"""


def test_a_checkout_reads_its_own_nets():
    assert REPOSITORY == CHECKOUT
    assert (REPOSITORY / "prototxt/ours_solver.prototxt").is_file()


def test_an_installed_package_reads_what_it_was_shipped_with(tmp_path: Path):
    package = tmp_path / "site-packages" / "caffe_compat"
    (package.parent / "prototxt").mkdir(parents=True)  # of another package
    assert root_of(package) == package.parent
    (package / "shipped" / "prototxt").mkdir(parents=True)
    assert root_of(package) == package / "shipped"


@pytest.mark.slow
def test_what_a_wheel_gets_is_enough_for_every_recipe_and_make_nets(tmp_path: Path):
    built, elsewhere = tmp_path / "built", tmp_path / "elsewhere"
    elsewhere.mkdir()
    build = ["egg_info", "--egg-base", str(tmp_path), "build_py", "--build-lib", str(built)]
    subprocess.run([sys.executable, "setup.py", "-q", *build], cwd=CHECKOUT, capture_output=True, check=True)
    environment = {**os.environ, "PYTHONPATH": str(built)}
    read = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=elsewhere, env=environment, capture_output=True, text=True, check=True
    )
    where, count = json.loads(read.stdout)
    assert where == str(built / "caffe_compat" / "__init__.py") and count > 50
    originals, copies = CHECKOUT / "prototxt", built / "caffe_compat" / "shipped" / "prototxt"
    files = {path.relative_to(originals) for path in originals.rglob("*") if path.is_file()}
    assert files == {path.relative_to(copies) for path in copies.rglob("*") if path.is_file()}
