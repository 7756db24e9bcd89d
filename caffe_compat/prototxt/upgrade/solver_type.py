"""``solver_type: NESTEROV`` (enum) becomes ``type: "Nesterov"`` (string)."""

from __future__ import annotations

from caffe_compat.errors import PrototxtError
from caffe_compat.proto import caffe_pb2

_TYPES = {
    caffe_pb2.SolverParameter.SGD: "SGD",
    caffe_pb2.SolverParameter.NESTEROV: "Nesterov",
    caffe_pb2.SolverParameter.ADAGRAD: "AdaGrad",
    caffe_pb2.SolverParameter.RMSPROP: "RMSProp",
    caffe_pb2.SolverParameter.ADADELTA: "AdaDelta",
    caffe_pb2.SolverParameter.ADAM: "Adam",
}


def is_needed(solver: caffe_pb2.SolverParameter) -> bool:
    return solver.HasField("solver_type")


def upgrade(solver: caffe_pb2.SolverParameter, path: str | None) -> None:
    if solver.HasField("type"):
        raise PrototxtError(
            "old solver_type field (enum) and new type field (string) cannot be both specified in solver proto text",
            path=path,
            field="solver_type",
        )
    solver.type = _TYPES[solver.solver_type]
    solver.ClearField("solver_type")
