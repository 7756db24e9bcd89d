"""What pycaffe has for training on several GPUs: the solvers' count, this one's rank, and the sharing of gradients.

A script starts a process for each solver, tells each its place, and adds an ``NCCL`` to the callbacks of its solver, as
Caffe's python/train.py does. Over GPUs torch's NCCL carries the numbers, between CPUs Gloo.

Source: python/caffe/_caffe.cpp, src/caffe/parallel.cpp.
"""

from __future__ import annotations

import atexit
import os
import tempfile
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import distributed

from caffe_compat.errors import expected_got
from caffe_compat.pycaffe.mode import current_device
from caffe_compat.solver.ranks import PATIENCE, Ranks

if TYPE_CHECKING:
    from caffe_compat.pycaffe.solvers import Solver

_SEED = 0  # of reading orders that all solvers must agree on, where the solver file has no random_seed


_place = Ranks()


def place() -> Ranks:
    """Where ``set_solver_count`` and ``set_solver_rank`` have put this process; nothing is told, but for ``NCCL``."""
    return replace(_place, seed=_SEED if _place.count > 1 else None)


def has_nccl() -> bool:
    """Whether this torch can train with several processes."""
    return distributed.is_available()


def solver_count() -> int:
    """How many solvers train the net together."""
    return _place.count


def set_solver_count(val: int) -> None:
    """Of this many solvers each reads its part of the records. Before a solver is made. Raises: ValueError below 1."""
    if val < 1:
        raise ValueError(f"set_solver_count: {expected_got('>= 1', val)}")
    _place.count = val


def solver_rank() -> int:
    """Which of the solvers this process has; 0 is the root, which alone tests and takes snapshots."""
    return _place.rank


def set_solver_rank(val: int) -> None:
    """Before a solver is made. Raises: ValueError below 0."""
    if val < 0:
        raise ValueError(f"set_solver_rank: {expected_got('>= 0', val)}")
    _place.rank = val


def set_multiprocess(val: bool) -> None:
    """Nothing: solvers are in processes of their own, which is what True says."""


class NCCL:
    """Gives the solvers of several processes the mean of their gradients, as a callback of each.

    Args:
        solver: this process's.
        uid: from ``new_uid``, the same in all processes. All of them must be made before one goes on.
    Raises: ValueError if the rank is not below the count.
    """

    def __init__(self, solver: Solver, uid: str) -> None:
        rank, count = _place.rank, _place.count
        if rank >= count:
            raise ValueError(f"NCCL: {expected_got(f'a solver_rank below solver_count, {count}', rank)}")
        self._net, self._count = solver.net.layerwise, count
        backend = "nccl" if current_device().type == "cuda" else "gloo"
        distributed.init_process_group(backend, init_method=uid, rank=rank, world_size=count, timeout=PATIENCE)
        atexit.register(_leave)

    @staticmethod
    def new_uid() -> str:
        """The name of a new meeting of processes of this machine."""
        return f"file://{os.path.join(tempfile.gettempdir(), f'caffe_compat-{uuid.uuid4().hex}')}"

    def bcast(self) -> None:
        """Make the root's parameters everybody's."""
        self._net.write_back_parameters()
        for param in self._net.learnable_params:
            distributed.broadcast(param.parameter.data, src=0)

    def __call__(self, layer: int) -> None:
        """For ``net.after_backward``, where ``layer_wise_reduce`` shares early; here all are shared at once."""

    @torch.no_grad()
    def on_gradients_ready(self) -> None:
        """Replace this solver's gradients by the mean of all solvers'."""
        self._net.write_back_parameters()
        for param in self._net.learnable_params:
            if param.parameter.grad is None:
                param.parameter.grad = torch.zeros_like(param.parameter)
            distributed.all_reduce(param.parameter.grad)
            param.parameter.grad /= self._count


def _leave() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()
