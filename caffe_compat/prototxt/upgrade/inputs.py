"""Net-level ``input``, ``input_shape`` and ``input_dim`` become one Input layer named "input", placed first."""

from __future__ import annotations

from caffe_compat.errors import PrototxtError, expected_got
from caffe_compat.proto import caffe_pb2

_FIELDS = ("input", "input_shape", "input_dim")


def is_needed(net: caffe_pb2.NetParameter) -> bool:
    return len(net.input) > 0


def upgrade(net: caffe_pb2.NetParameter, path: str | None) -> None:
    """Inputs without any shape (old weights files have them) are only dropped.

    Raises: PrototxtError if there are not as many shapes, or four times as many dims, as inputs.
    """
    if net.input_shape or net.input_dim:
        layer = caffe_pb2.LayerParameter(name="input", type="Input", top=net.input)
        layer.input_param.shape.extend(_shapes(net, path))
        layers = [layer, *net.layer]
        del net.layer[:]
        net.layer.extend(layers)
    for field in _FIELDS:
        net.ClearField(field)


def _shapes(net: caffe_pb2.NetParameter, path: str | None) -> list[caffe_pb2.BlobShape]:
    count = len(net.input)
    if net.input_shape:
        if len(net.input_shape) != count:
            problem = expected_got(f"{count} shape(s), one an input", len(net.input_shape))
            raise PrototxtError(problem, path=path, field="input_shape")
        return list(net.input_shape)
    if len(net.input_dim) != 4 * count:
        problem = expected_got(f"{4 * count} dims, four an input", len(net.input_dim))
        raise PrototxtError(problem, path=path, field="input_dim")
    return [caffe_pb2.BlobShape(dim=net.input_dim[4 * i : 4 * i + 4]) for i in range(count)]
