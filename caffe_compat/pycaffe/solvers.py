"""The solvers as pycaffe shows them. Source: python/caffe/_caffe.cpp, Solver::Step in src/caffe/solver.cpp."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from caffe_compat.proto.caffe_pb2 import SolverParameter
from caffe_compat.prototxt import read_solver
from caffe_compat.pycaffe.layerwise import LayerwiseNet
from caffe_compat.pycaffe.mode import current_device
from caffe_compat.pycaffe.net import Net
from caffe_compat.pycaffe.parallel import NCCL, place
from caffe_compat.solver import solver as training
from caffe_compat.solver.updater import Updater

PathLike = str | os.PathLike[str]
SolverSource = PathLike | SolverParameter
Callback = Callable[[], Any]


class _LayerwiseSolver(training.Solver):
    """Caffe's loop over nets whose blobs stay.

    Attributes:
        on_start: called before the passes of each iteration.  on_gradients_ready: after them, before the update.
    """

    net_class = LayerwiseNet
    net: LayerwiseNet
    test_nets: list[LayerwiseNet]  # type: ignore[assignment]

    def __init__(self, param: SolverParameter, path: str | None) -> None:
        super().__init__(param, path=path, device=current_device(), ranks=place())
        self._updater = _VisibleUpdater(self.net.learnable_params, self.param)
        self.on_start: list[Callback] = []
        self.on_gradients_ready: list[Callback] = []

    def apply_update(self) -> None:
        """Update the parameters from what is in their diffs; the iteration does not count on."""
        self.net.write_back_parameters()
        iteration = self.iter
        self._update(display=False)
        self.iter = iteration

    def _forward_backward(self) -> Tensor:
        for callback in self.on_start:
            callback()
        loss = super()._forward_backward()
        for callback in self.on_gradients_ready:
            callback()
        self.net.write_back_parameters()
        return loss

    def _share_loss(self) -> None:
        """An ``NCCL`` among the callbacks shares the gradients."""

    def _backward(self, loss: Tensor) -> None:
        self.net.run_backward(len(self.net.proto.layer) - 1)


class _VisibleUpdater(Updater):
    """Keeps the memory of the gradients and leaves in it what was subtracted from the parameters, as Caffe does."""

    def clear_gradients(self) -> None:
        for parameter in self.parameters:
            if parameter.grad is not None:
                parameter.grad.zero_()
        self._updates = []

    @torch.no_grad()
    def update(self, rate: float, iteration: int) -> None:
        super().update(rate, iteration)
        for parameter, update in self.diffs().items():
            if parameter.grad is not None:
                parameter.grad.copy_(update)


class Solver:
    """Trains the nets of a solver file, by the rule that its ``type`` names; ``get_solver`` makes one.

    Attributes:
        net: the train net.  test_nets: the test nets.  param: the solver's message.
    """

    type: ClassVar[str | None] = None  # the update rule, whatever the file says

    def __init__(self, solver_file: SolverSource) -> None:
        """Raises: CaffeCompatError for whatever is wrong with the solver, the nets or the data."""
        param, path = read_solver(solver_file)
        if self.type is not None:
            param.type = self.type
        self._solver = _LayerwiseSolver(param, path)
        self.net = Net.of(self._solver.net)
        self.test_nets = [Net.of(net) for net in self._solver.test_nets]

    @property
    def iter(self) -> int:
        """The number of updates done."""
        return self._solver.iter

    @property
    def param(self) -> SolverParameter:
        return self._solver.param

    def step(self, iterations: int) -> None:
        """Do ``iterations`` updates, with the tests, displays and snapshots that are due."""
        self._solver.step(iterations)

    def solve(self, resume_file: PathLike | None = None) -> None:
        """Train up to ``max_iter``, from a solver state if one is given."""
        self._solver.solve(resume_file)

    def restore(self, path: PathLike) -> None:
        """Go on from a solver state. Raises: WeightsError."""
        self._solver.restore(path)

    def snapshot(self) -> None:
        """Write the weights and the solver state."""
        self._solver.net.write_back_parameters()
        self._solver.snapshot()

    def apply_update(self) -> None:
        """Update the parameters from what is in their diffs."""
        self._solver.apply_update()

    def share_weights(self, net: Net) -> None:
        """Let ``net`` use the memory of the train net's parameters. Raises: WeightsError."""
        net.share_with(self.net)

    def add_callback(self, on_start: Callback | NCCL, on_gradients_ready: Callback | None = None) -> None:
        """Have two functions called in every iteration: before its passes, and between them and the update.

        Or have gradients shared with other solvers, given an ``NCCL`` alone.
        Raises: TypeError for one function alone.
        """
        if isinstance(on_start, NCCL):
            self._solver.on_gradients_ready.append(on_start.on_gradients_ready)
            return
        if on_gradients_ready is None:
            raise TypeError("add_callback: expected two functions, or an NCCL")
        self._solver.on_start.append(on_start)
        self._solver.on_gradients_ready.append(on_gradients_ready)


class SGDSolver(Solver):
    type = "SGD"


class NesterovSolver(Solver):
    type = "Nesterov"


class AdaGradSolver(Solver):
    type = "AdaGrad"


class RMSPropSolver(Solver):
    type = "RMSProp"


class AdaDeltaSolver(Solver):
    type = "AdaDelta"


class AdamSolver(Solver):
    type = "Adam"


_CLASSES: dict[str, type[Solver]] = {
    str(cls.type): cls for cls in (SGDSolver, NesterovSolver, AdaGradSolver, RMSPropSolver, AdaDeltaSolver, AdamSolver)
}


def get_solver(solver_file: SolverSource) -> Solver:
    """The solver of a file, of the class that its ``type`` names. Raises: CaffeCompatError."""
    param, _ = read_solver(solver_file)
    return _CLASSES.get(param.type, Solver)(solver_file)
