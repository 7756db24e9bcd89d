"""exp and log of csrc/number_math.h, on which all else rests, against 50 digits, in units in the last place."""

from __future__ import annotations

from collections.abc import Iterator

import mpmath
import numpy as np

from caffe_compat.arrays import FloatArray
from caffe_compat.label_noise.audit.findings import Finding, Subject
from caffe_compat.label_noise.audit.kernels import DTYPES, FLOAT32, FLOAT64, UNIT_ROUNDOFF, Harness

# What the header claims. Over all float32 numbers the worst are 1.115 and 1.968; float64 is the C library's.
_EXP_ULPS = {FLOAT32: 1.2, FLOAT64: 1.0}
_LOG_ULPS = {FLOAT32: 2.0, FLOAT64: 1.0}
WITNESS = "50 digits, in units in the last place"
# A term of the series too large or too small shows in the mean error, below the rounding errors of single numbers,
# where the series is longest. 3000 errors of at most 2 units: their mean strays by 0.02.
_LONGEST, _NUMBERS, _BIAS = (1.36, 1.414), 3000, 0.06


def numbers_to_try(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Exponents in one period of the range reduction and its borders; normal numbers of every magnitude."""
    half = np.log(2) / 2
    exponents = np.concatenate([np.linspace(-half, half, 400), rng.uniform(-half, half, 400)])
    positive = np.concatenate([np.linspace(0.5, 2, 900), np.exp(rng.uniform(-80, 80, 300)), [1.0]])
    return (each.astype(np.float32).astype(np.float64) for each in (exponents, positive))  # type: ignore[return-value]


class NumberExamination:
    """Of the harness of the header's formulas."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._exponents, self._positive = numbers_to_try(rng)
        with mpmath.workdps(50):
            self._exp = [mpmath.exp(mpmath.mpf(x)) for x in self._exponents]
            self._log = [mpmath.log(mpmath.mpf(x)) for x in self._positive]
            self._long = rng.uniform(*_LONGEST, _NUMBERS).astype(np.float32).astype(np.float64)
            self._log_long = [mpmath.log(mpmath.mpf(x)) for x in self._long]

    def __call__(self, harness: Harness) -> Iterator[Finding]:
        for dtype in DTYPES:
            subject = Subject(harness.name, dtype, "|x| <= ln 2 / 2")
            mantissa, exponent, _ = harness.exp_and_log(self._exponents, dtype)
            answers = [mpmath.mpf(m) * mpmath.mpf(2) ** int(e) for m, e in zip(mantissa, exponent, strict=True)]
            errors = _in_ulps(answers, self._exp, dtype)
            yield subject.compare("N1", WITNESS, np.abs(errors), 0, _EXP_ULPS[dtype])
            subject = Subject(harness.name, dtype, "normal numbers")
            errors = _in_ulps(list(harness.exp_and_log(self._positive, dtype)[2]), self._log, dtype)
            yield subject.compare("N2", WITNESS, np.abs(errors), 0, _LOG_ULPS[dtype])
            subject = Subject(harness.name, dtype, f"{_NUMBERS} numbers in {_LONGEST}")
            errors = _in_ulps(list(harness.exp_and_log(self._long, dtype)[2]), self._log_long, dtype)
            yield subject.compare("N2", "50 digits: no bias, in units in the last place", np.mean(errors), 0, _BIAS)


def _in_ulps(answers: list[mpmath.mpf], exact: list[mpmath.mpf], dtype: str) -> list[float]:
    """Errors, with their signs, in units in the last place of the exact value."""
    errors = []
    with mpmath.workdps(50):
        for answer, wanted in zip(answers, exact, strict=True):
            if not mpmath.isfinite(answer):
                errors.append(float("nan"))
                continue
            ulp = mpmath.mpf(2) ** (mpmath.frexp(wanted)[1]) * UNIT_ROUNDOFF[dtype] if wanted else mpmath.mpf(1)
            errors.append(float((mpmath.mpf(answer) - wanted) / ulp))
    return errors
