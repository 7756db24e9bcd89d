"""Which checks are asked of which batches: all of them of the real kernels, a small fixed set of a faulty copy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from caffe_compat.arrays import FloatArray
from caffe_compat.label_noise.audit import em_checks, model_checks, number_checks
from caffe_compat.label_noise.audit.batches import Batch, every_label, extreme_batches, large_batches, small_batches
from caffe_compat.label_noise.audit.building import REPOSITORY
from caffe_compat.label_noise.audit.exact import Differentiated, Exact, autograd, brute_force, loops
from caffe_compat.label_noise.audit.findings import Finding
from caffe_compat.label_noise.audit.kernels import DTYPES, Harness, Kernels

_FEW = 14  # classes, up to which brute force in 50 digits is quick
GOLDEN = REPOSITORY / "tests" / "golden" / "noise_layer"


@dataclass(frozen=True)
class Asked:
    """A batch with what its witnesses say of it, worked out once for all implementations."""

    batch: Batch
    exact: Exact
    witness: str
    slopes: str
    differentiated: Differentiated


def asked(batch: Batch) -> Asked:
    if batch.num_classes <= _FEW:
        exact, witness, slopes = brute_force(batch), model_checks.BRUTE_FORCE, model_checks.DIFFERENCES
    else:
        exact, witness, slopes = loops(batch), model_checks.LOOPS, f"Eq. 7: {model_checks.LOOPS}"
    return Asked(batch, exact, witness, slopes, autograd(batch))


class FullExamination:
    """Everything: ``cases`` random batches, the extremes, the authors' answers, EM; inputs are drawn from ``rng``."""

    def __init__(self, rng: np.random.Generator, cases: int) -> None:
        self.batches = [*small_batches(rng, cases), *large_batches(rng), *extreme_batches(rng)]
        self._asked = [asked(batch) for batch in self.batches]
        self._images = [every_label(rng, num_classes) for num_classes in (2, 3, 5, 8, 14)]
        self._authors = authors_cases()
        self._seed = int(rng.integers(2**32))

    def __call__(self, kernels: Kernels) -> Iterator[Finding]:
        rng = np.random.default_rng(self._seed)
        for dtype in DTYPES:
            for each in self._asked:
                batch = each.batch
                yield from model_checks.check_batch(kernels, dtype, batch, each.exact, each.witness, each.slopes)
                yield from model_checks.check_autograd(kernels, dtype, batch, each.differentiated)
                yield from model_checks.check_backward(kernels, dtype, batch, rng)
                if batch.num_classes <= _FEW and not _is_extreme(batch):
                    yield from model_checks.check_bound(kernels, dtype, batch, rng)
                    yield from em_checks.check_e_step(kernels, dtype, batch, each.exact)
            for image in self._images:
                yield from model_checks.check_every_label(kernels, dtype, image)
            for name, case in self._authors.items():
                yield from model_checks.check_authors(kernels, dtype, case, name)
            for _ in range(3):
                yield from em_checks.check_em(kernels, dtype, rng)


class ShortExamination:
    """What a faulty copy is asked: few rows, but of every kind; the same for all copies."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self._asked = [asked(batch) for batch in small_batches(rng, 8)]
        self._asked += [asked(batch) for batch in extreme_batches(rng) if batch.num_classes <= _FEW]
        self._image = every_label(rng, 4)
        self._numbers = number_checks.NumberExamination(rng)

    def __call__(self, kernels: Harness) -> Iterator[Finding]:
        rng = np.random.default_rng(0)
        for each in self._asked:
            for dtype in DTYPES:
                yield from model_checks.check_batch(kernels, dtype, each.batch, each.exact, each.witness, each.slopes)
                yield from model_checks.check_backward(kernels, dtype, each.batch, rng)
        for dtype in DTYPES:
            yield from model_checks.check_every_label(kernels, dtype, self._image)
            yield from model_checks.check_bound(kernels, dtype, self._asked[1].batch, rng)
        yield from self._numbers(kernels)


def _is_extreme(batch: Batch) -> bool:
    """Whether ``equations.py`` in plain float64 would underflow, or have no digits to spare."""
    return max(float(np.abs(batch.scores_y).max()), float(np.abs(batch.scores_z).max())) > 50


def authors_cases() -> dict[str, dict[str, FloatArray]]:
    """The answers of the authors' Caffe, by name, as float64 where they are numbers."""
    cases = {}
    for path in sorted(GOLDEN.glob("*.npz")):
        with np.load(path) as stored:
            cases[path.stem] = {
                key: stored[key].astype(np.float64) for key in stored.files if stored[key].dtype.kind == "f"
            }
    return cases
