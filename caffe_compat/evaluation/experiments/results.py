"""The small JSON that a finished stage leaves: what was measured, where, with which versions."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from caffe_compat.errors import CaffeCompatError
from caffe_compat.evaluation.experiments.identity import Identity
from caffe_compat.evaluation.experiments.jobs import Job, recipe_messages
from caffe_compat.evaluation.experiments.training_log import TrainingLog
from caffe_compat.files import atomic_path
from caffe_compat.machine import machine, versions


@dataclass(frozen=True)
class Result:
    """One finished stage of one seed.

    Attributes:
        settings: SHA-256 over seed, solver and net of this stage and of those it started from.
        test: outputs of the test net at the last iteration; ``test_history`` those of every test.
        train_loss: the last displayed training loss.
        resumed_at: the iteration at which a cut run was taken up again (its data then start over, as in Caffe), or
            None for a run in one piece.
        seconds: wall time of the (last) run, tests and start-up included.
        seconds_per_iteration: median over the displayed intervals, tests excluded.
        images_per_second: batch size over that.
        validation_history: outputs of the second test net, which reads the validation split, where the recipe has one.
        data, pretrained: as in :class:`Identity`; None in results of before they were kept.
    """

    recipe: str
    stage: str
    seed: int
    settings: str
    iterations: int
    test: dict[str, float]
    test_history: dict[int, dict[str, float]]
    train_loss: float | None
    resumed_at: int | None
    seconds: float
    seconds_per_iteration: float | None
    images_per_second: float | None
    machine: dict[str, Any]
    versions: dict[str, str]
    validation_history: dict[int, dict[str, float]] = field(default_factory=dict)
    data: str | None = None
    pretrained: str | None = None

    @property
    def identity(self) -> Identity:
        return Identity(self.settings, self.data, self.pretrained)

    @property
    def accuracy(self) -> float:
        return self.test["accuracy"]

    @property
    def best_by_validation(self) -> tuple[int, float] | None:
        """The iteration with the best validation accuracy (the first of equals) and its test accuracy, if known."""
        scores = {at: outputs["accuracy"] for at, outputs in self.validation_history.items() if "accuracy" in outputs}
        if not scores:
            return None
        best = max(sorted(scores), key=lambda at: scores[at])
        return best, self.test_history[best]["accuracy"]


def read_result(job: Job) -> Result | None:
    """The result of a finished job, or None where it has not finished.

    Raises: CaffeCompatError for a file that is not a result.
    """
    return read_result_file(job.result_file) if job.result_file.exists() else None


def read_result_file(path: Path) -> Result:
    """Raises: CaffeCompatError for a file that is not a result; FileNotFoundError."""
    try:
        return parse_result(json.loads(path.read_text()))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
        raise CaffeCompatError(f"not the result of a stage: {exc}", path=str(path)) from exc


def parse_result(fields: dict[str, Any]) -> Result:
    """A result from the JSON's content. Raises: TypeError, KeyError or ValueError if it is something else."""
    float(fields["test"]["accuracy"])
    bytes.fromhex(fields.get("pretrained") or "")
    histories = {
        name: {int(iteration): outputs for iteration, outputs in fields.get(name, {}).items()}
        for name in ("test_history", "validation_history")
    }
    return Result(**{**fields, **histories})


def write_result(job: Job, result: Result) -> None:
    with atomic_path(job.result_file) as part:
        part.write_text(json.dumps(asdict(result), indent=1) + "\n")


def make_result(job: Job, log: TrainingLog, made_with: Identity, resumed_at: int | None, seconds: float) -> Result:
    """Put together the result of a job whose training has reached its last iteration, after ``seconds``.

    Raises: CaffeCompatError if the log holds no test accuracy at the last iteration.
    """
    iterations = job.max_iter
    test = log.tests.get(iterations, {})
    if "accuracy" not in test:
        problem = f"no test accuracy at iteration {iterations} (test_interval has to divide max_iter)"
        raise CaffeCompatError(problem, path=str(job.log_file))
    per_iteration = log.seconds_per_iteration
    return Result(
        recipe=job.recipe.name,
        stage=job.stage.name,
        seed=job.seed,
        settings=made_with.settings,
        iterations=iterations,
        test=test,
        test_history=log.tests,
        train_loss=log.losses[max(log.losses)] if log.losses else None,
        resumed_at=resumed_at,
        seconds=round(seconds, 1),
        seconds_per_iteration=per_iteration,
        images_per_second=round(_batch_size(job) / per_iteration, 1) if per_iteration else None,
        machine=machine(),
        versions=versions(),
        validation_history=log.validations,
        data=made_with.data,
        pretrained=made_with.pretrained,
    )


def _batch_size(job: Job) -> int:
    """Images per iteration: the batch of the net's first data layer."""
    layers = recipe_messages(job.stage)[1].layer
    return int(next(layer.data_param.batch_size for layer in layers if layer.type == "Data"))
