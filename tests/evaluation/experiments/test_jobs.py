"""Resolving a recipe's prototxts for data, output folder and seed: those things change, and nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest

from caffe_compat.datasets import layout
from caffe_compat.evaluation.experiments import edits
from caffe_compat.evaluation.experiments.catalogue import RECIPES
from caffe_compat.evaluation.experiments.jobs import (
    Job,
    data_folder,
    files_read,
    recipe_messages,
    replace_root,
    resolved_texts,
)
from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt import parse_text, to_text

ALL_STAGES = [(recipe, stage) for recipe in RECIPES.values() for stage in recipe.stages]


def job(recipe: str, stage: str, seed: int = 7) -> Job:
    known = RECIPES[recipe]
    return Job(known, known.stage(stage), seed, Path("/elsewhere"), Path("made"))


@pytest.mark.parametrize(("recipe", "stage"), ALL_STAGES, ids=lambda item: item.name)
def test_stages_start_from_earlier_ones(recipe, stage):
    earlier = recipe.stages[: recipe.stages.index(stage)]
    assert set(stage.needs) <= {other.name for other in earlier}


@pytest.mark.parametrize(("recipe", "stage"), ALL_STAGES, ids=lambda item: item.name)
def test_only_data_folder_and_seed_change(recipe, stage):
    this = job(recipe.name, stage.name)
    solver_text, net_text = resolved_texts(this)
    solver, net = recipe_messages(stage)
    if stage.transition is not None:
        made = f"made/seed_7/{stage.name}/transition.binaryproto"
        assert net_text.count(made) == 1
        net_text = net_text.replace(made, "/elsewhere/transition.binaryproto")
    assert net_text.replace("/elsewhere/", f"{recipe.data_root}/") == to_text(net)
    assert recipe.data_root not in net_text
    resolved = parse_text(solver_text, caffe_pb2.SolverParameter())
    assert resolved.random_seed == 7
    assert resolved.net == f"made/seed_7/{stage.name}/train_val.prototxt"
    assert resolved.snapshot_prefix == f"made/seed_7/{stage.name}/{stage.name}"
    for field in ("net", "random_seed", "snapshot_prefix", "weights"):
        solver.ClearField(field)
        resolved.ClearField(field)
    assert resolved == solver


def test_shuffled_stages_differ_in_nothing_else():
    for stage in RECIPES["cifar10n"].stages:
        without = tuple(edit for edit in stage.edits if edit is not edits.shuffle)
        assert len(without) == len(stage.edits) - 1
        (solver, net), (same_solver, ordered) = recipe_messages(stage), recipe_messages(replace(stage, edits=without))
        assert solver == same_solver and net != ordered
        for layer in net.layer:
            assert layer.data_param.shuffle == (layer.type == "Data" and layer.include[0].phase == caffe_pb2.TRAIN)
            layer.data_param.ClearField("shuffle")
            if layer.type != "Data":
                layer.ClearField("data_param")
        assert net == ordered


def test_joint_net_starts_from_what_the_chain_makes():
    solver = parse_text(resolved_texts(job("cifar10n", "ours"))[0], caffe_pb2.SolverParameter())
    assert list(solver.weights) == ["made/seed_7/ours/start.caffemodel"]
    assert not parse_text(resolved_texts(job("cifar10n", "clean"))[0], caffe_pb2.SolverParameter()).weights


def test_replace_root_touches_whole_folder_names_only():
    net = caffe_pb2.NetParameter()
    for source in ("data/demo/a", "data/demo2/a", "other/data/demo/a", "data/demo"):
        net.layer.add(name="data/demo").data_param.source = source
    replace_root(net, "data/demo", "/x")
    assert [layer.data_param.source for layer in net.layer] == [
        "/x/a",
        "data/demo2/a",
        "other/data/demo/a",
        "data/demo",
    ]


def test_a_seed_takes_its_own_databases_where_there_are_some(tmp_path):
    (tmp_path / "seed_2").mkdir()
    assert data_folder(tmp_path, 1) == tmp_path
    assert data_folder(tmp_path, 2) == tmp_path / "seed_2"


def test_last_snapshot_is_the_one_of_the_highest_iteration(tmp_path):
    recipe = RECIPES["demo"]
    this = Job(recipe, recipe.stage("clean"), 1, tmp_path, tmp_path)
    assert this.last_snapshot() is None
    this.folder.mkdir(parents=True)
    for iteration in (90, 100, 20):
        (this.folder / f"clean_iter_{iteration}.solverstate").touch()
    assert this.last_snapshot() == this.folder / "clean_iter_100.solverstate"


def test_matrices_are_estimated_over_files_that_are_read_too():
    recipe = RECIPES["demo_all"]
    assert layout.CLEAN_TRAIN in files_read(recipe, ["glc"])
    assert layout.TRANSITION in files_read(recipe, ["bottom_up"])
    assert layout.TRANSITION not in files_read(recipe, ["glc"])
