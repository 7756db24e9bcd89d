"""Whether a data folder is one that a recipe's nets can be trained on, found out by building them all on it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from google.protobuf.message import Message

from caffe_compat.datasets import layout
from caffe_compat.datasets.check.findings import Findings, Place
from caffe_compat.datasets.class_names import read_names
from caffe_compat.errors import CaffeCompatError, expected_got
from caffe_compat.evaluation.experiments.jobs import (
    files_read,
    net_file,
    recipe_messages,
    replace_root,
    transition_filler,
)
from caffe_compat.evaluation.experiments.recipes import Recipe, Stage
from caffe_compat.glog import warnings_only
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2
from caffe_compat.solver.descriptions import NetDescription, describe_test_nets, describe_train_net

# Their labels are classes; those of the others are noise types, of which there are three for everybody.
_LABELLED_BY_CLASS = {
    layout.CLEAN_TRAIN, layout.VAL, layout.VAL_NOISY_LABELS, layout.TEST,
    layout.MIXED_CLEAN_LABELS, layout.MIXED_NOISY_LABELS, layout.MIXED_TRUTH_LABELS,
}  # fmt: skip


class Misfit(NamedTuple):
    """net: the prototxt of a net that cannot be trained or tested on the data; problem: why."""

    net: str
    problem: str


def absent_files(recipe: Recipe, data: Path, stages: Collection[str] | None = None) -> list[str]:
    """What nets of the recipe (of ``stages``; None: of all) read and the folder does not have."""
    return [name for name in files_read(recipe, stages) if not (data / name).exists()]


def misfits(recipe: Recipe, data: Path, stages: Collection[str] | None = None) -> list[Misfit]:
    """Nets that cannot be built on the folder, as where its images are smaller than their crop or a matrix has another
    shape, or that tell another number of classes apart than the folder names.

    Nets that read a file which is not there (:func:`absent_files`) are not looked at.
    """
    num_classes = _num_classes(data / layout.NAMES)
    every = [stage.name for stage in recipe.stages] if stages is None else stages
    wanted = [recipe.stage(name) for name in every if not absent_files(recipe, data, [name])]
    found: dict[Misfit, None] = {}  # stages share nets, and so their faults
    with warnings_only():
        for stage in wanted:
            for described in _descriptions(recipe, stage, data):
                for problem in _problems(described, num_classes):
                    found[Misfit(net_file(stage), problem)] = None
    return list(found)


def add_to_findings(absent: Collection[str], found: Collection[Misfit], findings: Findings) -> None:
    """Add :func:`absent_files` and :func:`misfits`; parts that the recipe needs are then not merely missing ones."""
    for kind in ("missing_part", "missing_database"):
        findings.remove(kind, absent)
    findings.add("needed_by_recipe", *map(Place, absent))
    findings.add("net_does_not_fit", *(Place(net, detail=problem) for net, problem in found))


def _num_classes(names: Path) -> int | None:
    """None where that is not known, as without names that can be read."""
    try:
        return len(read_names(names)) or None
    except (CaffeCompatError, OSError):
        return None


def _descriptions(recipe: Recipe, stage: Stage, data: Path) -> Iterator[NetDescription]:
    """The stage's train net and test nets, over ``data``."""
    solver, net = recipe_messages(stage)
    replace_root(net, recipe.data_root, str(data))
    _without_random_fillers(net)
    if stage.transition is not None:
        transition_filler(net).Clear()
    solver.ClearField("net")
    solver.net_param.CopyFrom(net)
    yield describe_train_net(solver)
    yield from describe_test_nets(solver)


def _without_random_fillers(message: Message) -> None:
    """Zeros in place of what is drawn, which takes seconds for a CaffeNet.

    A filler that reads a file stays: whether it is there, and the shape of what is in it, are looked at.
    """
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type is caffe_pb2.FillerParameter.DESCRIPTOR:
            if not value.source:
                message.ClearField(field.name)
            continue
        for item in [value] if isinstance(value, Message) else value:
            _without_random_fillers(item)


def _problems(described: NetDescription, num_classes: int | None) -> Iterator[str]:
    try:
        net = Net(described.net, described.net.state.phase, level=None, seed=0)
    except (CaffeCompatError, OSError) as exc:
        yield str(exc)
        return
    for layer, classes in _classes_told_apart(net):
        if num_classes is not None and classes != num_classes:
            yield f'layer "{layer}": ' + expected_got(f"{num_classes} scores, as there are classes", classes)


def _classes_told_apart(net: Net) -> Iterator[tuple[str, int]]:
    """Losses that compare scores with labels of classes, and how many scores they are given."""
    origin: dict[str, str] = {}  # blob -> the database it is read from
    for layer in net.proto.layer:
        if layer.type == "Data":
            origin.update(dict.fromkeys(layer.top, PurePosixPath(layer.data_param.source).name))
        elif layer.type == "Split":
            origin.update(dict.fromkeys(layer.top, origin.get(layer.bottom[0], "")))
        elif layer.type == "SoftmaxWithLoss" and origin.get(layer.bottom[1]) in _LABELLED_BY_CLASS:
            yield layer.name, net.blob_shapes[layer.bottom[0]][1]
