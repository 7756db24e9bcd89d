"""The checks of a solver's numbers and words, all made before anything is built."""

from __future__ import annotations

from caffe_compat.errors import PrototxtError, expected_got
from caffe_compat.proto.caffe_pb2 import SolverParameter
from caffe_compat.solver.learning_rate import check_policy
from caffe_compat.solver.update_rules import find_rule

_LEAST = {
    "average_loss": 1, "iter_size": 1, "display": 0, "test_interval": 0, "snapshot": 0, "max_iter": 0, "device_id": 0,
}  # fmt: skip


def check_options(solver: SolverParameter, path: str | None = None) -> None:
    """Raises: PrototxtError about the first field with a value that makes no sense.

    What concerns the nets (``net``, ``test_iter`` ...) is checked where they are described.
    """
    check_policy(solver, path)
    find_rule(solver, path)
    if solver.regularization_type not in ("L1", "L2"):
        problem = f"Unknown regularization type: {solver.regularization_type}; known: L1, L2"
        raise PrototxtError(problem, path=path, field="regularization_type")
    for field, least in _LEAST.items():
        if getattr(solver, field) < least:
            raise PrototxtError(expected_got(f">= {least}", getattr(solver, field)), path=path, field=field)
