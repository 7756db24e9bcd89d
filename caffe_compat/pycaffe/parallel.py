"""What pycaffe has for training on several GPUs: there is one solver here, and everything else is refused.

Source: python/caffe/_caffe.cpp, python/train.py.
"""

from __future__ import annotations

from typing import NoReturn

_ONE_SOLVER = "training on several GPUs at once is not supported: there is one solver"


def has_nccl() -> bool:
    """False."""
    return False


def solver_count() -> int:
    """1."""
    return 1


def set_solver_count(val: int) -> None:
    """Raises: RuntimeError for more than one solver."""
    _refuse_unless(val == 1, f"set_solver_count({val})")


def solver_rank() -> int:
    """0."""
    return 0


def set_solver_rank(val: int) -> None:
    """Raises: RuntimeError for any rank but 0."""
    _refuse_unless(val == 0, f"set_solver_rank({val})")


def set_multiprocess(val: bool) -> None:
    """Raises: RuntimeError for True."""
    _refuse_unless(not val, f"set_multiprocess({val})")


class NCCL:
    """In Caffe: what solvers of several processes exchange gradients by.

    Raises: RuntimeError when made or asked for an id.
    """

    def __init__(self, solver: object, uid: str) -> None:
        _refuse("NCCL")

    @staticmethod
    def new_uid() -> NoReturn:
        _refuse("NCCL.new_uid()")


def _refuse_unless(is_single: bool, call: str) -> None:
    if not is_single:
        _refuse(call)


def _refuse(call: str) -> NoReturn:
    raise RuntimeError(f"{call}: {_ONE_SOLVER}")
