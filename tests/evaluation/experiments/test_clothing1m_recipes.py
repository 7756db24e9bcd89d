"""Both Clothing1M recipes from the first stage to their table, over narrow CaffeNets and a handful of images."""

from dataclasses import replace
from pathlib import Path

import pytest

from caffe_compat import Net
from caffe_compat.cli.reproduce_table import main
from caffe_compat.evaluation.experiments import catalogue
from caffe_compat.evaluation.experiments.jobs import recipe_messages, replace_root
from caffe_compat.proto import caffe_pb2

CLASSES = 14


def narrow_and_short(solver: caffe_pb2.SolverParameter, net: caffe_pb2.NetParameter) -> None:
    """Eight units a hidden layer, batches of two, two iterations (stage 2: two more), one test batch."""
    for layer in net.layer:
        if layer.name.startswith(("fc6", "fc7")) and layer.type == "InnerProduct":
            layer.inner_product_param.num_output = 8
        if layer.type == "Data":
            layer.data_param.batch_size = 2
    solver.snapshot = solver.display = solver.test_interval = 2
    solver.max_iter = 4 if "stage2" in solver.snapshot_prefix else 2
    solver.test_iter[:] = [1] * len(solver.test_iter)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["clothing1m", "clothing1m_release"])
def test_every_stage_runs_and_every_row_has_its_figure(
    name: str, tmp_path: Path, tiny_data, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    recipe = catalogue.RECIPES[name]
    stages = tuple(replace(stage, edits=(*stage.edits, narrow_and_short)) for stage in recipe.stages)
    recipe = replace(recipe, stages=stages)
    monkeypatch.setitem(catalogue.RECIPES, name, recipe)
    data = tiny_data("clothing1m", classes=CLASSES, size=256)
    clean = recipe_messages(recipe.stage("clean_pretrained"))[1]
    weights = tmp_path / "ilsvrc.caffemodel"
    replace_root(clean, recipe.data_root, str(data))
    Net(clean, "TRAIN").save_weights(weights)

    command = ["--recipe", name, "--data", str(data), "--out", str(tmp_path / "out"), "--pretrained", str(weights)]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    for method in (*(row.method for row in recipe.rows), *(f"{one} - {other}" for one, other in recipe.compare)):
        [line] = [line for line in lines if line.startswith(f"| {method} |")]
        assert "missing" not in line and "left out" not in line
    folder = tmp_path / "out/seed_1"
    assert {path.name for path in folder.iterdir()} == {stage.name for stage in recipe.stages}
