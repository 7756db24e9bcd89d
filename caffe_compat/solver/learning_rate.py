"""Caffe's seven learning-rate policies, each a function of the iteration alone.

    fixed       base_lr
    step        base_lr * gamma ^ floor(iter / stepsize)
    exp         base_lr * gamma ^ iter
    inv         base_lr * (1 + gamma * iter) ^ -power
    multistep   base_lr * gamma ^ current_step, where current_step counts the stepvalues that have been reached
    poly        base_lr * (1 - iter / max_iter) ^ power
    sigmoid     base_lr / (1 + exp(-gamma * (iter - stepsize)))

``iter`` is the number of updates done before this one. Rates are float32 numbers, computed in the precision Caffe
computes them in: an integer exponent makes C++'s ``pow`` a double one, everything else is single.

Source: Caffe, src/caffe/solvers/sgd_solver.cpp (9b89154), ``GetLearningRate``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from caffe_compat.errors import PrototxtError, expected_got
from caffe_compat.proto.caffe_pb2 import SolverParameter

Policy = Callable[[SolverParameter, int, int], float | np.floating]


def learning_rate(solver: SolverParameter, iteration: int, current_step: int) -> float:
    """The rate of the update that follows ``iteration`` updates; a Python float that holds a float32 value.

    What is too large for a float32 is inf, in silence, as in C++.

    Args:
        current_step: what :func:`advance_step` gave for this iteration; used by ``step`` and ``multistep``.
    """
    with np.errstate(all="ignore"):
        return float(np.float32(_POLICIES[solver.lr_policy](solver, iteration, current_step)))


def advance_step(solver: SolverParameter, iteration: int, current_step: int) -> int:
    """The number of steps taken when the rate of ``iteration`` is asked for, given that of the iteration before.

    ``step`` counts anew every time. ``multistep`` rises by at most one an iteration, so a repeated stepvalue takes
    effect one iteration later. The other policies leave the count alone.
    """
    if solver.lr_policy == "step":
        return iteration // solver.stepsize
    if solver.lr_policy == "multistep" and current_step < len(solver.stepvalue):
        return current_step + (iteration >= solver.stepvalue[current_step])
    return current_step


def check_policy(solver: SolverParameter, path: str | None = None) -> None:
    """Raises: PrototxtError if the policy is unknown, or a number it uses is out of range."""
    policy = solver.lr_policy
    if policy not in _POLICIES:
        problem = f'Unknown learning rate policy: "{policy}"; known: {", ".join(_POLICIES)}'
        raise PrototxtError(problem, path=path, field="lr_policy")
    if policy in ("step", "exp", "inv", "multistep", "sigmoid") and solver.gamma < 0:
        raise PrototxtError(expected_got(">= 0", solver.gamma), path=path, field="gamma")
    if policy in ("step", "sigmoid") and solver.stepsize <= 0:
        raise PrototxtError(expected_got("> 0", solver.stepsize), path=path, field="stepsize")
    if policy == "poly" and solver.max_iter <= 0:
        raise PrototxtError(expected_got("> 0", solver.max_iter), path=path, field="max_iter")


def _fixed(solver: SolverParameter, iteration: int, current_step: int) -> float:
    return solver.base_lr


def _stepped(solver: SolverParameter, iteration: int, current_step: int) -> np.float64:
    return solver.base_lr * _pow(solver.gamma, current_step)


def _exp(solver: SolverParameter, iteration: int, current_step: int) -> np.float64:
    return solver.base_lr * _pow(solver.gamma, iteration)


def _pow(base: float, exponent: int) -> np.float64:
    """C++'s, which becomes inf where Python's raises OverflowError."""
    return np.float64(base) ** np.float64(exponent)


def _inv(solver: SolverParameter, iteration: int, current_step: int) -> np.float32:
    base = np.float32(1) + np.float32(solver.gamma) * np.float32(iteration)
    return np.float32(solver.base_lr) * base ** np.float32(-solver.power)


def _poly(solver: SolverParameter, iteration: int, current_step: int) -> np.float32:
    left = np.float32(1) - np.float32(iteration) / np.float32(solver.max_iter)
    return np.float32(solver.base_lr) * left ** np.float32(solver.power)


def _sigmoid(solver: SolverParameter, iteration: int, current_step: int) -> np.float32:
    exponent = np.float32(-solver.gamma) * (np.float32(iteration) - np.float32(solver.stepsize))
    return np.float32(solver.base_lr) * (np.float32(1) / (np.float32(1) + np.exp(exponent)))


_POLICIES: dict[str, Policy] = {
    "fixed": _fixed,
    "step": _stepped,
    "exp": _exp,
    "inv": _inv,
    "multistep": _stepped,
    "poly": _poly,
    "sigmoid": _sigmoid,
}
