"""Where snapshots go and where they are: their names, and whether they can be written there."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path

from caffe_compat.errors import PrototxtError, WeightsError
from caffe_compat.proto.caffe_pb2 import SolverParameter

log = logging.getLogger("caffe_compat")


def snapshot_prefix(solver: SolverParameter, path: str | None) -> str:
    """What snapshot names start with: ``snapshot_prefix``; a folder there gets the solver file's stem added, and
    without one the prefix is the solver file without its suffix; "" if there is neither.

    Source: UpgradeSnapshotPrefixProperty, src/caffe/util/upgrade_proto.cpp.
    """
    if not solver.snapshot_prefix:
        return str(Path(path).with_suffix("")) if path else ""
    if path and os.path.isdir(solver.snapshot_prefix):
        return os.path.join(solver.snapshot_prefix, Path(path).stem)
    return solver.snapshot_prefix


def snapshot_files(solver: SolverParameter, iteration: int) -> tuple[str, str]:
    """The names of the weights and of the solver state of a snapshot. Source: Solver::SnapshotFilename."""
    stem = f"{solver.snapshot_prefix}_iter_{iteration}"
    suffix = ".h5" if solver.snapshot_format == SolverParameter.HDF5 else ""
    return f"{stem}.caffemodel{suffix}", f"{stem}.solverstate{suffix}"


def find_learned_net(learned_net: str, state: str | os.PathLike[str]) -> str:
    """Where the weights that a solver state names are: there, or else, moved along with it, beside it.

    Raises: WeightsError if they are in neither place.
    """
    if os.path.exists(learned_net):
        return learned_net
    beside = os.path.join(os.path.dirname(state), os.path.basename(learned_net))
    if not os.path.exists(beside):
        also = "" if os.path.normpath(beside) == os.path.normpath(learned_net) else f", nor is {beside}"
        raise WeightsError(f"no such file{also}; {os.fspath(state)} names it", path=learned_net)
    log.warning("%s: the weights it names, %s, are not there; taking %s", os.fspath(state), learned_net, beside)
    return beside


def check_writable(prefix: str, path: str | None) -> None:
    """Raises: PrototxtError if a file whose name starts with ``prefix`` cannot be written."""
    if not prefix:
        raise PrototxtError("snapshots are asked for, but not where", path=path, field="snapshot_prefix")
    try:
        with tempfile.TemporaryFile(dir=os.path.dirname(prefix) or "."):
            pass
    except OSError as exc:
        problem = f"Cannot write to snapshot prefix '{prefix}'.  Make sure that the directory exists and is writeable."
        raise PrototxtError(problem, path=path, field="snapshot_prefix") from exc
