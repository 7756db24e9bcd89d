"""Running a recipe: stage after stage, seed after seed, only what is missing, each in a process of its own."""

from __future__ import annotations

import difflib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from caffe_compat.errors import CaffeCompatError, DataError
from caffe_compat.evaluation.experiments.data_fit import absent_files, misfits
from caffe_compat.evaluation.experiments.estimated_transition import write_estimated_transition
from caffe_compat.evaluation.experiments.identity import Identity, difference, identity, read_identity, write_identity
from caffe_compat.evaluation.experiments.jobs import Job, data_folder, resolved_texts, write_resolved
from caffe_compat.evaluation.experiments.locks import locked
from caffe_compat.evaluation.experiments.progress import Progress
from caffe_compat.evaluation.experiments.recipes import Recipe
from caffe_compat.evaluation.experiments.results import Result, make_result, read_result, write_result
from caffe_compat.evaluation.experiments.starts import write_start
from caffe_compat.evaluation.experiments.training_log import TrainingLog
from caffe_compat.solver.device import device_of_flag

_LAST_LINES_SHOWN = 15


class StageFailed(CaffeCompatError):
    """A training process ended without reaching its last iteration."""


@dataclass(frozen=True)
class Chain:
    """A recipe with its folders.

    Attributes:
        data: the databases (``data_folder`` says where a seed finds its own).
        out: everything that is made goes below it: ``out/seed_<n>/<stage>/``.
        gpu: number of the GPU to use; None: the CPU.
        pretrained: weights from elsewhere, for the stages that start from such; without them these stages and those
            that need them do not run.
    """

    recipe: Recipe
    data: Path
    out: Path
    gpu: str | None = None
    pretrained: Path | None = None

    def jobs(self, seed: int) -> Iterator[Job]:
        """The seed's jobs in the order in which they run."""
        for stage in self.recipe.stages:
            yield Job(self.recipe, stage, seed, data_folder(self.data, seed), self.out, self.pretrained)

    def left_out(self) -> list[str]:
        """The stages that cannot run because there are no pre-trained weights, in their order."""
        names: list[str] = []
        for stage in self.recipe.stages:
            if self.pretrained is None and (stage.pretrained or any(need in names for need in stage.needs)):
                names.append(stage.name)
        return names

    def run(self, seeds: Sequence[int], stages: Sequence[str] | None = None) -> None:
        """Run every stage of every seed that has not finished; a cut one goes on from its last snapshot.

        Args:
            stages: only these, and what they need; None: all.
        Raises: CaffeCompatError where the output folder holds results of other settings or data, or another process
            trains there; StageFailed.
        """
        runnable = self._runnable(stages)
        for seed in seeds:
            for job in self.jobs(seed):
                if job.stage.name in runnable and self.finished(job) is None:
                    job.folder.mkdir(parents=True, exist_ok=True)
                    with locked(job.lock_file) as lock:
                        self._run_stage(job, lock)

    def check_data(self, seeds: Sequence[int], stages: Sequence[str] | None = None) -> None:
        """Whether all is there that :meth:`run` will read, and fits its nets: it shall not turn out after hours.

        Raises: DataError where a data folder lacks something or does not fit; CaffeCompatError as :meth:`run`.
        """
        runnable = self._runnable(stages)
        looked_at: set[tuple[Path, tuple[str, ...]]] = set()
        for seed in seeds:
            to_run = [
                job.stage.name for job in self.jobs(seed) if job.stage.name in runnable and not self.finished(job)
            ]
            folder = data_folder(self.data, seed)
            if (folder, tuple(to_run)) in looked_at:
                continue
            looked_at.add((folder, tuple(to_run)))
            if absent := absent_files(self.recipe, folder, to_run):
                remedy = f"{self.recipe.make_data} makes a folder"
                if folder == self.data and any(self.data.glob("seed_*")):
                    remedy = f"nor is there a folder seed_{seed}; {remedy}"
                raise DataError(f"nets of the recipe read {', '.join(absent)}, not there; {remedy}", path=str(folder))
            for net, problem in misfits(self.recipe, folder, to_run):
                raise DataError(f"{net} does not fit it: {problem}", path=str(folder))

    def _runnable(self, stages: Sequence[str] | None) -> set[str]:
        """The stages asked for and those that they need, without those that are left out."""
        every = [stage.name for stage in self.recipe.stages]
        wanted = every if stages is None else self.recipe.with_needs(list(stages))
        return set(wanted) - set(self.left_out())

    def finished(self, job: Job) -> Result | None:
        """The job's result, or None where it is still to be run.

        Raises: CaffeCompatError if the result belongs to another net, solver, start or data folder.
        """
        result = read_result(job)
        if result is not None and (other := difference(result.identity, job)):
            raise _not_ours(job, f"made with {other}")
        return result

    def _run_stage(self, job: Job, lock: int) -> None:
        made_with, snapshot = identity(job), job.last_snapshot()
        if snapshot is not None and (other := _changed_since_start(job)):
            raise _not_ours(job, f"a run cut short, begun with {other}")
        with Progress(f"seed {job.seed}: {job.stage.name}", job.max_iter) as progress:
            _prepare(job, made_with, snapshot, self.gpu, progress)
            began = time.monotonic()
            code = _train(self._command(job, snapshot), job.log_file, progress, lock)
        if code != 0 or not job.final_weights.exists():
            raise StageFailed(_ending(job, code))
        with open(job.log_file, errors="replace") as lines:
            log = TrainingLog.read(lines)
        resumed_at = None if snapshot is None else int(snapshot.stem.rpartition("_")[2])
        write_result(job, make_result(job, log, made_with, resumed_at, time.monotonic() - began))

    def _command(self, job: Job, snapshot: Path | None) -> list[str]:
        command = [*trainer(), "--solver", str(job.solver_file)]
        if self.gpu is not None:
            command += ["--gpu", self.gpu]
        if snapshot is not None:
            command += ["--snapshot", str(snapshot)]
        elif job.stage.continues is not None:
            command += ["--snapshot", str(job.earlier(job.stage.continues).final_state)]
        return command


def _prepare(job: Job, made_with: Identity, snapshot: Path | None, gpu: str | None, progress: Progress) -> None:
    """Write what the stage reads; what it starts from only where it does not go on from a snapshot."""
    write_resolved(job)
    write_identity(job, made_with)
    if snapshot is None:
        job.log_file.unlink(missing_ok=True)
        if job.stage.starts:
            write_start(job)
        if job.stage.transition is not None:
            device = device_of_flag(gpu or "")
            write_estimated_transition(job, job.stage.transition, device, progress)


def _changed_since_start(job: Job) -> str | None:
    """What the cut run in the job's folder was begun with that is not the job's; None: nothing."""
    known = read_identity(job)
    if known is not None:
        return difference(known, job)
    try:  # begun before that was kept
        written = job.solver_file.read_text(), job.net_file.read_text()
    except FileNotFoundError:
        written = None
    return None if written == resolved_texts(job) else "other settings"


def _changed_line(job: Job) -> str | None:
    """The first line of the solver or net in the job's folder that would be another one now; paths may change."""
    for file, now in zip((job.solver_file, job.net_file), resolved_texts(job), strict=True):
        if not file.exists():
            continue
        before, after = file.read_text().splitlines(), now.splitlines()
        for kind, start, end, new_start, new_end in difflib.SequenceMatcher(None, before, after, False).get_opcodes():
            old, new = (" ".join(part).strip() for part in (before[start:end], after[new_start:new_end]))
            if kind != "equal" and "/" not in old + new:
                return f"{file.name}: expected {_short(new)}, got {_short(old)}"
    return None


def _short(text: str) -> str:
    return f"{text[:60]} ..." if len(text) > 60 else text or "nothing there"


def _not_ours(job: Job, problem: str) -> CaffeCompatError:
    problem = "; ".join(filter(None, (problem, _changed_line(job))))
    return CaffeCompatError(f"{problem}: remove this folder or choose another --out", path=str(job.folder))


def trainer() -> list[str]:
    """The command line of ``tools/train_net.py`` in this Python, whether or not the tools are installed."""
    return [sys.executable, "-c", "from caffe_compat.cli.train_net import main; raise SystemExit(main())"]


def _train(command: Sequence[str], log_file: Path, progress: Progress, lock: int) -> int:
    """Run the trainer, its log appended to ``log_file`` and shown by ``progress``; returns its exit code.

    It holds ``lock``, too, so that nobody trains beside it should it outlive this process.
    """
    log = TrainingLog()
    with (
        open(log_file, "a") as kept,
        subprocess.Popen(
            command,
            stdout=kept,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            process_group=0,  # of its own: Ctrl-C reaches it through us, once
            pass_fds=(lock,),
        ) as process,
    ):
        assert process.stderr is not None
        try:
            for line in process.stderr:
                kept.write(line)
                kept.flush()
                log.add(line)
                progress.show(log)
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)  # it snapshots and stops
            kept.writelines(process.stderr)
            process.wait()
            raise
    return process.returncode


def _ending(job: Job, code: int) -> str:
    """Why a stage has no final weights, with the end of its log."""
    if code == 0:
        return f"{job.stage.name}: stopped before iteration {job.max_iter}; the same command goes on from the snapshot"
    lines = job.log_file.read_text(errors="replace").splitlines()[-_LAST_LINES_SHOWN:]
    return f"{job.stage.name}: training ended with exit code {code}; the end of {job.log_file}:\n" + "\n".join(lines)
