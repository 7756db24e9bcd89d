"""The table of options: what each field of each message does, shown by running a net with and without it.

Rows come from the ``*option_cases.py`` of the test folders, which import what they need from here.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from caffe_compat import Net
from caffe_compat.errors import CaffeCompatError
from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt import parse_text

torch.set_num_threads(1)  # more would split sums in ways that differ from run to run: equal has to be equal

TESTS = Path(__file__).parent
Observation = dict[str, Any]


@dataclass(frozen=True)
class Changes:
    """A field that changes what a net does.

    Attributes:
        field: ``Message.field``.
        base, changed: two prototxts that differ in this field (and in ``along``, fields that go with it).
        observe: prototxt -> what can be seen of it; ``observe_net`` unless the row brings its own.
        expect: asserts a closed form of the two observations.
        refused: a part of the message with which one of the two is refused, where that is the difference.
    """

    field: str
    base: str
    changed: str
    along: tuple[str, ...] = ()
    observe: Callable[[str], Observation] | None = None
    expect: Callable[[Observation, Observation], None] | None = None
    refused: str = ""
    phase: str = "TEST"
    message: Callable[[], Message] = caffe_pb2.NetParameter


@dataclass(frozen=True)
class NoEffect:
    """A field that by Caffe's own design changes no result, and why; with two prototxts this is shown too."""

    field: str
    reason: str
    base: str = ""
    changed: str = ""
    phase: str = "TEST"
    observe: Callable[[str], Observation] | None = field(default=None)


Row = Changes | NoEffect


def case_modules() -> list[ModuleType]:
    """Every ``*option_cases.py`` in the test folders; each has ``MESSAGES``, the messages it covers, and ``ROWS``."""
    modules = []
    for path in sorted(TESTS.glob("*/*option_cases.py")):
        spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        modules.append(module)
    return modules


# --- which fields -----------------------------------------------------------------------------------------------


def descriptor(name: str) -> Descriptor:
    return caffe_pb2.DESCRIPTOR.message_types_by_name[name]


def fields_of(name: str) -> list[str]:
    return [f"{name}.{each.name}" for each in descriptor(name).fields]


def is_holder(field_name: str) -> bool:
    """A layer's ``..._param``, which only holds fields that have rows of their own."""
    return field_name.startswith("LayerParameter.") and field_name.endswith("_param")


def set_fields(message: Message) -> Iterator[str]:
    """``Message.field`` of everything set in ``message``, at any depth."""
    for each, value in message.ListFields():
        yield f"{message.DESCRIPTOR.name}.{each.name}"
        if each.message_type is not None:
            for item in [value] if isinstance(value, Message) else value:
                yield from set_fields(item)


def differing_fields(one: Message, other: Message) -> set[str]:
    """The fields in which two messages of one type differ: values, elements, or being there at all."""
    found: set[str] = set()
    for each in one.DESCRIPTOR.fields:
        name = f"{one.DESCRIPTOR.name}.{each.name}"
        mine, theirs = getattr(one, each.name), getattr(other, each.name)
        if each.message_type is None:
            is_set_in_one = each.has_presence and one.HasField(each.name) != other.HasField(each.name)
            found |= {name} if is_set_in_one or mine != theirs else set()
        elif isinstance(mine, Message):
            if one.HasField(each.name) != other.HasField(each.name) and not is_holder(name):
                found.add(name)
            found |= differing_fields(mine, theirs)
        elif len(mine) != len(theirs):
            found.add(name)
        else:
            for pair in zip(mine, theirs, strict=True):
                found |= differing_fields(*pair)
    return found


# --- what can be seen -------------------------------------------------------------------------------------------


def observe_net(text: str, phase: str = "TEST") -> Observation:
    """Everything a net shows: names, shapes, parameters, blobs, loss, gradients, debug lines; or why it is refused."""
    torch.manual_seed(0)
    try:
        net = Net(text, phase=phase, level=None)
    except CaffeCompatError as exc:
        return {"refused": str(exc)}
    seen: Observation = {"name": net.name, "inputs": net.inputs, "outputs": net.outputs, "layers": list(net.layers)}
    seen["multipliers"] = [(p.layer, p.index, p.lr_mult, p.decay_mult) for p in net.learnable_params]
    for layer, blobs in net.params.items():
        seen.update({f"param {layer}[{i}]": blob.detach().numpy().copy() for i, blob in enumerate(blobs)})
    random = np.random.RandomState(0)
    for layer_module in net.layers.values():
        if layer_module.param.type == "MemoryData":
            layer_module.set_input_arrays(*(random.rand(12, *shape[1:]) for shape in layer_module.top_shapes([])))
    lines = _Lines()
    logger = logging.getLogger("caffe_compat")
    logger.addHandler(lines)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        seen.update(_run(net, random))
    finally:
        logger.removeHandler(lines)
        logger.setLevel(level)
    seen["debug lines"] = lines.lines
    return seen


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith("    ["):
            self.lines.append(record.getMessage())


def _run(net: Net, random: np.random.RandomState) -> Observation:
    torch.manual_seed(1)
    net(**{name: _input(name, net.blob_shapes[name], random) for name in net.inputs})
    seen: Observation = {f"blob {name}": blob.detach().numpy().copy() for name, blob in net.blobs.items()}
    seen["loss"] = net.loss.item()
    total = net.loss
    for name in net.outputs:
        blob = net.blobs[name]
        if blob.requires_grad and not net.blob_loss_weights.get(name):
            total = total + (blob * torch.as_tensor(random.randn(*blob.shape)).float()).sum()
    if total.requires_grad:
        total.backward()
    for name in net.inputs:
        seen[f"gradient of {name}"] = _array(net.blobs[name].grad)
    for layer, blobs in net.params.items():
        seen.update({f"gradient of {layer}[{i}]": _array(b.grad) for i, b in enumerate(blobs) if b.is_leaf})
    return seen


def _input(name: str, shape: tuple[int, ...], random: np.random.RandomState) -> torch.Tensor:
    """Numbers of either sign; whole ones from 0 to 2 for a blob whose name starts with label."""
    values = random.randint(0, 3, shape) if name.startswith("label") else random.randn(*shape)
    return torch.as_tensor(values).float()


def _array(gradient: torch.Tensor | None) -> np.ndarray | None:
    return None if gradient is None else gradient.numpy().copy()


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """What is not the same in two observations."""
    return [key for key in {**one, **other} if not _same(one.get(key), other.get(key))]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.shape == other.shape and np.array_equal(one, other, equal_nan=True)
    return type(one) is type(other) and bool(one == other)


# --- running a row ----------------------------------------------------------------------------------------------


def effect_of(row: Row) -> str:
    """The table's cell for a row: what changes, or the reason why nothing does. Fails if that is not so."""
    if isinstance(row, NoEffect):
        assert len(row.reason.split()) >= 3, f"{row.field}: a reason is missing"
        if row.base:
            assert differences(*_observations(row)) == [], row.field
        return f"nothing: {row.reason}"
    differing = differing_fields(*(parse_text(text, row.message()) for text in (row.base, row.changed)))
    assert row.field in differing, f"{row.field}: the two prototxts differ in {sorted(differing)}"
    assert differing <= {row.field, *row.along}, f"{row.field}: they also differ in {sorted(differing)}"
    base, changed = _observations(row)
    refusals = [seen["refused"] for seen in (base, changed) if "refused" in seen]
    if row.refused:
        assert len(refusals) == 1 and row.refused in refusals[0], f"{row.field}: {refusals}"
        return f"refused: {row.refused}"
    assert not refusals, f"{row.field}: {refusals}"
    found = differences(base, changed)
    assert found, f"{row.field}: nothing changes"
    if row.expect is not None:
        row.expect(base, changed)
    return "changes " + ", ".join(found[:4]) + (", ..." if len(found) > 4 else "")


def _observations(row: Row) -> tuple[Observation, Observation]:
    def default(text: str) -> Observation:
        return observe_net(text, row.phase)

    observe = row.observe or default
    return observe(row.base), observe(row.changed)
