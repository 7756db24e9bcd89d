"""What an experiment is made of: stages (trainings) that start from one another, and the rows of its table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from caffe_compat.evaluation.experiments.edits import Edit


@dataclass(frozen=True)
class Start:
    """Weights of an earlier stage; ``renames`` maps its layer names to new ones, the others keep theirs."""

    stage: str
    renames: Mapping[str, str] = field(default_factory=dict)


class TransitionKind(Enum):
    """How p(noisy | true) is estimated from a net of the noisy labels (``label_noise.transitions``)."""

    GOLD = "gold"
    ANCHORS = "anchors"


@dataclass(frozen=True)
class Transition:
    """The matrix of a ``bottom_up`` net, estimated from a finished stage instead of counted on the pairs."""

    kind: TransitionKind
    stage: str


@dataclass(frozen=True)
class Stage:
    """One training run.

    Attributes:
        solver: its prototxt, from the repository root.
        starts: where its weights come from; none: random.
        edits: changes of the solver and the net, in this order.
        pretrained: starts from the weights given on the command line (``--pretrained``); not run without them.
        continues: an earlier stage whose last solver state it goes on from, iteration and momentum included.
        transition: where its p(noisy | true) comes from, if not from the data folder.
    """

    name: str
    solver: str
    starts: tuple[Start, ...] = ()
    edits: tuple[Edit, ...] = ()
    pretrained: bool = False
    continues: str | None = None
    transition: Transition | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        """The stages that have to be finished before this one."""
        others = (self.continues, self.transition.stage if self.transition else None)
        return tuple(dict.fromkeys([*(start.stage for start in self.starts), *(name for name in others if name)]))


@dataclass(frozen=True)
class Row:
    """One line of the table: the test accuracy of ``stage`` at its last iteration.

    Attributes:
        published: test accuracies in percent of others, by their column: the paper's, the authors' log's.
    """

    method: str
    labels: str
    stage: str
    published: float | None = None


@dataclass(frozen=True)
class Recipe:
    """One experiment.

    Attributes:
        data_root: the folder that the prototxts name; ``--data`` takes its place.
        make_data: the command that makes such a folder.
        stages: in the order in which they run; a stage needs only earlier ones.
        compare: pairs of methods (rows) whose difference is reported seed by seed: the first minus the second.
        seeds: how many seeds a reported result takes.
        published: whose figures the rows' ``published`` are; None where there are none.
        validation: the second test net reads a validation split, and the table also has the test accuracy at the
            iteration that is best there.
    """

    name: str
    title: str
    data_root: str
    make_data: str
    stages: tuple[Stage, ...]
    rows: tuple[Row, ...]
    compare: tuple[tuple[str, str], ...]
    seeds: int
    published: str | None = None
    validation: bool = False

    def stage(self, name: str) -> Stage:
        return next(stage for stage in self.stages if stage.name == name)

    def with_needs(self, names: list[str]) -> list[str]:
        """The stages named and all that they need, in the order in which they run."""
        wanted = set(names)
        for stage in reversed(self.stages):
            if stage.name in wanted:
                wanted.update(stage.needs)
        return [stage.name for stage in self.stages if stage.name in wanted]
