"""The learning-rate policies against their formulas, and where Caffe's arithmetic or its checks show."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from google.protobuf import text_format

from caffe_compat.errors import PrototxtError
from caffe_compat.glog import number
from caffe_compat.proto.caffe_pb2 import SolverParameter
from caffe_compat.solver.learning_rate import advance_step, check_policy, learning_rate


def solver(text: str) -> SolverParameter:
    return text_format.Parse(text, SolverParameter())


def rates(text: str, count: int) -> list[float]:
    param, step, found = solver(text), 0, []
    check_policy(param)
    for iteration in range(count):
        step = advance_step(param, iteration, step)
        found.append(learning_rate(param, iteration, step))
    return found


@pytest.mark.parametrize(
    "text, formula",
    [
        ('lr_policy: "fixed"', lambda i: 0.3),
        ('lr_policy: "step" gamma: 0.2 stepsize: 3', lambda i: 0.3 * 0.2 ** (i // 3)),
        ('lr_policy: "exp" gamma: 0.8', lambda i: 0.3 * 0.8**i),
        ('lr_policy: "inv" gamma: 0.4 power: 0.7', lambda i: 0.3 * (1 + 0.4 * i) ** -0.7),
        ('lr_policy: "multistep" gamma: 0.5 stepvalue: 2 stepvalue: 7', lambda i: 0.3 * 0.5 ** ((i >= 2) + (i >= 7))),
        ('lr_policy: "poly" power: 1.5 max_iter: 12', lambda i: 0.3 * (1 - i / 12) ** 1.5),
        ('lr_policy: "sigmoid" gamma: 0.6 stepsize: 5', lambda i: 0.3 / (1 + math.exp(-0.6 * (i - 5)))),
    ],
)
def test_formula(text: str, formula: Callable[[int], float]) -> None:
    assert rates("base_lr: 0.3 " + text, 12) == pytest.approx([formula(i) for i in range(12)], rel=2e-6)


def test_rates_are_single_precision() -> None:
    """Double precision would print 0.077697 here; Caffe prints 0.0776969."""
    assert number(rates('base_lr: 0.1 lr_policy: "inv" gamma: 0.1 power: 0.75', 5)[4]) == "0.0776969"


def test_multistep_counts_one_step_an_iteration() -> None:
    param = solver('lr_policy: "multistep" stepvalue: 2 stepvalue: 2 stepvalue: 9')
    step, steps = 0, []
    for iteration in range(6):
        step = advance_step(param, iteration, step)
        steps.append(step)
    assert steps == [0, 0, 1, 2, 2, 2]
    assert advance_step(param, 50, 0) == 1  # resumed far beyond: it catches up one at a time


def test_step_counts_anew_whatever_was_stored() -> None:
    assert advance_step(solver('lr_policy: "step" stepsize: 4'), 9, 77) == 2


@pytest.mark.parametrize(
    "text, iteration, rate",
    [
        ('lr_policy: "step" gamma: 10 stepsize: 1', 400, math.inf),
        ('lr_policy: "step" gamma: 10 stepsize: 1', 39, math.inf),  # too large for a float32 alone
        ('lr_policy: "exp" gamma: 10', 400, math.inf),
        ('lr_policy: "exp" gamma: 0.1', 400, 0),
        ('lr_policy: "sigmoid" gamma: 1 stepsize: 400', 0, 0),  # of exp(400)
    ],
)
def test_numbers_out_of_range_are_those_of_c(text: str, iteration: int, rate: float) -> None:
    """inf or 0, and neither an OverflowError nor a warning of numpy's."""
    param = solver("base_lr: 1 " + text)
    assert learning_rate(param, iteration, advance_step(param, iteration, 0)) == rate


@pytest.mark.parametrize(
    "text, field, pattern",
    [
        ("", "lr_policy", 'Unknown learning rate policy: "".*known: fixed, step'),
        ('lr_policy: "Step"', "lr_policy", 'Unknown learning rate policy: "Step"'),
        ('lr_policy: "exp" gamma: -0.5', "gamma", "expected >= 0, got -0.5"),
        ('lr_policy: "step" gamma: -0.5 stepsize: 3', "gamma", "expected >= 0, got -0.5"),
        ('lr_policy: "inv" gamma: -0.5 power: 1', "gamma", "expected >= 0, got -0.5"),
        ('lr_policy: "multistep" gamma: -0.5 stepvalue: 3', "gamma", "expected >= 0, got -0.5"),
        ('lr_policy: "sigmoid" gamma: -0.5 stepsize: 3', "gamma", "expected >= 0, got -0.5"),
        ('lr_policy: "step" gamma: 0.5', "stepsize", "expected > 0, got 0"),
        ('lr_policy: "sigmoid" gamma: 0.5', "stepsize", "expected > 0, got 0"),
        ('lr_policy: "poly" power: 2', "max_iter", "expected > 0, got 0"),
    ],
)
def test_checks(text: str, field: str, pattern: str) -> None:
    with pytest.raises(PrototxtError, match=f"^s.prototxt: {field}: {pattern}") as caught:
        check_policy(solver(text), "s.prototxt")
    assert caught.value.field == field
