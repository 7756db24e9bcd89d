"""Where snapshots go: their names, and whether they can be written there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from caffe_compat.errors import PrototxtError
from caffe_compat.proto.caffe_pb2 import SolverParameter


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
