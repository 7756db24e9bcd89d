"""PyTorch's ``.pt`` and ``.safetensors`` files to and from layers.

A layer of two blobs has the entries ``<layer>.weight`` and ``<layer>.bias``; any other has ``<layer>.<index>``, its
blobs counted from 0. Both are read for any layer, ``<layer>.weight`` alone too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from caffe_compat.errors import WeightsError, expected_got
from caffe_compat.files import atomic_path
from caffe_compat.weights.binary import check_regular, unreadable
from caffe_compat.weights.blobs import StoredBlob
from caffe_compat.weights.stored import StoredLayer

PathLike = str | os.PathLike[str]

_NAMES = ("weight", "bias")


def read_pt_layers(path: PathLike) -> list[StoredLayer]:
    """The layers of a state dict that ``torch.save`` wrote; no code in it is run.

    Raises: WeightsError naming the file, and the entry that is no blob.
    """
    _check_readable(path)
    try:
        entries = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as exc:  # a damaged or hostile pickle can raise anything
        reason = (str(exc).splitlines() or ["the file ends too early"])[0]
        problem = f"not a state dict that torch reads with weights_only=True: {reason}"
        raise WeightsError(problem, path=os.fspath(path)) from exc
    if not isinstance(entries, Mapping):
        raise WeightsError(expected_got("a state dict", type(entries).__name__), path=os.fspath(path))
    return _layers(entries, os.fspath(path))


def write_pt_layers(path: PathLike, layers: Iterable[StoredLayer]) -> None:
    """Write layers, float32, in current shapes, as a state dict."""
    entries = {name: torch.from_numpy(array) for name, array in _entries(layers).items()}
    with atomic_path(path) as part:
        torch.save(entries, part)


def read_safetensors_layers(path: PathLike) -> list[StoredLayer]:
    """The layers of a ``.safetensors`` file, in the order of their names. Raises: WeightsError naming the file."""
    _check_readable(path)
    safetensors = _safetensors(path)
    try:
        entries = safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError, KeyError) as exc:
        raise WeightsError(f"not a safetensors file, or broken: {exc}", path=os.fspath(path)) from exc
    return _layers({name: entries[name] for name in sorted(entries)}, os.fspath(path))


def write_safetensors_layers(path: PathLike, layers: Iterable[StoredLayer]) -> None:
    """Write layers, float32, in current shapes."""
    safetensors = _safetensors(path)
    with atomic_path(path) as part:
        safetensors.numpy.save_file(_entries(layers), part, metadata={"format": "pt"})


def _safetensors(path: PathLike) -> Any:
    try:
        import safetensors.numpy
        import safetensors.torch
    except ImportError as exc:
        problem = ".safetensors files need the package safetensors (pip install safetensors)"
        raise WeightsError(problem, path=os.fspath(path)) from exc
    return safetensors


def _check_readable(path: PathLike) -> None:
    try:
        check_regular(path)
        open(path, "rb").close()
    except OSError as exc:
        raise unreadable(os.fspath(path), exc) from exc


def _layers(entries: Mapping[Any, Any], path: str) -> list[StoredLayer]:
    blobs: dict[str, dict[int, StoredBlob]] = {}
    for entry, value in entries.items():
        layer, index = _place(entry, path)
        if index in blobs.setdefault(layer, {}):
            raise WeightsError(f"blob {index} is in it twice", path=path, layer=layer)
        blobs[layer][index] = StoredBlob(_array(entry, value, path))
    for layer, numbered in blobs.items():
        if set(numbered) != set(range(len(numbered))):
            found = ", ".join(map(str, sorted(numbered)))
            raise WeightsError(expected_got(f"blobs 0 to {len(numbered) - 1}", found), path=path, layer=layer)
    return [StoredLayer(layer, "", dict(sorted(numbered.items()))) for layer, numbered in blobs.items()]


def _place(entry: Any, path: str) -> tuple[str, int]:
    """Layer and index of an entry."""
    layer, _, last = str(entry).rpartition(".")
    if layer and last in _NAMES:
        return layer, _NAMES.index(last)
    if layer and last.isdecimal() and str(int(last)) == last:
        return layer, int(last)
    raise WeightsError(expected_got("<layer>.weight, <layer>.bias or <layer>.<index>", repr(entry)), path=path)


def _array(entry: str, value: Any, path: str) -> np.ndarray:
    if not isinstance(value, Tensor) or value.layout != torch.strided or not value.is_floating_point():
        kind = f"{value.layout} of {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
        raise WeightsError(f"{entry}: {expected_got('a dense tensor of floats', kind)}", path=path)
    return value.detach().to(torch.float64 if value.dtype == torch.float64 else torch.float32).numpy()


def _entries(layers: Iterable[StoredLayer]) -> dict[str, np.ndarray]:
    """Arrays by entry; no two share memory."""
    entries = {}
    for layer in layers:
        for index in layer.blobs:
            last = _NAMES[index] if set(layer.blobs) == {0, 1} else index
            entries[f"{layer.name}.{last}"] = np.array(layer.current_array(index), np.float32, order="C")
    return entries
