"""Where the paper and its authors' release differ, as switches of a recipe: edits of its stages.

The numbers are those of docs/recipes.md. Differences that are decided when the data are made, or that are a
recipe of their own, are here only to say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from caffe_compat.errors import CaffeCompatError, expected_got
from caffe_compat.evaluation.experiments import edits
from caffe_compat.evaluation.experiments.edits import Edit
from caffe_compat.evaluation.experiments.recipes import Recipe


@dataclass(frozen=True)
class Switch:
    """One difference.

    Attributes:
        about: what differs.
        choices: name of a choice -> stage -> edit. The choice that the recipe is already changes nothing.
        recipes: the only ones it is about; none: all that have its stages.
        elsewhere: where the difference is decided, if not by an edit.
    """

    about: str
    choices: Mapping[str, Mapping[str, Edit]] = field(default_factory=dict)
    recipes: tuple[str, ...] = ()
    elsewhere: str = ""


def _for(edit: Edit, *stages: str) -> dict[str, Edit]:
    return dict.fromkeys(stages, edit)


_CLOTHING1M = ("clothing1m", "clothing1m_release")

SWITCHES: dict[str, Switch] = {
    "D2": Switch(
        "scale of the noise type scores' gradient in the noisy label loss",
        {
            "paper": _for(edits.update_noise_lr(1), "ours", "stage1", "stage2"),
            "release": {**_for(edits.update_noise_lr(0.1), "ours", "stage2"), "stage1": edits.update_noise_lr(0)},
        },
    ),
    "D3": Switch(
        "weight decay of the noise type net while nothing else moves it",
        {"no_decay": _for(edits.without_decay("_ntype"), "stage1")},
    ),
    "D4": Switch("clean records per noisy one", elsewhere="the import tools' --clean_ratio (paper 0.5, release 1.0)"),
    "D6": Switch(
        "loss weights",
        {
            "paper": {
                **_for(edits.loss_weights(loss_clean=1, loss_noisy=1, loss_ntype=1), "ours", "stage2"),
                "stage1": edits.loss_weights(loss_clean=1, loss_noisy=1),
            },
            "release": {
                **_for(edits.loss_weights(loss_clean=1, loss_noisy=1, loss_ntype=0.1), "ours", "stage2"),
                "stage1": edits.loss_weights(loss_clean=0.1, loss_noisy=1),
            },
        },
    ),
    "D7": Switch(
        "schedule of the p(y|x) net on clean labels",
        {
            "paper": _for(
                edits.schedule(base_lr=0.001, stepsize=50_000, max_iter=150_000), "clean", "clean_pretrained"
            ),
            "release": _for(
                edits.schedule(base_lr=0.001, stepsize=10_000, max_iter=15_000), "clean", "clean_pretrained"
            ),
        },
        recipes=_CLOTHING1M,
    ),
    "D8": Switch("one joint run or two stages", elsewhere="recipes clothing1m and clothing1m_release"),
    "D9": Switch(
        "outputs of the noise type net's fc7: 4096 or 1024",
        {
            "paper": _for(edits.num_output(fc7_ntype=4096), "ntype", "ours", "stage1", "stage2"),
            "release": _for(edits.num_output(fc7_ntype=1024), "ntype", "ours", "stage1", "stage2"),
        },
        recipes=_CLOTHING1M,
    ),
    "D10": Switch(
        "samples that C is estimated from",
        elsewhere="import_clothing1m --recipe (paper: train, release: train and val)",
    ),
    "D12": Switch(
        "divisor of the clean and the noise type loss",
        {"labelled": _for(edits.labelled_mean, "ours", "stage1", "stage2")},
    ),
    "D13": Switch("noisy labels of clean images", elsewhere="the import tools' --noisy_labels_of_clean"),
}


def with_switches(recipe: Recipe, chosen: Mapping[str, str]) -> Recipe:
    """The recipe with the edits of ``chosen`` (switch -> choice), in their order; its title names them.

    Raises: CaffeCompatError for an unknown switch or choice, one that is decided elsewhere, or one that is not about
        this recipe or any of its stages.
    """
    for number, choice in chosen.items():
        by_stage = _edits(number, choice)
        if (only := SWITCHES[number].recipes) and recipe.name not in only:
            raise CaffeCompatError(f"--switch {number}: {expected_got('a recipe of ' + ', '.join(only), recipe.name)}")
        if not any(stage.name in by_stage for stage in recipe.stages):
            raise CaffeCompatError(
                f"--switch {number}: recipe {recipe.name} has none of the stages {', '.join(by_stage)}"
            )
        stages = tuple(
            replace(stage, edits=(*stage.edits, by_stage[stage.name])) if stage.name in by_stage else stage
            for stage in recipe.stages
        )
        recipe = replace(recipe, stages=stages, title=f"{recipe.title}, {number}: {choice}")
    return recipe


def _edits(number: str, choice: str) -> Mapping[str, Edit]:
    if number not in SWITCHES:
        raise CaffeCompatError(f"--switch: {expected_got('one of ' + ', '.join(SWITCHES), number)}")
    switch = SWITCHES[number]
    if switch.elsewhere:
        raise CaffeCompatError(f"--switch {number} ({switch.about}): is chosen by {switch.elsewhere}")
    if choice not in switch.choices:
        raise CaffeCompatError(f"--switch {number}: {expected_got('one of ' + ', '.join(switch.choices), choice)}")
    return switch.choices[choice]
