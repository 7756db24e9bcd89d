"""The steps from old formats to the current one, in Caffe's order, with Caffe's log lines."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt.upgrade import batch_norm, inputs, solver_type, transforms, v0, v1

log = logging.getLogger("caffe_compat")

Net = caffe_pb2.NetParameter


@dataclass(frozen=True)
class _Step:
    is_needed: Callable[[Net], bool]
    upgrade: Callable[[Net, str | None], None]  # in place
    attempting: str
    done: str
    note: str = ""


_STEPS = (
    _Step(
        v0.is_needed,
        v0.upgrade,
        "Attempting to upgrade input file specified using deprecated V0LayerParameter: %s",
        "Successfully upgraded file specified using deprecated V0LayerParameter",
        "Note that future Caffe releases will not support V0NetParameter; use ./build/tools/upgrade_net_proto_text for "
        "prototxt and ./build/tools/upgrade_net_proto_binary for model weights upgrade this and any other net protos "
        "to the new format.",
    ),
    _Step(
        transforms.is_needed,
        transforms.upgrade,
        "Attempting to upgrade input file specified using deprecated transformation parameters: %s",
        "Successfully upgraded file specified using deprecated data transformation parameters.",
        "Note that future Caffe releases will only support transform_param messages for transformation fields.",
    ),
    _Step(
        v1.is_needed,
        v1.upgrade,
        "Attempting to upgrade input file specified using deprecated V1LayerParameter: %s",
        "Successfully upgraded file specified using deprecated V1LayerParameter",
    ),
    _Step(
        inputs.is_needed,
        inputs.upgrade,
        "Attempting to upgrade input file specified using deprecated input fields: %s",
        "Successfully upgraded file specified using deprecated input fields.",
        "Note that future Caffe releases will only support input layers and not input fields.",
    ),
    _Step(
        batch_norm.is_needed,
        batch_norm.upgrade,
        "Attempting to upgrade batch norm layers using deprecated params: %s",
        "Successfully upgraded batch norm layers using deprecated params.",
    ),
)


def needs_upgrade(net: Net) -> bool:
    """Whether ``upgrade_net`` would change ``net``."""
    return any(step.is_needed(net) for step in _STEPS)


def upgrade_net(net: Net, path: str | None = None) -> Net:
    """A copy of ``net`` in the current format. ``path`` is for the log and the errors.

    Raises: PrototxtError for a net that mixes formats, or an old one that makes no sense.
    """
    upgraded = Net()
    upgraded.CopyFrom(net)
    for step in _STEPS:
        if step.is_needed(upgraded):
            log.info(step.attempting, path or "<message>")
            step.upgrade(upgraded, path)
            log.info(step.done)
            if step.note:
                log.warning(step.note)
    return upgraded


def solver_needs_upgrade(solver: caffe_pb2.SolverParameter) -> bool:
    """Whether ``upgrade_solver`` would change ``solver``."""
    return solver_type.is_needed(solver)


def upgrade_solver(solver: caffe_pb2.SolverParameter, path: str | None = None) -> caffe_pb2.SolverParameter:
    """A copy of ``solver`` whose ``solver_type`` (enum), if there is one, has become ``type`` (string).

    Raises: PrototxtError if both are given.
    """
    upgraded = caffe_pb2.SolverParameter()
    upgraded.CopyFrom(solver)
    if solver_type.is_needed(upgraded):
        log.info(
            "Attempting to upgrade input file specified using deprecated 'solver_type' field (enum)': %s",
            path or "<message>",
        )
        solver_type.upgrade(upgraded, path)
        log.info(
            "Successfully upgraded file specified using deprecated 'solver_type' field (enum) to 'type' field (string)."
        )
        log.warning("Note that future Caffe releases will only support 'type' field (string) for a solver's type.")
    return upgraded
