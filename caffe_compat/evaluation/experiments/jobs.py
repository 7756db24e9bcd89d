"""One stage of one seed as a job: its folder, and the net and solver it runs, resolved for data, folder and seed."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from caffe_compat.datasets import layout
from caffe_compat.errors import PrototxtError
from caffe_compat.evaluation.experiments.recipes import Recipe, Stage, TransitionKind
from caffe_compat.files import atomic_path
from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt import read_net, read_solver, to_text
from caffe_compat.repository import REPOSITORY

# The images that a net of the noisy labels is asked about to estimate the matrix.
ESTIMATED_OVER = {TransitionKind.GOLD: layout.CLEAN_TRAIN, TransitionKind.ANCHORS: layout.MIXED_IMAGES}


@dataclass(frozen=True)
class Job:
    """A stage of a recipe for one seed; everything about it lies in ``folder``.

    Attributes:
        data: the folder of databases that takes the place of the recipe's ``data_root``.
        out: the experiment's output folder.
        pretrained: weights from elsewhere, for the stages that start from such.
    """

    recipe: Recipe
    stage: Stage
    seed: int
    data: Path
    out: Path
    pretrained: Path | None = None

    @property
    def folder(self) -> Path:
        return self.out / f"seed_{self.seed}" / self.stage.name

    @property
    def solver_file(self) -> Path:
        return self.folder / "solver.prototxt"

    @property
    def net_file(self) -> Path:
        return self.folder / "train_val.prototxt"

    @property
    def log_file(self) -> Path:
        return self.folder / "train.log"

    @property
    def result_file(self) -> Path:
        return self.folder / "result.json"

    @property
    def identity_file(self) -> Path:
        return self.folder / "identity.json"

    @property
    def lock_file(self) -> Path:
        return self.folder / "lock"

    @property
    def start_file(self) -> Path:
        return self.folder / "start.caffemodel"

    @property
    def transition_file(self) -> Path:
        return self.folder / layout.TRANSITION

    @property
    def max_iter(self) -> int:
        return int(recipe_messages(self.stage)[0].max_iter)

    @property
    def final_weights(self) -> Path:
        return self.folder / f"{self.stage.name}_iter_{self.max_iter}.caffemodel"

    @property
    def final_state(self) -> Path:
        return self.final_weights.with_suffix(".solverstate")

    def earlier(self, name: str) -> Job:
        """The job of another stage of the same seed."""
        return replace(self, stage=self.recipe.stage(name))

    def last_snapshot(self) -> Path | None:
        """The newest solver state of a run that was cut short, or None."""
        states = {
            int(match[1]): state
            for state in self.folder.glob("*.solverstate")
            if (match := re.search(r"_iter_(\d+)\.solverstate$", state.name))
        }
        return states[max(states)] if states else None


def data_folder(data: Path, seed: int) -> Path:
    """The databases of one seed: ``data/seed_<n>`` where there is such a folder, otherwise ``data`` for all seeds."""
    own = data / f"seed_{seed}"
    return own if own.is_dir() else data


def recipe_messages(stage: Stage) -> tuple[caffe_pb2.SolverParameter, caffe_pb2.NetParameter]:
    """The stage's solver and net: as they stand in the repository, changed by the stage's edits."""
    solver, path = read_solver(REPOSITORY / stage.solver)
    if not solver.net:
        raise PrototxtError("a recipe's solver names its net here", path=path, field="net")
    net, _ = read_net(_place_of(solver.net, stage.solver))
    for edit in stage.edits:
        edit(solver, net)
    return solver, net


def net_file(stage: Stage) -> str:
    """The prototxt of the stage's net, as its solver names it."""
    return str(read_solver(REPOSITORY / stage.solver)[0].net)


def _place_of(net: str, solver: str) -> Path:
    """A repository's solver names its net from there; one elsewhere from where it is used, or it lies beside it."""
    if not Path(solver).is_absolute():
        return REPOSITORY / net
    beside = Path(solver).with_name(Path(net).name)
    return beside if beside.exists() and not Path(net).exists() else Path(net)


def files_read(recipe: Recipe, stages: Collection[str] | None = None) -> list[str]:
    """Names, sorted, of the files and databases in a data folder that nets of the recipe read.

    Args:
        stages: only the nets of these; None: all.
    """
    names: set[str] = set()

    def note(text: str) -> str:
        if text.startswith(f"{recipe.data_root}/"):
            names.add(PurePosixPath(text).name)
        return text

    for stage in recipe.stages if stages is None else map(recipe.stage, stages):
        net = recipe_messages(stage)[1]
        if stage.transition is not None:
            _read_transition(net, Path("estimated when it is needed"))
            names.add(ESTIMATED_OVER[stage.transition.kind])
        _map_strings(net, note)
    return sorted(names)


def resolved_texts(job: Job) -> tuple[str, str]:
    """The solver's and the net's prototxt for this job: its data, its folder, its seed."""
    solver, net = recipe_messages(job.stage)
    if job.stage.transition is not None:
        _read_transition(net, job.transition_file)
    replace_root(net, job.recipe.data_root, str(job.data))
    solver.net = str(job.net_file)
    if job.stage.pretrained:
        solver.weights[:] = [str(job.pretrained)]
    else:
        solver.weights[:] = [str(job.start_file)] if job.stage.starts else []
    solver.snapshot_prefix = str(job.folder / job.stage.name)
    solver.random_seed = job.seed
    return to_text(solver), to_text(net)


def write_resolved(job: Job) -> None:
    """Write the two files of :func:`resolved_texts`."""
    for path, text in zip((job.solver_file, job.net_file), resolved_texts(job), strict=True):
        with atomic_path(path) as part:
            part.write_text(text)


def _read_transition(net: caffe_pb2.NetParameter, path: Path) -> None:
    """Let the bottom-up net's layer read its matrix from ``path``."""
    transition_filler(net).source = str(path)


def transition_filler(net: caffe_pb2.NetParameter) -> caffe_pb2.FillerParameter:
    """What fills p(noisy | true) of the bottom-up net."""
    return next(layer for layer in net.layer if layer.name == "transition").inner_product_param.weight_filler


def replace_root(message: Message, old: str, new: str) -> None:
    """In every string of ``message`` that is a path below ``old``, put ``new`` in its place."""
    _map_strings(message, lambda text: _moved(text, old, new))


def _map_strings(message: Message, function: Callable[[str], str]) -> None:
    """Put ``function`` of it in the place of every string, those of messages inside included."""
    for field, value in message.ListFields():
        if field.message_type is not None:
            for item in [value] if isinstance(value, Message) else value:
                _map_strings(item, function)
        elif isinstance(value, str):
            setattr(message, field.name, function(value))
        elif field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            value[:] = [function(item) for item in value]


def _moved(path: str, old: str, new: str) -> str:
    return new + path[len(old) :] if path.startswith(old + "/") else path
