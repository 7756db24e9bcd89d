"""Starting one net from several trained ones: their layers, under new names, in one weights file."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from caffe_compat.errors import WeightsError
from caffe_compat.proto import caffe_pb2
from caffe_compat.weights.files import read_layers, write_layers
from caffe_compat.weights.stored import StoredLayer

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class Rename:
    """Give layer ``source`` the name ``target``.

    Attributes:
        source, target: layer names.
        input: which input has the layer, counted from 1; None: the only one that has it.
    """

    source: str
    target: str
    input: int | None = None


@dataclass(frozen=True)
class Source:
    """A layer with parameters in one of the inputs."""

    path: str
    layer: StoredLayer


@dataclass(frozen=True)
class Merged:
    """Layers of several files in one.

    Attributes:
        layers: (the layer's name in the result, where it comes from), in order.
        left_out: the layers of the inputs that are not in it.
        not_given: the net's layers, of types that have parameters in the inputs, that are not in it.
        types: the types of the net's layers by name, for inputs that do not tell; empty without a net.
    """

    layers: list[tuple[str, Source]]
    left_out: list[Source]
    not_given: list[str]
    types: dict[str, str]


def merge_weights(
    paths: Sequence[PathLike], renames: Sequence[Rename] = (), net: caffe_pb2.NetParameter | None = None
) -> Merged:
    """Put the layers that have parameters of all ``paths`` together.

    A layer named as a ``source`` goes under its ``target`` names and under no other; the rest keep their names.
    With ``net`` (in the current format), only its layers are kept, in its order.

    Raises: WeightsError for a file that cannot be read, a source that no input or more than one has, a target that
        the net lacks or has with another type, and a name that two layers would get.
    """
    inputs = [_read(os.fspath(path)) for path in paths]
    targets: dict[int, list[str]] = {}
    for rename in renames:
        targets.setdefault(id(_find(rename, inputs)), []).append(rename.target)
    sources = [source for layers in inputs for source in layers.values()]
    merged = [(name, source) for source in sources for name in targets.get(id(source), [source.layer.name])]
    types = {layer.name: layer.type for layer in net.layer} if net is not None else {}
    not_given: list[str] = []
    if net is not None:
        merged = _fit(merged, types, [rename.target for rename in renames])
        taken = {name for name, _ in merged}
        with_parameters = {source.layer.type or types[name] for name, source in merged}
        with_parameters |= {source.layer.type for source in sources}
        not_given = [name for name, kind in types.items() if kind in with_parameters and name not in taken]
    _check_names_differ(merged)
    used = {id(source) for _, source in merged}
    return Merged(merged, [source for source in sources if id(source) not in used], not_given, types)


def write_merged(path: PathLike, merged: Merged, name: str = "") -> None:
    """Write the layers' names, types and blobs, those of a net called ``name``, in the format of the suffix.

    Raises: WeightsError for a layer whose file left a shared blob out.
    """
    for _, source in merged.layers:
        if set(source.layer.blobs) != set(range(len(source.layer.blobs))):
            problem = "a blob that it shares is with another layer only; load the file into its net and save that"
            raise WeightsError(problem, path=source.path, layer=source.layer.name)
    write_layers(path, name, [
        replace(source.layer, name=target, type=source.layer.type or merged.types.get(target, ""))
        for target, source in merged.layers
    ])  # fmt: skip


def _read(path: str) -> dict[str, Source]:
    """The layers that have parameters, by name; of several with one name the last."""
    return {layer.name: Source(path, layer) for layer in read_layers(path) if layer.blobs}


def _find(rename: Rename, inputs: Sequence[dict[str, Source]]) -> Source:
    """The layer that ``rename`` is about."""
    numbers = range(1, len(inputs) + 1) if rename.input is None else [rename.input]
    if numbers[0] not in range(1, len(inputs) + 1):
        raise WeightsError(f"layer {rename.source!r}: no input {rename.input}, there are {len(inputs)}")
    found = {number: inputs[number - 1][rename.source] for number in numbers if rename.source in inputs[number - 1]}
    if not found:
        known = sorted({name for number in numbers for name in inputs[number - 1]})
        raise WeightsError(f"no layer {rename.source!r} with parameters in the input: {_choices(rename.source, known)}")
    if len(found) > 1:
        paths = " and ".join(source.path for source in found.values())
        choices = " or ".join(f"{number}:{rename.source}" for number in found)
        raise WeightsError(f"layer {rename.source!r} is in {paths}; say which: {choices}")
    return next(iter(found.values()))


def _choices(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3)
    return (f"closest: {', '.join(near)}; " if near else "") + f"known: {', '.join(known)}"


def _check_names_differ(merged: Sequence[tuple[str, Source]]) -> None:
    seen: dict[str, Source] = {}
    for name, source in merged:
        if name in seen:
            raise WeightsError(
                f"two layers would be called {name!r}: {seen[name].layer.name!r} of {seen[name].path} and "
                f"{source.layer.name!r} of {source.path}; give one of them another name"
            )
        seen[name] = source


def _fit(
    merged: Sequence[tuple[str, Source]], types: dict[str, str], asked_for: Sequence[str]
) -> list[tuple[str, Source]]:
    """Those that a net with layers of these types has, in its order."""
    for name in asked_for:
        if name not in types:
            raise WeightsError(f"no layer {name!r} in the net: {_choices(name, types)}")
    fitting = [(name, source) for name, source in merged if name in types]
    for name, source in fitting:
        if source.layer.type and source.layer.type != types[name]:
            raise WeightsError(
                f"it is of type {source.layer.type}, the net's {name!r} of type {types[name]}",
                path=source.path,
                layer=source.layer.name,
            )
    order = {name: place for place, name in enumerate(types)}
    return sorted(fitting, key=lambda each: order[each[0]])
