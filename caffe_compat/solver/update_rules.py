"""The six update rules. Each turns gradients into what is subtracted from the weights, and moves the history on.

In the formulas g is the gradient (clipped, normalised, with weight decay), r the local rate, W the weights, h the
history. All rules take lists of tensors (one entry a parameter) and overwrite the gradients; the returned list holds
the updates and may be the gradients or the history themselves.

Unlike ``torch.optim.SGD``, Caffe keeps the rate inside the momentum: after the rate drops, the old, larger steps are
still in h. The two agree only while the rate never changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim.sgd import sgd as torch_sgd

from caffe_compat.errors import PrototxtError, expected_got
from caffe_compat.proto.caffe_pb2 import SolverParameter

Tensors = list[Tensor]


@dataclass(frozen=True)
class RuleInput:
    """What a rule works on.

    Attributes:
        gradients: g of each parameter; overwritten.
        history: the rule's history, one list for each of its moments, in the order of ``gradients``; updated in place.
        rate: r, the rate times the parameters' lr_mult.
        iteration: the number of updates done before this one.
        solver: the rule's own numbers: momentum, momentum2, rms_decay, delta.
    """

    gradients: Tensors
    history: list[Tensors]
    rate: float
    iteration: int
    solver: SolverParameter


def sgd(step: RuleInput) -> Tensors:
    """h = momentum h + r g;  W -= h.  Source: sgd_solver.cpp, ``ComputeUpdateValue``."""
    (velocity,) = step.history
    torch._foreach_mul_(velocity, step.solver.momentum)
    torch._foreach_add_(velocity, step.gradients, alpha=step.rate)
    return velocity


def update_in_one_pass(
    weights: Tensors, gradients: Tensors, velocity: Tensors, rate: float, decay: float, momentum: float
) -> None:
    """h = momentum h + rate (g + decay W);  W -= h: L2 decay, :func:`sgd` and the subtraction in one go over memory.

    torch's fused SGD does h = momentum h + (1 - dampening) (g + decay W);  W -= lr h. It needs a momentum above 0.
    """
    torch_sgd(
        weights, gradients, [*velocity], fused=True, weight_decay=decay, momentum=momentum,
        lr=1.0, dampening=1 - rate, nesterov=False, maximize=False,
    )  # fmt: skip


def nesterov(step: RuleInput) -> Tensors:
    """h' = momentum h + r g;  W -= (1 + momentum) h' - momentum h, which is r g + momentum h'.

    Source: nesterov_solver.cpp.
    """
    velocity = sgd(step)
    torch._foreach_mul_(step.gradients, step.rate)
    torch._foreach_add_(step.gradients, velocity, alpha=step.solver.momentum)
    return step.gradients


def adagrad(step: RuleInput) -> Tensors:
    """h += g^2;  W -= r g / (sqrt(h) + delta).  Source: adagrad_solver.cpp."""
    (squares,) = step.history
    torch._foreach_addcmul_(squares, step.gradients, step.gradients)
    return _divided_by_root(step, squares, step.rate)


def rmsprop(step: RuleInput) -> Tensors:
    """h = rms_decay h + (1 - rms_decay) g^2;  W -= r g / (sqrt(h) + delta).  Source: rmsprop_solver.cpp."""
    (squares,) = step.history
    _move_towards_square(squares, step.gradients, step.solver.rms_decay)
    return _divided_by_root(step, squares, step.rate)


def adadelta(step: RuleInput) -> Tensors:
    """h1 = momentum h1 + (1 - momentum) g^2;  u = g sqrt((h2 + delta) / (h1 + delta));

    h2 = momentum h2 + (1 - momentum) u^2;  W -= r u.  Source: adadelta_solver.cpp.
    """
    squares, squared_updates = step.history
    delta, momentum = step.solver.delta, step.solver.momentum
    _move_towards_square(squares, step.gradients, momentum)
    ratio = torch._foreach_add(squared_updates, delta)
    torch._foreach_div_(ratio, torch._foreach_add(squares, delta))
    torch._foreach_sqrt_(ratio)
    torch._foreach_mul_(step.gradients, ratio)
    _move_towards_square(squared_updates, step.gradients, momentum)
    torch._foreach_mul_(step.gradients, step.rate)
    return step.gradients


def adam(step: RuleInput) -> Tensors:
    """t = iter + 1;  h1 = momentum h1 + (1 - momentum) g;  h2 = momentum2 h2 + (1 - momentum2) g^2;

    W -= r sqrt(1 - momentum2^t) / (1 - momentum^t) h1 / (sqrt(h2) + delta).  Source: adam_solver.cpp.
    """
    means, squares = step.history
    beta1, beta2, t = step.solver.momentum, step.solver.momentum2, step.iteration + 1
    torch._foreach_mul_(means, beta1)
    torch._foreach_add_(means, step.gradients, alpha=1 - beta1)
    _move_towards_square(squares, step.gradients, beta2)
    torch._foreach_copy_(step.gradients, means)
    return _divided_by_root(step, squares, step.rate * math.sqrt(1 - beta2**t) / (1 - beta1**t))


def _move_towards_square(average: Tensors, values: Tensors, decay: float) -> None:
    torch._foreach_mul_(average, decay)
    torch._foreach_addcmul_(average, values, values, value=1 - decay)


def _divided_by_root(step: RuleInput, squares: Tensors, rate: float) -> Tensors:
    """gradients <- rate gradients / (sqrt(squares) + delta)"""
    root = torch._foreach_sqrt(squares)
    torch._foreach_add_(root, step.solver.delta)
    torch._foreach_mul_(step.gradients, rate)
    torch._foreach_div_(step.gradients, root)
    return step.gradients


@dataclass(frozen=True)
class Rule:
    """An update rule and the number of history blobs it keeps for each parameter."""

    compute: Callable[[RuleInput], Tensors]
    moments: int = 1


RULES = {
    "SGD": Rule(sgd),
    "Nesterov": Rule(nesterov),
    "AdaGrad": Rule(adagrad),
    "RMSProp": Rule(rmsprop),
    "AdaDelta": Rule(adadelta, moments=2),
    "Adam": Rule(adam, moments=2),
}


def find_rule(solver: SolverParameter, path: str | None = None) -> Rule:
    """The rule of ``solver.type``.

    Raises: PrototxtError if there is none, or if the solver gives it a number it cannot take.
    """
    if solver.type not in RULES:
        known = ", ".join(sorted(RULES))
        raise PrototxtError(f"Unknown solver type: {solver.type} (known types: {known})", path=path, field="type")
    if solver.type in ("AdaGrad", "RMSProp") and solver.momentum != 0:
        problem = f"Momentum cannot be used with {solver.type}: {expected_got(0, solver.momentum)}"
        raise PrototxtError(problem, path=path, field="momentum")
    if solver.type == "RMSProp" and not 0 <= solver.rms_decay < 1:
        raise PrototxtError(expected_got("0 <= rms_decay < 1", solver.rms_decay), path=path, field="rms_decay")
    return RULES[solver.type]
