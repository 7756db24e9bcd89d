"""Which nets a solver trains and tests: pure functions from its message to net descriptions."""

from __future__ import annotations

from dataclasses import dataclass

from caffe_compat.errors import PrototxtError, expected_got
from caffe_compat.proto import caffe_pb2
from caffe_compat.proto.caffe_pb2 import NetParameter, NetState, Phase, SolverParameter
from caffe_compat.prototxt import read_net

TRAIN_NET_FIELDS = ("net", "net_param", "train_net", "train_net_param")


@dataclass(frozen=True)
class NetDescription:
    """A net to be built.

    Attributes:
        net: the message; its ``state`` is final (phase, then the net's own state, then the solver's for it).
        path: the file it was read from, or None.
        source: how Caffe's log calls where it comes from: ``net file: train_val.prototxt``, ``test_net_param``.
    """

    net: NetParameter
    path: str | None
    source: str


def describe_train_net(solver: SolverParameter, path: str | None = None) -> NetDescription:
    """The one train net.

    Raises: PrototxtError unless exactly one field names it; whatever is wrong with its file.
    """
    given = [field for field in TRAIN_NET_FIELDS if solver.HasField(field)]
    if len(given) != 1:
        wanted = f"exactly one of {', '.join(TRAIN_NET_FIELDS)}, for the train net"
        raise PrototxtError(expected_got(wanted, " and ".join(given) or "none"), path=path)
    return _describe(given[0], getattr(solver, given[0]), caffe_pb2.TRAIN, solver.train_state)


def describe_test_nets(solver: SolverParameter, path: str | None = None) -> list[NetDescription]:
    """The test nets: every test_net_param, then every test_net file, then net_param or net for each test_iter left.

    Raises: PrototxtError if test_iter, test_state or test_interval do not go with their number.
    """
    named: list[tuple[str, str | NetParameter]] = [("test_net_param", net) for net in solver.test_net_param]
    named += [("test_net", net) for net in solver.test_net]
    generic = [(field, getattr(solver, field)) for field in ("net_param", "net") if solver.HasField(field)]
    _check_test_fields(solver, len(named), bool(generic), path)
    sources = named + generic * (len(solver.test_iter) - len(named))
    states = list(solver.test_state) or [NetState()] * len(sources)
    return [_describe(field, net, caffe_pb2.TEST, state) for (field, net), state in zip(sources, states, strict=True)]


def _check_test_fields(solver: SolverParameter, named: int, generic: bool, path: str | None) -> None:
    counts = len(solver.test_iter)
    if counts < named or (counts > named and not generic):
        wanted = f"test_iter once for each test net ({named}{' or more' if generic else ''})"
        raise PrototxtError(expected_got(wanted, counts), path=path, field="test_iter")
    for iterations in solver.test_iter:
        if iterations <= 0:
            raise PrototxtError(expected_got("> 0", iterations), path=path, field="test_iter")
    if solver.test_state and len(solver.test_state) != counts:
        wanted = f"no test_state, or one for each test net ({counts})"
        raise PrototxtError(expected_got(wanted, len(solver.test_state)), path=path, field="test_state")
    if counts and solver.test_interval <= 0:
        raise PrototxtError(expected_got("> 0", solver.test_interval), path=path, field="test_interval")


def _describe(field: str, source: str | NetParameter, phase: Phase, solver_state: NetState) -> NetDescription:
    net, path = read_net(source)
    state = NetState(phase=phase)
    state.MergeFrom(net.state)
    state.MergeFrom(solver_state)
    net.state.CopyFrom(state)
    return NetDescription(net, path, f"{field} file: {path}" if path else field)
