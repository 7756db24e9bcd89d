"""Nets for one's own data folder: paths, classes and tests fit, the nets build, and a recipe runs over them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from caffe_compat import Net
from caffe_compat.cli.make_nets import main as make_nets
from caffe_compat.data.lmdb_store import LmdbReader
from caffe_compat.errors import PrototxtError
from caffe_compat.evaluation.experiments.catalogue import RECIPES
from caffe_compat.evaluation.experiments.jobs import recipe_messages
from caffe_compat.evaluation.experiments.own_nets import MODELS, NETS
from caffe_compat.evaluation.experiments.own_recipe import own_recipe
from caffe_compat.prototxt import read_net, read_solver

MakeData = Callable[..., Path]
CLASSES = 5


def write(tmp_path: Path, data: Path, like: str) -> Path:
    assert make_nets([str(data), str(tmp_path / "nets"), "--like", like]) == 0
    return tmp_path / "nets"


@pytest.mark.parametrize(("like", "size"), [("demo", 64), ("cifar10", 32)])
def test_every_net_builds_on_the_folder(tmp_path: Path, tiny_data: MakeData, like: str, size: int) -> None:
    data = tiny_data("own", classes=CLASSES, size=size)
    nets = write(tmp_path, data, like)
    for name in NETS:
        for phase in ("TRAIN", "TEST"):
            net = Net(str(nets / f"{name}_train_val.prototxt"), phase=phase, stages=["test"])
            net()
            outputs = 3 if name == "ntype" else CLASSES
            assert {blob.shape[1] for blob in net.blobs.values() if blob.dim() == 2} >= {outputs}
        text = (nets / f"{name}_train_val.prototxt").read_text() + (nets / f"{name}_solver.prototxt").read_text()
        assert MODELS[like].data_root not in text.replace(str(data), "")


def test_a_test_pass_reads_every_image_once(tmp_path: Path, tiny_data: MakeData) -> None:
    data = tiny_data("own", classes=CLASSES, size=64)
    nets = write(tmp_path, data, "demo")
    for name in NETS:
        solver, net = (
            read_solver(nets / f"{name}_solver.prototxt")[0],
            read_net(nets / f"{name}_train_val.prototxt")[0],
        )
        tested = [layer for layer in net.layer if layer.type == "Data" and layer.include[0].phase == 1]
        for layer, batches in zip(tested, solver.test_iter, strict=True):
            assert layer.data_param.batch_size * batches == len(LmdbReader(layer.data_param.source))
        assert len(tested) == (1 if name == "ntype" or not (data / "val_lmdb").exists() else 2)


def test_the_recipe_is_the_catalogues_over_other_nets(tmp_path: Path, tiny_data: MakeData) -> None:
    data = tiny_data("own", classes=CLASSES, size=32)
    recipe, known = own_recipe(write(tmp_path, data, "cifar10")), RECIPES["cifar10"]
    assert recipe.data_root == str(data)
    assert [stage.name for stage in recipe.stages] == [stage.name for stage in known.stages]
    for stage, other in zip(recipe.stages, known.stages, strict=True):
        assert stage.needs == other.needs
        assert stage.starts == other.starts and stage.transition == other.transition
        solver, theirs = recipe_messages(stage)[0], recipe_messages(other)[0]
        assert solver.base_lr == pytest.approx(theirs.base_lr)
        assert (solver.max_iter, solver.stepsize) == (theirs.max_iter, theirs.stepsize)


def test_nets_without_their_joint_layers_are_refused(tmp_path: Path, tiny_data: MakeData) -> None:
    nets = write(tmp_path, tiny_data("own", classes=CLASSES, size=32), "cifar10")
    path = nets / "ours_train_val.prototxt"
    path.write_text(path.read_text().replace("conv2_ntype", "conv2_types"))
    with pytest.raises(PrototxtError, match="expected layers conv2_clean and conv2_ntype"):
        own_recipe(nets)


def test_images_smaller_than_the_crop(tmp_path: Path, tiny_data: MakeData, capsys: pytest.CaptureFixture[str]) -> None:
    data = tiny_data("own", classes=CLASSES, size=32)
    assert make_nets([str(data), str(tmp_path / "nets")]) == 2
    assert f"{data}: expected images of at least 56 x 56, which its nets crop, got 32 x 32" in capsys.readouterr().err
    assert not (tmp_path / "nets").exists()


def test_nets_are_found_from_any_folder(tmp_path: Path, tiny_data: MakeData, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tiny_data("own", classes=CLASSES, size=32)
    nets = write(tmp_path, data, "cifar10")
    for path in nets.glob("*_solver.prototxt"):  # as `make_nets nets` writes them from the folder that nets lies in
        path.write_text(path.read_text().replace(str(nets), nets.name))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for stage in own_recipe(nets).stages:
        assert recipe_messages(stage)[1].layer
