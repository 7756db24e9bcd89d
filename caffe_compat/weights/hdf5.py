"""Caffe's HDF5 files, ``.caffemodel.h5`` and ``.solverstate.h5``: ``/data/<layer>/<index>``, ``/history/<index>``."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from caffe_compat.errors import WeightsError
from caffe_compat.files import atomic_path
from caffe_compat.weights.binary import check_regular, unreadable
from caffe_compat.weights.blobs import Array, StoredBlob
from caffe_compat.weights.parameters import NetWithLayers, borrowed_blobs, diff_of, to_numpy
from caffe_compat.weights.stored import StoredLayer

PathLike = str | os.PathLike[str]

_H5PYS_OTHER_ERRORS = (KeyError, ValueError, TypeError, RuntimeError, MemoryError, AttributeError)
_LONGEST_NAME = 2**16  # bytes of a file's name
_MOST_COMPRESSED = 2000  # a file whose numbers take less is a trap: gzip comes to 1032 at most


def read_hdf5_layers(path: PathLike) -> list[StoredLayer]:
    """The layers of a ``.caffemodel.h5`` in the order of their names. Raises: WeightsError naming the file."""
    with _open(path) as file:
        data = _group(file, "data", "not a caffemodel")
        return [StoredLayer(name, "", _blobs(group), True) for name, group in _layer_groups(data, "", set())]


def write_hdf5_layers(path: PathLike, layers: Iterable[StoredLayer]) -> None:
    """Write layers as a ``.caffemodel.h5``: float32, in current shapes, which are the only ones that Caffe takes."""
    with _create(path) as file:
        data = file.create_group("data")
        for layer in layers:
            group = data.require_group(layer.name)
            for index in layer.blobs:
                _write(group, index, layer.current_array(index))


def save_hdf5(net: NetWithLayers, path: PathLike, diffs: Mapping[Tensor, Tensor] | None = None) -> None:
    """Write the net's layers, those without blobs too, as Caffe does: a shared blob with its first layer only.

    ``diffs`` gives the ``diff`` to be stored for each parameter, shared or not; None stores no diffs.
    Raises: WeightsError if two layers have one name, for which Caffe ends the process: the name is the layer's group.
    Source: Net::ToHDF5, src/caffe/net.cpp.
    """
    check_hdf5_can_hold(net, path)
    borrowed = borrowed_blobs(net)
    names = [param.name for param in net.proto.layer]
    with _create(path) as file:
        for name, layer in zip(names, net.layers_in_order, strict=True):
            data = file.require_group("data").require_group(name)
            for index, (owner, blob) in enumerate(zip(layer.blobs, layer.shaped_blobs(), strict=True)):
                if index not in borrowed[layer]:
                    _write(data, index, to_numpy(blob))
                if diffs is not None:
                    _write(file.require_group("diff").require_group(name), index, diff_of(owner, blob, diffs))


def check_hdf5_can_hold(net: NetWithLayers, path: PathLike) -> None:
    """Raises: WeightsError if ``save_hdf5`` cannot write the net: two layers have one name, or there is no h5py."""
    try:
        _h5py()
    except WeightsError as exc:
        raise WeightsError(exc.problem, path=os.fspath(path)) from exc
    names = [param.name for param in net.proto.layer]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        problem = f"HDF5 holds one layer of a name, the net has {names.count(repeated)}; a binary file holds them all"
        raise WeightsError(problem, path=os.fspath(path), layer=repeated)


def read_hdf5_state(path: PathLike) -> tuple[int, str, int, list[Array]]:
    """Iteration, weights file ("" for none), current step and history. Raises: WeightsError naming the file."""
    with _open(path) as file:
        history = _group(file, "history", "not a solver state")
        if "iter" not in file:
            raise WeightsError("not a solver state: no iteration in it")
        blobs = _blobs(history)
        if set(blobs) != set(range(len(blobs))):
            raise WeightsError(f"history: expected blobs 0 to {len(blobs) - 1}, got {sorted(blobs)}")
        step = _integer(file, "current_step") if "current_step" in file else 0
        return _integer(file, "iter"), _string(file), step, [blobs[index].array for index in range(len(blobs))]


def write_hdf5_state(path: PathLike, iteration: int, weights: str, step: int, history: Iterable[Array]) -> None:
    """Write them as Caffe does. Source: SGDSolver::SnapshotSolverStateToHDF5, src/caffe/solvers/sgd_solver.cpp."""
    with _create(path) as file:
        file["iter"] = np.array([iteration], np.int32)
        _write_string(file, weights)
        file["current_step"] = np.array([step], np.int32)
        group = file.create_group("history")
        for index, blob in enumerate(history):
            _write(group, index, blob)


# --- files --------------------------------------------------------------------------------------------------------


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as exc:
        raise WeightsError("HDF5 files need the package h5py (pip install h5py)") from exc
    return h5py


@contextlib.contextmanager
def _open(path: PathLike) -> Iterator[Any]:
    """A file to read; whatever turns out to be wrong with it becomes a WeightsError naming it."""
    name = os.fspath(path)
    try:
        check_regular(path)
        open(path, "rb").close()  # says more clearly than h5py why it cannot be read
        with _h5py().File(path, "r") as file:
            yield file
    except WeightsError as exc:
        raise WeightsError(exc.problem, path=name) from exc
    except OSError as exc:
        if exc.errno is not None:
            raise unreadable(name, exc) from exc
        raise WeightsError(f"not an HDF5 file, or broken: {exc}", path=name) from exc
    except _H5PYS_OTHER_ERRORS as exc:
        raise WeightsError(f"a broken HDF5 file: {exc}", path=name) from exc


@contextlib.contextmanager
def _create(path: PathLike) -> Iterator[Any]:
    """A file to write, atomically."""
    try:
        with atomic_path(path) as part, _h5py().File(part, "w", locking=False) as file:  # atomic_path locks it
            yield file
    except WeightsError as exc:
        raise WeightsError(exc.problem, path=os.fspath(path)) from exc
    except (TypeError, ValueError) as exc:  # h5py about a name
        raise WeightsError(f"HDF5 cannot hold it: {exc}", path=os.fspath(path)) from exc


# --- groups and datasets ------------------------------------------------------------------------------------------


def _layer_groups(parent: Any, prefix: str, seen: set[Any]) -> Iterator[tuple[str, Any]]:
    """The groups that are layers. A slash in a layer's name makes a group in a group: ``conv/1x1``."""
    for name in _members(parent, _h5py().Group):
        group = parent[name]
        if group in seen:
            raise WeightsError(f"group {group.name} is in itself")
        seen.add(group)
        if _members(group, _h5py().Dataset) or not len(group):
            yield prefix + name, group
        yield from _layer_groups(group, f"{prefix}{name}/", seen)


def _members(group: Any, kind: type) -> list[str]:
    """The names of what is in ``group`` and of this kind. Links to elsewhere are refused."""
    names = sorted(group)
    for name in names:
        if not isinstance(group.get(name, getlink=True), _h5py().HardLink):
            raise WeightsError(f"{group.name}/{name} is a link, expected a group or a dataset")
    return [name for name in names if group.get(name, getclass=True) is kind]


def _group(file: Any, name: str, otherwise: str) -> Any:
    if name not in _members(file, _h5py().Group):
        raise WeightsError(f"{otherwise}: no group {name!r} in it")
    return file[name]


def _blobs(group: Any) -> dict[int, StoredBlob]:
    blobs = {}
    for name in _members(group, _h5py().Dataset):
        if not name.isdecimal() or str(int(name)) != name:
            raise WeightsError(f"{group.name}/{name}: expected a number for a name")
        blobs[int(name)] = StoredBlob(_read(group[name]))
    return dict(sorted(blobs.items()))


def _read(dataset: Any) -> Array:
    stored = dataset.id.get_storage_size()
    if dataset.dtype.kind not in "fiu":
        raise WeightsError(f"{dataset.name}: expected numbers, got {dataset.dtype}")
    if dataset.external or dataset.is_virtual or dataset.nbytes > stored * _MOST_COMPRESSED:
        raise WeightsError(f"{dataset.name}: shape {dataset.shape}, but the numbers are not in the file")
    array = np.asarray(dataset[()])
    return array if array.dtype == np.float64 else array.astype(np.float32)


def _write(group: Any, index: int, array: Array) -> None:
    group.create_dataset(str(index), data=np.asarray(array, np.float32))


def _integer(file: Any, name: str) -> int:
    stored = file[name]
    if stored.size != 1 or stored.dtype.kind not in "iu":
        raise WeightsError(f"{name}: expected one integer, got {stored.size} of {stored.dtype}")
    return int(np.asarray(stored[()]).item())


def _string(file: Any) -> str:
    """The name of the weights file; Caffe may leave it out."""
    if "learned_net" not in file:
        return ""
    stored = file["learned_net"]
    if stored.nbytes > _LONGEST_NAME:
        raise WeightsError(f"learned_net: expected a string of up to {_LONGEST_NAME} bytes, got {stored.nbytes}")
    value = stored[()]
    if not isinstance(value, bytes):
        raise WeightsError(f"learned_net: expected a string, got {type(value).__name__}")
    return value.partition(b"\0")[0].decode()


def _write_string(file: Any, value: str) -> None:
    """A string that C finds the end of, which h5py's own are not."""
    h5py, content = _h5py(), os.fsencode(value)
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(len(content) + 1)
    dataset = h5py.h5d.create(file.id, b"learned_net", kind, h5py.h5s.create(h5py.h5s.SCALAR))
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array(content, f"S{len(content) + 1}"))
