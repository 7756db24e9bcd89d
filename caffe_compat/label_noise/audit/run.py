"""One audit: examine every implementation, hold the ledger against the code, put faults in and see them found."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from caffe_compat.errors import CaffeCompatError
from caffe_compat.label_noise.audit import building, confusion_checks, model_checks, mutants, number_checks, questions
from caffe_compat.label_noise.audit.batches import draw_batch
from caffe_compat.label_noise.audit.findings import Findings
from caffe_compat.label_noise.audit.kernels import DTYPES, Extension, Harness, Kernels
from caffe_compat.label_noise.audit.ledger import LEDGER
from caffe_compat.label_noise.audit.mutants import Verdict
from caffe_compat.label_noise.audit.tags import Place, tagged_places, unmatched
from caffe_compat.label_noise.confusion import estimate_from_counts
from caffe_compat.machine import processor, versions

CPU, CUDA, HEADER, DEVICE_CODE = "cpu", "cuda", "header alone", "device code on the host"
CASES_A_ROUND, ESTIMATES_A_ROUND = 24, 150
Say = Callable[[str], None]


class NoGpu(CaffeCompatError):
    """A GPU was asked for and there is none that the extension can use."""


@dataclass
class Audit:
    """What one run found.

    Attributes:
        columns: the implementations examined.
        not_run: {implementation: why}.
        broken: sentences about the audit itself: tags without rows, lines no fault was put into.
        header_faults, estimator_faults: verdicts, empty where mutations were not asked for.
    """

    seed: int
    cases: int
    columns: list[str] = field(default_factory=list)
    not_run: dict[str, str] = field(default_factory=dict)
    findings: Findings = field(default_factory=Findings)
    places: list[Place] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    has_mutations: bool = False
    header_faults: list[Verdict] = field(default_factory=list)
    estimator_faults: list[Verdict] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def faults(self) -> list[Verdict]:
        return [*self.header_faults, *self.estimator_faults]

    @property
    def outcomes(self) -> Counter[str]:
        """How many faults were caught, equivalent, survived, or not a program."""
        return Counter(verdict.outcome for verdict in self.faults)

    def problems(self) -> list[str]:
        """Why the audit fails; empty where it passes."""
        unseen = [row.tag for row in LEDGER if not self.findings.of(row.tag)]
        return [
            *(str(finding) for finding in self.findings.failures),
            *(f"[{tag}] was not checked by anything" for tag in unseen),
            *self.broken,
            *(
                f"{v.mutation.file}:{v.mutation.line}: nothing noticed: {v.mutation.fault}: {v.mutation.after}"
                for v in self.faults
                if v.outcome == "survived"
            ),
        ]


def run_audit(seed: int, cases: int, device: str, with_mutations: bool, workers: int, say: Say) -> Audit:
    """Do it all.

    Args:
        seed: of every drawn input. cases: random batches for each implementation, at least.
        device: "auto" (a GPU where there is one), "cpu", or "cuda" (a failure without one).
        workers: compilers at a time.
        say: is told how far the audit is.
    Raises: NoGpu; CaffeCompatError outside a checkout of the sources, or if they do not compile.
    """
    building.check_sources()
    began, audit = time.monotonic(), Audit(seed, cases, has_mutations=with_mutations)
    audit.environment = environment()
    with tempfile.TemporaryDirectory() as name:
        implementations = _implementations(audit, device, Path(name), say)
        _examine(audit, implementations, say)
    audit.places = tagged_places()
    audit.broken = unmatched([row.tag for row in LEDGER], audit.places)
    if with_mutations and not audit.findings.failures:
        _put_faults_in(audit, workers, say)
    audit.seconds = time.monotonic() - began
    return audit


def _implementations(audit: Audit, device: str, folder: Path, say: Say) -> list[Kernels]:
    say("compiling the header alone, and the device code for the host")
    found: list[Kernels] = [
        Extension(CPU),
        Harness(HEADER, building.compile_formulas(folder)),
        Harness(DEVICE_CODE, building.compile_device_code(folder)),
    ]
    problem = _no_gpu() if device != "cpu" else "the audit was told to leave it out (--device cpu)"
    if problem is None:
        found.append(Extension(CUDA))
    elif device == "cuda":
        raise NoGpu(problem)
    else:
        audit.not_run[CUDA] = problem
    audit.columns = [kernels.name for kernels in found]
    return found


def _no_gpu() -> str | None:
    """Why the kernels cannot run on a GPU here, or None."""
    import torch

    if not torch.cuda.is_available():
        return "no GPU, or PyTorch was built without CUDA"
    try:
        Extension(CUDA).forward(draw_batch(np.random.default_rng(0), "first", 1, 2, 1.0), DTYPES[0])
    except ValueError as exc:
        return f"the extension was built without CUDA ({exc})"
    return None


def _examine(audit: Audit, implementations: list[Kernels], say: Say) -> None:
    rounds = -(-audit.cases // CASES_A_ROUND)
    for number in range(rounds):
        rng = np.random.default_rng([audit.seed, number])
        examination = questions.FullExamination(rng, CASES_A_ROUND)
        for kernels in implementations:
            audit.findings.add(examination(kernels))
            failed = len(audit.findings.failures)
            say(f"round {number + 1} of {rounds}: {kernels.name}: {audit.findings.count} comparisons, {failed} failed")
        header = implementations[1]
        assert isinstance(header, Harness)
        audit.findings.add(number_checks.NumberExamination(rng)(header))
        for kernels in implementations[1:]:
            for batch in examination.batches:
                for dtype in DTYPES:
                    audit.findings.add(model_checks.check_agreement(kernels, implementations[0], dtype, batch))
        audit.findings.add(confusion_checks.check_estimates(estimate_from_counts, rng, ESTIMATES_A_ROUND))
    say(f"{audit.findings.count} comparisons, {len(audit.findings.failures)} failed")


def _put_faults_in(audit: Audit, workers: int, say: Say) -> None:
    def progress(what: str) -> Callable[[int, int], None]:
        return lambda done, of: say(f"faults in {what}: {done} of {of}") if done % 25 == 0 or done == of else None

    audit.header_faults = mutants.judge_headers(questions.ShortExamination(), workers, progress("the math headers"))
    audit.estimator_faults = mutants.judge_confusion(audit.seed, progress("confusion.py"))
    untried = mutants.untried_lines(audit.header_faults)
    audit.broken += [f"no fault was put into this line of arithmetic: {line}" for line in untried]


def environment() -> dict[str, str]:
    """Versions, compiler, flags, commit: what a reader needs to repeat the run."""
    import torch

    commit = _git("rev-parse", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no")
    found = {
        "date": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
        "commit": (commit or "not a git checkout") + (" with uncommitted changes" if changed else ""),
        "processor": processor(),
        **versions(),
        "compiler of the harnesses": building.compiler_version(),
        "flags of the harnesses": " ".join(building.FLAGS),
        "flags of the faulty copies": " ".join(building.FAULTY_FLAGS),
        "flags of the extension": "those of setup.py",
    }
    if torch.cuda.is_available():
        found["GPU"] = f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"
    return found


def _git(*arguments: str) -> str:
    try:
        result = subprocess.run(
            ["git", *arguments], cwd=building.REPOSITORY, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""
