"""Whether a recipe's nets fit a data folder: each fault alone, told for the nets that have it."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from tiny_data import confusion, make_tiny_data

from caffe_compat.datasets import layout
from caffe_compat.datasets.check.findings import Findings, Place
from caffe_compat.evaluation.experiments.catalogue import RECIPES
from caffe_compat.evaluation.experiments.data_fit import Misfit, absent_files, add_to_findings, misfits
from caffe_compat.evaluation.experiments.own_nets import MODELS, write_nets
from caffe_compat.evaluation.experiments.own_recipe import own_recipe
from caffe_compat.weights import write_blobproto_file

RECIPE = RECIPES["cifar10n"]
OURS = "prototxt/cifar10/ours_train_val.prototxt"


@pytest.fixture
def data(tiny_data) -> Path:
    return tiny_data("data", classes=10, size=32)


@pytest.mark.parametrize(("name", "size"), [("cifar10n", 32), ("cifar10n_from_random", 32), ("clothing1m", 256)])
def test_data_of_the_recipe(name: str, size: int, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    recipe = RECIPES[name]
    data = make_tiny_data(tmp_path / "data", classes=14 if name == "clothing1m" else 10, size=size)
    with caplog.at_level(logging.INFO):
        assert absent_files(recipe, data) == [] and misfits(recipe, data) == []
    assert not caplog.records, "building them is not told as if they were trained"


def test_a_matrix_of_another_size(data: Path) -> None:
    write_blobproto_file(data / layout.CONFUSION, confusion(9))
    [found] = misfits(RECIPE, data)
    assert found.net == OURS and found.problem.startswith('layer "loss_noisy" (SoftmaxWithNoisyLabelLoss): ')
    assert found.problem.endswith("expected shape (1, 1, 10, 10), got (1, 1, 9, 9)")
    assert misfits(RECIPE, data, ["clean", "noisy_as_truth"]) == []


def test_frequencies_of_more_than_three_noise_types(data: Path) -> None:
    write_blobproto_file(data / layout.NOISE_TYPE_LOG_PRIOR, np.zeros((1, 1, 1, 4), np.float32))
    [found] = misfits(RECIPES["cifar10n_ablations"], data, ["ours_constant_types", "ours"])
    assert layout.NOISE_TYPE_LOG_PRIOR in found.problem and found.problem.endswith("got (1, 1, 1, 4)")


def test_another_number_of_classes(data: Path) -> None:
    (data / layout.NAMES).write_text("a\nb\n")
    found = misfits(RECIPE, data)
    assert {net for net, _ in found} == {
        f"prototxt/cifar10/{net}_train_val.prototxt" for net in ("clean", "noisy_as_truth", "ours", "bottom_up")
    }, "not ntype's, which has three whatever the classes are"
    assert {problem for _, problem in found} == {
        f'layer "{loss}": expected 2 scores, as there are classes, got 10'
        for loss in ("loss_clean", "loss_noisy", "loss")
    }
    (data / layout.NAMES).unlink()
    assert misfits(RECIPE, data) == []


def test_crops_larger_than_the_images(tmp_path: Path) -> None:
    data = make_tiny_data(tmp_path / "data", classes=14, size=50)
    problems = {problem for _, problem in misfits(RECIPES["demo_all"], data)}
    assert problems == {
        'layer "data" (Data): transform_param.crop_size: expected records of at least 56 x 56 pixels, got 50 x 50'
    }


def test_nets_whose_files_are_there_are_looked_at(data: Path) -> None:
    """ours lacks C; that the mean is too small for the others is said all the same."""
    (data / layout.CONFUSION).unlink()
    write_blobproto_file(data / layout.MEAN, np.zeros((1, 3, 16, 16), np.float32))
    found = misfits(RECIPE, data)
    assert {net for net, _ in found} >= {"prototxt/cifar10/clean_train_val.prototxt"} and OURS not in dict(found)


@pytest.mark.parametrize("content", [b"", b"caf\xe9\n"])
def test_names_that_cannot_be_read_are_no_number_of_classes(data: Path, content: bytes) -> None:
    (data / layout.NAMES).write_bytes(content)
    assert misfits(RECIPE, data) == []


def test_a_matrix_that_own_nets_name_elsewhere(data: Path, tmp_path: Path) -> None:
    write_nets(data, tmp_path / "nets", MODELS["cifar10"])
    net = tmp_path / "nets/ours_train_val.prototxt"
    net.write_text(net.read_text().replace(f"{data}/{layout.CONFUSION}", str(tmp_path / "none.binaryproto")))
    recipe = own_recipe(tmp_path / "nets")
    assert absent_files(recipe, data) == []
    [found] = misfits(recipe, data)
    assert "none.binaryproto" in found.problem and found.net.endswith("ours_train_val.prototxt")


def test_matrices_that_are_estimated_on_the_way_need_not_be_there(data: Path) -> None:
    (data / layout.TRANSITION).unlink()
    assert absent_files(RECIPE, data, ["glc", "forward"]) == [] and misfits(RECIPE, data, ["glc", "forward"]) == []
    assert absent_files(RECIPE, data, ["bottom_up"]) == [layout.TRANSITION]


def test_a_part_that_a_recipe_needs_is_told_once() -> None:
    findings = Findings()
    findings.add("missing_part", Place(layout.MEAN), Place(layout.PAIRS))
    add_to_findings([layout.MEAN], [Misfit(OURS, "why")], findings)
    assert findings.places == {
        "missing_part": [Place(layout.PAIRS)],
        "needed_by_recipe": [Place(layout.MEAN)],
        "net_does_not_fit": [Place(OURS, detail="why")],
    }
    assert findings.problems == 2
