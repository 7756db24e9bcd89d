"""The trainings over the nets of one folder: which stage starts from which, and what is edited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from caffe_compat.evaluation.experiments import edits
from caffe_compat.evaluation.experiments.edits import Edit
from caffe_compat.evaluation.experiments.recipes import Stage, Start, Transition, TransitionKind


class Family:
    """The stages over the nets of one folder.

    Args:
        folder: of its nets and solvers, from the repository root (or absolute).
        convolutions, classifier: layers of its clean net that other nets start from.
        every: edits of all its stages, before those of a stage's own.
    """

    def __init__(
        self, folder: str, convolutions: Sequence[str], classifier: Sequence[str], every: tuple[Edit, ...] = ()
    ) -> None:
        self._folder, self._every = folder, every
        self._convolutions, self._layers = convolutions, [*convolutions, *classifier]

    def stage(self, name: str, solver: str | None = None, *starts: Start, change: tuple[Edit, ...] = ()) -> Stage:
        return Stage(name, f"{self._folder}/{solver or name}_solver.prototxt", starts, (*self._every, *change))

    def clean(self) -> Stage:
        return self.stage("clean")

    def ntype(self, clean: str = "clean") -> Stage:
        return self.stage("ntype", None, Start(clean))

    def noisy_as_truth(self) -> Stage:
        return self.stage("noisy_as_truth", None, Start("clean"))

    def noisy_as_truth_random(self) -> Stage:
        return self.stage("noisy_as_truth_random", "noisy_as_truth")

    def noisy_only(self) -> Stage:
        return self.stage("noisy_only", "noisy_as_truth", change=(edits.noisy_labels_only,))

    def then_clean(self, name: str, stage: str, *change: Edit, joint: bool = False) -> Stage:
        """The clean net, from what an earlier stage learned.

        Args:
            joint: whether that stage is a ``joint`` one.
        """
        renames = {new: old for old, new in _rename(self._layers, "_clean").items()} if joint else {}
        return self.stage(name, "clean", Start(stage, renames), change=change)

    def bottom_up(self, clean: str = "clean") -> Stage:
        return self.stage("bottom_up", None, Start(clean))

    def bottom_up_random(self) -> Stage:
        return self.stage("bottom_up_random", "bottom_up")

    def joint(self, name: str = "ours", *change: Edit, clean: str | None = "clean", types: bool = True) -> Stage:
        """(d): both nets, or the clean net alone where the noise types are constant.

        Args:
            clean: the stage that p(y|x) starts from; None: from random.
        """
        starts = []
        if clean is not None:
            starts.append(Start(clean, _rename(self._layers, "_clean")))
        if types:
            starts.append(Start("ntype", _rename(self._convolutions, "_ntype")))
        return self.stage(name, "ours", *starts, change=change)

    def corrected(self, clean: str = "clean") -> tuple[Stage, ...]:
        """GLC and forward correction: the bottom-up net over the matrices of the stage ``noisy_only``."""
        bottom_up = self.bottom_up(clean)
        return (
            replace(bottom_up, name="glc", transition=Transition(TransitionKind.GOLD, "noisy_only")),
            replace(bottom_up, name="forward", transition=Transition(TransitionKind.ANCHORS, "noisy_only")),
        )

    def every_method(self, fine_tune: Edit) -> tuple[Stage, ...]:
        """The paper's methods and the literature's; ``fine_tune`` is the schedule of noisy as truth, then clean."""
        return (
            self.clean(),
            self.noisy_as_truth(),
            self.ntype(),
            self.joint(),
            self.bottom_up(),
            self.noisy_as_truth_random(),
            self.then_clean("noisy_then_clean", "noisy_as_truth_random", fine_tune),
            self.noisy_only(),
            *self.corrected(),
        )


def _rename(layers: Sequence[str], suffix: str) -> dict[str, str]:
    return {layer: layer + suffix for layer in layers}
