"""Faulty copies of the code under audit, and which check finds each.

Every copy of the math headers is compiled by itself and asked the same questions as the real kernels, in a process of
its own that may crash or hang. Copies of ``confusion.py`` are asked the questions of Eq. 8 to 14.
"""

from __future__ import annotations

import ast
import faulthandler
import importlib.util
import multiprocessing
import multiprocessing.connection
import sys
import tempfile
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caffe_compat.label_noise import confusion
from caffe_compat.label_noise.audit import confusion_checks, mutations
from caffe_compat.label_noise.audit.building import CSRC, MATH_HEADERS, CompileError, compile_formulas, compile_prelude
from caffe_compat.label_noise.audit.equivalents import proof
from caffe_compat.label_noise.audit.findings import Finding
from caffe_compat.label_noise.audit.kernels import Harness
from caffe_compat.label_noise.audit.mutations import Mutation, automatic_mutations, hand_made_mutations

_SECONDS = 10  # for all questions to one copy; the real code needs less than one
_FORK = multiprocessing.get_context("fork")
Questions = Callable[[Harness], Iterator[Finding]]


@dataclass(frozen=True)
class Verdict:
    """What became of a mutation.

    Attributes:
        outcome: "caught", "equivalent" (nothing changes, with a proof), "survived", or "not a program" (the compiler
            refused it, so nobody could run it).
        by: the ledger row that caught it. how: the finding, the crash, the proof.
    """

    mutation: Mutation
    outcome: str
    by: str = ""
    how: str = ""


def judge_headers(questions: Questions, workers: int, progress: Callable[[int, int], None]) -> list[Verdict]:
    """Every mutation of the math headers, by hand and automatic.

    Args:
        questions: the checks, asked until one fails.
        workers: processes at a time.
        progress: called with the number done and the number of all.
    """
    texts = {name: (CSRC / name).read_text() for name in MATH_HEADERS}
    all_mutations = [
        *hand_made_mutations(MATH_HEADERS[0], texts[MATH_HEADERS[0]]),
        *(mutation for name, text in texts.items() for mutation in automatic_mutations(name, text)),
    ]
    verdicts = []
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(workers) as compilers:
        compile_prelude(Path(folder))

        def build(number: int, mutation: Mutation) -> Path:
            patch = {mutation.file: mutation.apply(texts[mutation.file])}
            return compile_formulas(Path(folder), f"mutant_{number}", patch)

        libraries = [compilers.submit(build, number, mutation) for number, mutation in enumerate(all_mutations)]
        for mutation, library in zip(all_mutations, libraries, strict=True):
            verdicts.append(judge_library(mutation, library, questions))
            progress(len(verdicts), len(all_mutations))
    return verdicts


def judge_library(mutation: Mutation, library: Future[Path], questions: Questions) -> Verdict:
    try:
        path = library.result()
    except CompileError:
        return Verdict(mutation, "not a program")
    verdict = _judge(mutation, lambda: questions(Harness("mutant", path)))
    path.unlink()
    return verdict


def judge_confusion(rng_seed: int, progress: Callable[[int, int], None]) -> list[Verdict]:
    """Every automatic mutation of the estimator of C (``confusion.py``)."""
    path = Path(confusion.__file__)
    text = path.read_text()
    lines = _function_lines(text, ("estimate_from_counts", "_by_falling_count", "_best_k"))
    verdicts = []
    found = [m for lines_of in lines for m in automatic_mutations(path.name, text, mutations.PYTHON, lines_of)]
    for mutation in found:

        def ask(mutation: Mutation = mutation) -> Iterator[Finding]:
            module = module_of(mutation.apply(text), path)
            return confusion_checks.check_estimates(module.estimate_from_counts, np.random.default_rng(rng_seed), 60)

        verdicts.append(_judge(mutation, ask))
        progress(len(verdicts), len(found))
    return verdicts


def _function_lines(text: str, names: Sequence[str]) -> Iterator[range]:
    """The lines of the functions' bodies, docstrings left out."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name in names:
            body = node.body[1:] if ast.get_docstring(node) else node.body
            yield range(body[0].lineno, (node.end_lineno or body[-1].lineno) + 1)


def module_of(text: str, path: Path) -> types.ModuleType:
    spec = importlib.util.spec_from_loader("mutant_of_confusion", loader=None)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    exec(compile(text, str(path), "exec"), module.__dict__)
    return module


def _judge(mutation: Mutation, ask: Callable[[], Iterable[Finding]]) -> Verdict:
    """Ask in a process of its own."""
    ours, theirs = _FORK.Pipe(duplex=False)
    process = _FORK.Process(target=_answer, args=(ask, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(_SECONDS):
            return Verdict(mutation, "caught", "-", f"did not end within {_SECONDS} s")
        row, how = ours.recv()
    except EOFError:
        process.join(1)
        return Verdict(mutation, "caught", "-", f"crashed (exit code {process.exitcode})")
    finally:
        process.kill()
        process.join()
        ours.close()
    if row:
        return Verdict(mutation, "caught", row, how)
    reason = proof(mutation)
    return Verdict(mutation, "equivalent", "", reason) if reason else Verdict(mutation, "survived")


def _answer(ask: Callable[[], Iterable[Finding]], pipe: multiprocessing.connection.Connection) -> None:
    faulthandler.disable()  # a copy that crashes is a result, not news
    try:
        failed = next((finding for finding in ask() if not finding.passed), None)
        pipe.send((failed.row, str(failed)) if failed else ("", ""))
    except Exception as exc:  # an estimator that raises has been found out, too
        pipe.send(("-", f"raised {type(exc).__name__}: {exc}"))


def untried_lines(verdicts: Iterable[Verdict]) -> list[str]:
    """Lines of arithmetic in the math headers that no fault that compiles was put into. Should be empty."""
    tried = {(v.mutation.file, v.mutation.line) for v in verdicts if v.outcome != "not a program"}
    missing = []
    for name in MATH_HEADERS:
        for number, line in enumerate((CSRC / name).read_text().split("\n"), 1):
            code = mutations.code_of(line, mutations.CPP)
            if code and mutations.has_arithmetic(code) and (name, number) not in tried:
                missing.append(f"{name}:{number}: {code}")
    return missing
