"""The experiments as data: which solvers run in which order, from which weights, and the rows of their tables.

The chain of the paper's section 4: (a) the p(y|x) net on the clean labels, (b) C and the noise types, which come with
the data, (c) the p(z|x) net on the noise types from (a)'s convolutions, (d) both together. Beside it the baseline that
takes the noisy labels for true.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Start:
    """Weights of an earlier stage; ``renames`` maps its layer names to new ones, the others keep theirs."""

    stage: str
    renames: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """One training run.

    Attributes:
        solver: its prototxt, from the repository root.
        starts: where its weights come from; none: random.
        shuffle: read the training records in a new random order every round (``data_param.shuffle``), where the
            prototxt leaves it at Caffe's one order for ever.
    """

    name: str
    solver: str
    starts: tuple[Start, ...] = ()
    shuffle: bool = False


@dataclass(frozen=True)
class Row:
    """One line of the table: the test accuracy of ``stage`` at its last iteration."""

    method: str
    labels: str
    stage: str


@dataclass(frozen=True)
class Recipe:
    """One experiment.

    Attributes:
        data_root: the folder that the prototxts name; ``--data`` takes its place.
        make_data: the command that makes such a folder.
        stages: in the order in which they run; a stage starts only from earlier ones.
        compare: two methods (rows) whose difference is reported seed by seed: the first minus the second.
        seeds: how many seeds a reported result takes.
    """

    name: str
    title: str
    data_root: str
    make_data: str
    stages: tuple[Stage, ...]
    rows: tuple[Row, ...]
    compare: tuple[str, str]
    seeds: int

    def stage(self, name: str) -> Stage:
        return next(stage for stage in self.stages if stage.name == name)


def _rename(layers: Sequence[str], suffix: str) -> dict[str, str]:
    return {layer: layer + suffix for layer in layers}


def _chain(
    folder: str, convolutions: Sequence[str], classifier: Sequence[str], shuffle: bool = False
) -> tuple[Stage, ...]:
    """The four stages over the nets of ``prototxt/<folder>/``, whose clean net has the layers given."""
    clean = Start("clean", _rename([*convolutions, *classifier], "_clean"))
    ntype = Start("ntype", _rename(convolutions, "_ntype"))
    starts: dict[str, tuple[Start, ...]] = {
        "clean": (),
        "noisy_as_truth": (Start("clean"),),
        "ntype": (Start("clean"),),
        "ours": (clean, ntype),
    }
    return tuple(
        Stage(name, f"prototxt/{folder}/{name}_solver.prototxt", start, shuffle) for name, start in starts.items()
    )


CLEAN_ONLY, NOISY_AS_TRUTH, OURS = "clean only", "noisy as truth", "ours"
_ROWS = (
    Row(CLEAN_ONLY, "clean", "clean"),
    Row(NOISY_AS_TRUTH, "clean and noisy alike, from clean only", "noisy_as_truth"),
    Row(OURS, "clean, noisy and noise type, from clean only", "ours"),
)
_QUICK = (("conv1", "conv2", "conv3"), ("ip1", "ip2"))

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="demo",
            title="Drawn clothes",
            data_root="data/demo",
            make_data="tools/make_demo_data.py data/demo",
            stages=_chain("demo", *_QUICK),
            rows=_ROWS,
            compare=(OURS, NOISY_AS_TRUTH),
            seeds=1,
        ),
        Recipe(
            name="cifar10n",
            title="CIFAR-10N (10,000 clean labels, 40,000 human labels of the kind `worse`)",
            data_root="data/cifar10n",
            make_data="tools/import_cifar10n.py ROOT data/cifar10n",
            stages=_chain("cifar10", *_QUICK, shuffle=True),
            rows=_ROWS,
            compare=(OURS, NOISY_AS_TRUTH),
            seeds=3,
        ),
        Recipe(
            name="cifar10n_one_order",
            title="CIFAR-10N, read in one order for ever as the authors and Caffe do",
            data_root="data/cifar10n",
            make_data="tools/import_cifar10n.py ROOT data/cifar10n",
            stages=_chain("cifar10", *_QUICK),
            rows=_ROWS,
            compare=(OURS, NOISY_AS_TRUTH),
            seeds=3,
        ),
    )
}
