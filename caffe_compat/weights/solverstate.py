"""``.solverstate`` files: where training was, apart from the weights."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from caffe_compat.errors import WeightsError
from caffe_compat.files import atomic_path
from caffe_compat.proto import caffe_pb2
from caffe_compat.weights.binary import parse_file
from caffe_compat.weights.blobs import Array, read_blob, write_blob


@dataclass(frozen=True)
class SolverState:
    """What a solver needs to go on.

    Attributes:
        iteration: updates done.
        history: the update rule's memory, one array a learnable parameter (two for Adam and AdaDelta), in Caffe's
            order. Legacy files give four dims each: compare sizes, not shapes.
        learned_net: the ``.caffemodel`` written with it, as its writer named it (relative to the current directory).
        current_step: how many ``stepvalue`` of the multistep policy are behind.
    """

    iteration: int
    history: Sequence[Array]
    learned_net: str = ""
    current_step: int = 0


def read_solverstate(path: str | os.PathLike[str]) -> SolverState:
    """Raises: WeightsError naming the file if it is missing, cut short or something else."""
    stored = parse_file(path, caffe_pb2.SolverState())
    if not stored.HasField("iter"):
        raise WeightsError("not a solver state: no iteration in it", path=os.fspath(path))
    try:
        history = [read_blob(blob) for blob in stored.history]
    except WeightsError as exc:
        raise WeightsError(f"history: {exc.problem}", path=os.fspath(path)) from exc
    return SolverState(stored.iter, history, stored.learned_net, stored.current_step)


def write_solverstate(path: str | os.PathLike[str], state: SolverState) -> None:
    """Write ``state`` as Caffe does, history as float32. Source: SGDSolver::SnapshotSolverStateToBinaryProto."""
    stored = caffe_pb2.SolverState(
        iter=state.iteration,
        learned_net=state.learned_net,
        history=[write_blob(array) for array in state.history],
        current_step=state.current_step,
    )
    with atomic_path(path) as part:
        part.write_bytes(stored.SerializeToString())
