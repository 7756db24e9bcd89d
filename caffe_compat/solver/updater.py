"""One update of a net's parameters: clip, normalise, regularise, then the rule, in Caffe's order."""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from caffe_compat.glog import number
from caffe_compat.net.sharing import LearnableParam
from caffe_compat.proto.caffe_pb2 import SolverParameter
from caffe_compat.solver.update_rules import RuleInput, Tensors, find_rule, update_in_one_pass

log = logging.getLogger("caffe_compat")


@dataclass(frozen=True)
class _Group:
    """The parameters that share their multipliers, by position; one call serves them all."""

    lr_mult: float
    decay_mult: float
    positions: list[int]

    def of(self, tensors: Sequence[Tensor]) -> Tensors:
        return [tensors[position] for position in self.positions]


class Updater:
    """The learnable parameters, their history, and the update.

    Attributes:
        parameters: the parameters, in the net's order.
        history: Caffe's history blobs: the first moments of all parameters in the net's order, then, for Adam and
            AdaDelta, the second moments.
    """

    def __init__(self, params: Sequence[LearnableParam], solver: SolverParameter) -> None:
        self._solver = solver
        self._rule = find_rule(solver)
        self.parameters = [param.parameter for param in params]
        self._groups = _group(params)
        self.history = [torch.zeros_like(w, requires_grad=False) for w in self.parameters * self._rule.moments]
        self._moment_starts = range(0, len(self.history), max(1, len(params)))
        self._in_one_pass = solver.type == "SGD" and solver.momentum > 0 and solver.regularization_type == "L2"
        self._updates: Tensors = []

    def clear_gradients(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None
        self._updates = []

    def diffs(self) -> dict[Tensor, Tensor]:
        """What the last update subtracted, by parameter; empty before the first and after ``clear_gradients``."""
        return dict(zip(self.parameters, self._updates, strict=False))

    @torch.no_grad()
    def update(self, rate: float, iteration: int) -> None:
        """W -= update, from the gradients that ``iter_size`` backward passes have summed up in ``parameter.grad``.

        A parameter that no gradient reached counts as having the gradient zero, as in Caffe: it still decays, and it
        still moves by what is left in its history.
        """
        gradients = [_gradient_laid_out_as(weight) for weight in self.parameters]
        self._clip(gradients)
        self._normalise(gradients)
        self._updates = list(gradients)
        for group in self._groups:
            updates = self._apply(group, gradients, rate * group.lr_mult, iteration)
            for position, update in zip(group.positions, updates, strict=True):
                self._updates[position] = update

    def _apply(self, group: _Group, gradients: Tensors, rate: float, iteration: int) -> Tensors:
        """Regularise, compute, subtract; returns what was subtracted."""
        weights, gradients = group.of(self.parameters), group.of(gradients)
        moments = [group.of(self.history[start:]) for start in self._moment_starts]
        decay = self._solver.weight_decay * group.decay_mult
        if self._in_one_pass and all(h.stride() == w.stride() for h, w in zip(moments[0], weights, strict=True)):
            update_in_one_pass(weights, gradients, moments[0], rate, decay, self._solver.momentum)
            return moments[0]
        self._regularise(gradients, weights, decay)
        updates = self._rule.compute(RuleInput(gradients, moments, rate, iteration, self._solver))
        torch._foreach_sub_(weights, updates)
        return updates

    def _clip(self, gradients: Tensors) -> None:
        """Scale all gradients, as summed and before decay, so that their common L2 norm is at most clip_gradients."""
        limit = self._solver.clip_gradients
        if limit < 0:
            return
        norm = math.sqrt(sum(float(part) ** 2 for part in torch._foreach_norm(gradients)))
        if norm > limit:
            log.info("Gradient clipping: scaling down gradients (L2 norm %s > %s) by scale factor %s",
                     number(norm), number(limit), number(limit / norm))  # fmt: skip
            torch._foreach_mul_(gradients, limit / norm)

    def _normalise(self, gradients: Tensors) -> None:
        if self._solver.iter_size != 1:
            torch._foreach_mul_(gradients, 1 / self._solver.iter_size)

    def _regularise(self, gradients: Tensors, weights: Tensors, decay: float) -> None:
        if decay:
            penalty = weights if self._solver.regularization_type == "L2" else torch._foreach_sign(weights)
            torch._foreach_add_(gradients, penalty, alpha=decay)


def _gradient_laid_out_as(weight: Tensor) -> Tensor:
    """The gradient, zeros where there is none; its numbers in the order of the weight's in memory, as torch's fused
    SGD takes for granted.
    """
    if weight.grad is None:
        return torch.zeros_like(weight)
    if weight.grad.stride() == weight.stride():
        return weight.grad
    return torch.empty_like(weight).copy_(weight.grad)


def _group(params: Sequence[LearnableParam]) -> list[_Group]:
    positions: dict[tuple[float, float], list[int]] = defaultdict(list)
    for position, param in enumerate(params):
        positions[param.lr_mult, param.decay_mult].append(position)
    return [_Group(lr_mult, decay_mult, where) for (lr_mult, decay_mult), where in positions.items()]
