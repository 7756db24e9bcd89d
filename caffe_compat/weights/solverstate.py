"""``.solverstate`` and ``.solverstate.h5`` files: where training was, apart from the weights."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from caffe_compat.errors import WeightsError
from caffe_compat.proto import caffe_pb2
from caffe_compat.weights.binary import is_hdf5, read_message, write_message
from caffe_compat.weights.blobs import Array, blob_chunks, owned, view_stored_blob
from caffe_compat.weights.hdf5 import read_hdf5_state, write_hdf5_state


@dataclass(frozen=True)
class SolverState:
    """What a solver needs to go on.

    Attributes:
        iteration: updates done.
        history: the update rule's memory, one array a learnable parameter (two for Adam and AdaDelta), in Caffe's
            order. Legacy files give four dims each: compare sizes, not shapes.
        learned_net: the weights file written with it, as its writer named it (relative to the current directory).
        current_step: how many ``stepvalue`` of the multistep policy are behind.
    """

    iteration: int
    history: Sequence[Array]
    learned_net: str = ""
    current_step: int = 0


def read_solverstate(path: str | os.PathLike[str]) -> SolverState:
    """Raises: WeightsError naming the file if it is missing, cut short or something else."""
    if is_hdf5(path):
        iteration, learned_net, current_step, history = read_hdf5_state(path)
        return SolverState(iteration, history, learned_net, current_step)
    stored = caffe_pb2.SolverState()
    blobs = read_message(path, stored)
    if not stored.HasField("iter"):
        raise WeightsError("not a solver state: no iteration in it", path=os.fspath(path))
    try:
        history = [owned(view_stored_blob(blobs[blob.cut_index]).array) for blob in stored.history]
    except WeightsError as exc:
        raise WeightsError(f"history: {exc.problem}", path=os.fspath(path)) from exc
    return SolverState(stored.iter, history, stored.learned_net, stored.current_step)


def write_solverstate(path: str | os.PathLike[str], state: SolverState) -> None:
    """Write ``state`` as Caffe does, history as float32; HDF5 if the name ends in ``.h5``.

    Raises: WeightsError for a history of more than 2 GiB, which only HDF5 holds.
    Source: SGDSolver::SnapshotSolverStateToBinaryProto, src/caffe/solvers/sgd_solver.cpp.
    """
    if os.fspath(path).endswith(".h5"):
        write_hdf5_state(path, state.iteration, state.learned_net, state.current_step, state.history)
        return
    stored = caffe_pb2.SolverState(
        iter=state.iteration,
        learned_net=state.learned_net,
        history=[caffe_pb2.BlobProto(cut_index=index) for index in range(len(state.history))],
        current_step=state.current_step,
    )
    write_message(path, stored, [blob_chunks(array) for array in state.history])
