"""Nets written in Python: ``layers`` (L), ``params`` (P), ``NetSpec`` and ``to_proto``.

    n = NetSpec()
    n.data, n.label = L.Data(batch_size=64, backend=P.Data.LMDB, source="train_lmdb", ntop=2)
    n.ip = L.InnerProduct(n.data, num_output=10, weight_filler=dict(type="xavier"))
    n.loss = L.SoftmaxWithLoss(n.ip, n.label)
    n.to_proto()

Source: python/caffe/net_spec.py, whose names of layers and blobs these are.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.message import Message

from caffe_compat.errors import expected_got
from caffe_compat.proto import caffe_pb2


class Top:
    """One top of a function: what ``NetSpec`` names and other functions take as bottoms."""

    def __init__(self, fn: Function, n: int) -> None:
        self.fn, self.n = fn, n

    def to_proto(self) -> caffe_pb2.NetParameter:
        """The net that makes this top."""
        return to_proto(self)


class Function:
    """A layer: its type, its bottoms, its options.

    Attributes:
        type_name, inputs, params: the type string, the bottoms (Tops), the options by field name.
        ntop, in_place, tops: ``ntop=``, ``in_place=``, and the tops.
    """

    def __init__(self, type_name: str, inputs: tuple[Top, ...], params: Mapping[str, Any]) -> None:
        for index, one in enumerate(inputs):
            if not isinstance(one, Top):
                raise TypeError(f"{type_name} input {index}: {expected_got('a Top', type(one).__name__)}")
        self.type_name, self.inputs, self.params = type_name, inputs, dict(params)
        self.ntop: int = self.params.pop("ntop", 1)
        self.in_place: bool = self.params.pop("in_place", False)
        self.tops = tuple(Top(self, n) for n in range(self.ntop))


Named = Top | Function  # a layer without tops is named itself


class NetSpec:
    """Tops by name, as attributes or items, in the order in which they are set; they name blobs and layers."""

    tops: OrderedDict[str, Named]

    def __init__(self) -> None:
        super().__setattr__("tops", OrderedDict())

    def __setattr__(self, name: str, value: Named) -> None:
        self.tops[name] = value

    def __getattr__(self, name: str) -> Named:
        try:
            return self.tops[name]
        except KeyError:
            raise AttributeError(f"no top {name!r}; there are {', '.join(self.tops)}") from None

    def __delattr__(self, name: str) -> None:
        del self.tops[name]

    __setitem__ = __setattr__
    __delitem__ = __delattr__

    def __getitem__(self, name: str) -> Named:
        return self.tops[name]

    def to_proto(self) -> caffe_pb2.NetParameter:
        """Raises: AttributeError or TypeError for an option that the layer's message does not have or take."""
        names = {top: name for name, top in self.tops.items()}
        return _Writer(names).write(self.tops.values())


def to_proto(*tops: Named) -> caffe_pb2.NetParameter:
    """The net that makes ``tops``; its layers and blobs are called by type and number."""
    return _Writer({}).write(tops)


class _Writer:
    """Writes functions as layers, each after those that make its bottoms."""

    def __init__(self, names: dict[Named, str]) -> None:
        self._names = names
        self._counts: Counter[str] = Counter()
        self._layers: OrderedDict[Function, caffe_pb2.LayerParameter] = OrderedDict()

    def write(self, tops: Any) -> caffe_pb2.NetParameter:
        for top in tops:
            self._add(top.fn if isinstance(top, Top) else top)
        return caffe_pb2.NetParameter(layer=self._layers.values())

    def _add(self, fn: Function) -> None:
        """Depth first, without recursion: nets are deeper than Python's stack."""
        waiting = [fn]
        while waiting:
            one = waiting[-1]
            missing = [top.fn for top in one.inputs if top.fn not in self._layers]
            if one in self._layers or not missing:
                waiting.pop()
                if one not in self._layers:
                    self._layers[one] = self._layer(one)
            else:
                waiting.extend(reversed(missing))

    def _layer(self, fn: Function) -> caffe_pb2.LayerParameter:
        layer = caffe_pb2.LayerParameter(type=fn.type_name)
        layer.bottom.extend(self._layers[top.fn].top[top.n] for top in fn.inputs)
        layer.top.extend(layer.bottom if fn.in_place else [self._name(top, fn) for top in fn.tops])
        layer.name = self._name(fn.tops[0] if fn.tops else fn, fn)
        for field, value in fn.params.items():
            try:
                assign_proto(_holder(layer, field), field, value)
            except (AttributeError, TypeError, ValueError) as exc:
                raise type(exc)(f'layer "{layer.name}" ({layer.type}): {field}: {exc}') from exc
        return layer

    def _name(self, what: Named, fn: Function) -> str:
        if what not in self._names:
            self._counts[fn.type_name] += 1
            self._names[what] = f"{fn.type_name}{self._counts[fn.type_name]}"
        return self._names[what]


def param_name_dict() -> dict[str, str]:
    """Layer type -> the field that holds its options, without "_param": Convolution -> convolution."""
    fields = [field for field in caffe_pb2.LayerParameter.DESCRIPTOR.fields if field.name.endswith("_param")]
    return {
        field.message_type.name.removesuffix("Parameter"): field.name.removesuffix("_param")
        for field in fields
        if field.message_type
    }


_PARAM_NAMES = param_name_dict()


def _holder(layer: caffe_pb2.LayerParameter, field: str) -> Any:
    """Where ``field`` belongs: the options of the layer's type, else the layer itself."""
    if layer.type not in _PARAM_NAMES or field.endswith("param"):
        return layer
    own = getattr(layer, f"{_PARAM_NAMES[layer.type]}_param")
    return own if _has(own, field) else layer


def _has(message: Message, field: str) -> bool:
    return field in message.DESCRIPTOR.fields_by_name


def assign_proto(proto: Any, name: str, val: Any) -> None:
    """Set field ``name`` of a message: a dict fills a message, a list (or one element of it) a repeated field.

    Raises: AttributeError for a field that the message does not have; TypeError or ValueError for a value not its own.
    """
    if not _has(proto, name):
        raise AttributeError(f"{proto.DESCRIPTOR.name} has no field {name!r}")
    target = getattr(proto, name)
    is_repeated = hasattr(target, "extend")
    if is_repeated and not isinstance(val, list | tuple):
        val = [val]
    if is_repeated and val and isinstance(val[0], Mapping):
        for item in val:
            _fill(target.add(), item)
    elif is_repeated:
        target.extend(val)
    elif isinstance(val, Mapping):
        target.SetInParent()
        _fill(target, val)
    elif isinstance(val, Message):
        target.CopyFrom(val)
    else:
        setattr(proto, name, val)


def _fill(message: Any, values: Mapping[str, Any]) -> None:
    for field, value in values.items():
        assign_proto(message, field, value)


class Layers:
    """``L.Type(bottom, ..., option=value)``: a Top, a tuple of Tops with ``ntop=``, or with ``ntop=0`` the Function."""

    def __getattr__(self, type_name: str) -> Callable[..., Any]:
        if type_name.startswith("__"):  # no layer, but what Python asks any object
            raise AttributeError(type_name)

        def make(*inputs: Top, **params: Any) -> Any:
            fn = Function(type_name, inputs, params)
            return fn if fn.ntop == 0 else fn.tops[0] if fn.ntop == 1 else fn.tops

        return make


class Parameters:
    """``P.Pooling.MAX``: the values of the enums in ``PoolingParameter``, and so on."""

    def __getattr__(self, name: str) -> Any:
        message = getattr(caffe_pb2, f"{name}Parameter", None)
        if message is None:
            raise AttributeError(f"no message {name}Parameter")
        return message


layers = Layers()
params = Parameters()
