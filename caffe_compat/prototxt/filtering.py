"""Which layers of a net are in it, by phase, level and stage."""

from __future__ import annotations

import logging

from caffe_compat.errors import PrototxtError
from caffe_compat.proto import caffe_pb2

log = logging.getLogger("caffe_compat")


def filter_net(
    net: caffe_pb2.NetParameter, state: caffe_pb2.NetState, path: str | None = None
) -> caffe_pb2.NetParameter:
    """The net without the layers that ``state`` leaves out; its ``state`` field becomes ``state``.

    A layer with ``include`` rules is in if any of them is met, one with ``exclude`` rules is in if none is, and one
    without rules always is. Each rule that is not met is logged, as Caffe does.
    Raises: PrototxtError for a layer with both kinds of rules.
    Source: Net::FilterNet, src/caffe/net.cpp.
    """
    kept = caffe_pb2.NetParameter()
    kept.CopyFrom(net)
    del kept.layer[:]
    kept.state.CopyFrom(state)
    kept.layer.extend(layer for layer in net.layer if _is_included(layer, state, path))
    return kept


def _is_included(layer: caffe_pb2.LayerParameter, state: caffe_pb2.NetState, path: str | None) -> bool:
    if layer.include and layer.exclude:
        raise PrototxtError(
            "specify either include rules or exclude rules, not both",
            path=path,
            layer=layer.name,
            layer_type=layer.type,
            field="include",
        )
    if layer.include:
        return any(_is_met(rule, state, layer.name) for rule in layer.include)
    return not any(_is_met(rule, state, layer.name) for rule in layer.exclude)


def _is_met(rule: caffe_pb2.NetStateRule, state: caffe_pb2.NetState, layer_name: str) -> bool:
    obstacle = _obstacle(rule, state)
    if obstacle:
        log.info("The NetState %s specified by a rule in layer %s", obstacle, layer_name)
    return obstacle is None


def _obstacle(rule: caffe_pb2.NetStateRule, state: caffe_pb2.NetState) -> str | None:
    """Why ``state`` does not meet ``rule``, in Caffe's words (it says "above" for both ends), or None if it does."""
    if rule.HasField("phase") and rule.phase != state.phase:
        return f"phase ({state.phase}) differed from the phase ({rule.phase})"
    if rule.HasField("min_level") and state.level < rule.min_level:
        return f"level ({state.level}) is above the min_level ({rule.min_level})"
    if rule.HasField("max_level") and state.level > rule.max_level:
        return f"level ({state.level}) is above the max_level ({rule.max_level})"
    for stage in rule.stage:
        if stage not in state.stage:
            return f"did not contain stage '{stage}'"
    for stage in rule.not_stage:
        if stage in state.stage:
            return f"contained a not_stage '{stage}'"
    return None
