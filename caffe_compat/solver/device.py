"""CPU or GPU: what the command line and the solver ask for, and what there is."""

from __future__ import annotations

import logging

import torch

from caffe_compat.errors import CaffeCompatError
from caffe_compat.proto.caffe_pb2 import SolverParameter

log = logging.getLogger("caffe_compat")


def gpu_of_flag(flag: str) -> int | None:
    """The GPU that ``--gpu`` names, of several the first, as Caffe's test and time take it; None for an empty flag.

    Raises: CaffeCompatError if there is no such GPU.
    """
    numbers = gpus_of_flag(flag)
    return numbers[0] if numbers else None


def device_of_flag(flag: str) -> torch.device:
    """The GPU that ``--gpu`` names (``gpu_of_flag``), or the CPU for an empty flag."""
    gpu = gpu_of_flag(flag)
    return torch.device("cpu") if gpu is None else torch.device("cuda", gpu)


def gpus_of_flag(flag: str) -> list[int]:
    """All GPUs that ``--gpu`` names; none for an empty flag.

    Raises: CaffeCompatError if there is no such GPU, or one is named twice.
    """
    if not flag:
        return []
    count = torch.cuda.device_count()
    if not count:
        raise CaffeCompatError("no CUDA device can be used here (leave the flag out to use the CPU)", field="--gpu")
    numbers = list(range(count)) if flag == "all" else [_number(part, count) for part in flag.split(",")]
    if len(set(numbers)) < len(numbers):
        raise CaffeCompatError(f"a GPU is named twice: '{flag}'", field="--gpu")
    return numbers


def _number(text: str, count: int) -> int:
    if not text.strip().isdecimal() or int(text) >= count:
        raise CaffeCompatError(f"expected 'all' or numbers from 0 to {count - 1}, got '{text}'", field="--gpu")
    return int(text)


def device_of_solver(solver: SolverParameter) -> torch.device:
    """Where ``solver`` wants to run: a GPU only if its file says ``solver_mode: GPU`` and there is one.

    That the field's default is GPU does not count: a file that is silent means the CPU unless ``--gpu`` is given.
    """
    if not solver.HasField("solver_mode") or solver.solver_mode == SolverParameter.CPU:
        return torch.device("cpu")
    if solver.device_id < torch.cuda.device_count():
        return torch.device("cuda", solver.device_id)
    log.warning("solver_mode is GPU, but there is no CUDA device %d: training on the CPU", solver.device_id)
    return torch.device("cpu")
