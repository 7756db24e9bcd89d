"""The net as pycaffe shows it. Source: python/caffe/pycaffe.py, _caffe.cpp."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any
from weakref import WeakSet

import numpy as np
import torch

from caffe_compat.errors import expected_got
from caffe_compat.layers import Layer
from caffe_compat.layers.memory_data import MemoryDataLayer
from caffe_compat.layers.python import Python
from caffe_compat.layers.python_blobs import Array
from caffe_compat.pycaffe.blob import NetBlob, ParameterBlob
from caffe_compat.pycaffe.layerwise import Callback, LayerwiseNet, move_together
from caffe_compat.pycaffe.mode import current_device
from caffe_compat.solver.nets import share_parameters
from caffe_compat.weights import copy_weights, read_hdf5_layers, save_caffemodel, save_hdf5

PathLike = str | os.PathLike[str]


class BuiltLayer:
    """A layer of a net.

    Attributes:
        type: its type string.  blobs: its parameter blobs.
    """

    def __init__(self, layer: Layer, blobs: list[ParameterBlob]) -> None:
        self.type: str = layer.param.type
        self.blobs = blobs


class Net:
    """A net, run layer by layer on blobs that stay where they are.

    ``Net(file, phase, level=0, stages=None, weights=None)``, or the older ``Net(file, phase)`` with the weights file
    between, ``Net(file, weights, phase)``. The file may also be a prototxt's text or a NetParameter.

    Attributes:
        blobs: name -> Blob, from the inputs to the outputs.  params: layer name -> its parameter Blobs.
        inputs, outputs: names of blobs; outputs are those that no layer reads.
        bottom_names, top_names: layer name -> names of blobs.
        layers: the layers in order; of a Python layer the user's own object.  layer_dict: the same by name.
        blob_loss_weights: name -> loss weight.
    """

    def __init__(
        self,
        network_file: Any,
        *arguments: Any,
        phase: int | None = None,
        level: int = 0,
        stages: Sequence[str] | None = None,
        weights: PathLike | None = None,
    ) -> None:
        options = _options(arguments, phase=phase, level=level, stages=stages, weights=weights)
        net = LayerwiseNet(network_file, options["phase"], None, options["level"], options["stages"] or ())
        net.to(current_device())
        if options["weights"] is not None:
            net.load_weights(options["weights"])
        self._wrap(net, follows_mode=True)

    @property
    def layerwise(self) -> LayerwiseNet:
        """The net that this one shows."""
        return self._net

    @classmethod
    def of(cls, net: LayerwiseNet) -> Net:
        """The face of a solver's net, which stays on the solver's device."""
        face = cls.__new__(cls)
        face._wrap(net, follows_mode=False)
        return face

    def _wrap(self, net: LayerwiseNet, follows_mode: bool) -> None:
        self._net = net
        self._follows_mode = follows_mode
        self._companions: WeakSet[Net] = WeakSet([self])  # and all nets that share parameters with it
        self.inputs: list[str] = list(net.inputs)
        self.outputs: list[str] = list(net.outputs)
        self.blobs: OrderedDict[str, NetBlob] = OrderedDict(net.net_blobs)
        self._layer_names: list[str] = [param.name for param in net.proto.layer]
        self._blob_names: list[str] = list(self.blobs)
        self.bottom_names = OrderedDict((param.name, list(param.bottom)) for param in net.proto.layer)
        self.top_names = OrderedDict((param.name, list(param.top)) for param in net.proto.layer)
        self.layers: list[Any] = [
            layer.user if isinstance(layer, Python) else BuiltLayer(layer, blobs)
            for layer, blobs in zip(net.layers_in_order, net.layer_blobs, strict=True)
        ]
        self.layer_dict: OrderedDict[str, Any] = OrderedDict(zip(self._layer_names, self.layers, strict=True))
        blobs_of_layers = zip(self._layer_names, net.layer_blobs, strict=True)
        self.params: OrderedDict[str, list[ParameterBlob]] = OrderedDict(item for item in blobs_of_layers if item[1])
        self.blob_loss_weights = OrderedDict((name, net.blob_loss_weights.get(name, 0.0)) for name in self.blobs)

    @property
    def name(self) -> str:
        return self._net.name

    # --- running --------------------------------------------------------------------------------------------

    def forward(
        self, blobs: Sequence[str] | None = None, start: str | None = None, end: str | None = None, **inputs: Any
    ) -> dict[str, Array]:
        """Run the net forward.

        Args:
            blobs: names of blobs to return besides the outputs.
            start, end: the first and the last layer to run, by name; with ``end``, its tops are the outputs.
            inputs: an array for each blob of ``inputs``; none at all to take what is in them.
        Returns: the data of the output blobs by name, the arrays that the next pass writes into.
        Raises: ValueError for names or arrays that do not fit.
        """
        first = 0 if start is None else self._index(start)
        last = len(self.layers) - 1 if end is None else self._index(end)
        wanted = {*(self.outputs if end is None else self.top_names[end]), *(blobs or ())}
        self._check_names(wanted)
        self._put("data", inputs, self.inputs, "Input blob arguments do not match net inputs", "Input")
        self._forward(first, last)
        return {name: self.blobs[name].data for name in wanted}

    def backward(
        self, diffs: Sequence[str] | None = None, start: str | None = None, end: str | None = None, **output_diffs: Any
    ) -> dict[str, Array]:
        """Run the net backward, from what the ``diff`` of the outputs holds. Parameter diffs are added to.

        Args:
            diffs: names of blobs whose diffs to return besides the inputs'.
            start, end: the first and the last layer to run, the later one first; with ``end``, its bottoms count.
            output_diffs: an array for each blob of ``outputs``; none at all to take what is there: the loss weights.
        Raises: ValueError for names or arrays that do not fit; RuntimeError for a layer that has not run forward.
        """
        first = len(self.layers) - 1 if start is None else self._index(start)
        last = 0 if end is None else self._index(end)
        wanted = {*(self.inputs if end is None else self.bottom_names[end]), *(diffs or ())}
        self._check_names(wanted)
        self._put("diff", output_diffs, self.outputs, "Top diff arguments do not match net outputs", "Diff")
        self._backward(first, last)
        return {name: self.blobs[name].diff for name in wanted}

    def _forward(self, first: int, last: int) -> float:
        """Run layers by number; returns the loss."""
        self._follow_mode()
        return float(self._net.run_forward(first, last))

    def _backward(self, first: int, last: int) -> None:
        self._follow_mode()
        self._net.run_backward(first, last)

    def forward_all(self, blobs: Sequence[str] | None = None, **inputs: Any) -> dict[str, Array]:
        """Run the net forward over any number of rows, batch after batch, the last one filled up with zeros.

        Returns: the outputs, and ``blobs``, of all rows, by name.
        """
        outs: dict[str, list[Array]] = {}
        for batch in self._batches(inputs):
            _collect(outs, self.forward(blobs, **batch))
        return self._without_padding(outs, inputs)

    def forward_backward_all(
        self, blobs: Sequence[str] | None = None, diffs: Sequence[str] | None = None, **arrays: Any
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """As ``forward_all`` with a backward pass for every batch; arrays named as outputs are their diffs.

        Returns: the data by name, and the diffs by name.
        """
        outs: dict[str, list[Array]] = {}
        out_diffs: dict[str, list[Array]] = {}
        forward = self._batches({name: arrays[name] for name in self.inputs if name in arrays})
        backward = self._batches({name: arrays[name] for name in self.outputs if name in arrays})
        for batch, diff_batch in zip_longest(forward, backward):
            _collect(outs, self.forward(blobs, **(batch or {})))
            _collect(out_diffs, self.backward(diffs, **(diff_batch or {})))
        return self._without_padding(outs, arrays), self._without_padding(out_diffs, arrays)

    def reshape(self) -> None:
        """Give all blobs the shapes that follow from the inputs', which ``blobs[name].reshape`` has changed.

        Raises: PrototxtError naming the layer that cannot work on its new bottoms.
        """
        self._net.reshape()

    def clear_param_diffs(self) -> None:
        for blobs in self.params.values():
            for blob in blobs:
                blob.clear_diff()

    def set_input_arrays(self, data: Array, labels: Array) -> None:
        """Have the MemoryData layer that the net begins with read these arrays.

        Raises: ValueError if the net begins with another layer, or a shape differs.
        """
        first = self._net.layers_in_order[0]
        if not isinstance(first, MemoryDataLayer):
            raise ValueError("set_input_arrays may only be called if the first layer is a MemoryData layer")
        first.set_input_arrays(data, labels)

    # --- callbacks ------------------------------------------------------------------------------------------

    def before_forward(self, callback: Callback) -> None:
        """Have ``callback(number of the layer)`` called before each layer's forward pass."""
        self._net.before_forward.append(callback)

    def after_forward(self, callback: Callback) -> None:
        self._net.after_forward.append(callback)

    def before_backward(self, callback: Callback) -> None:
        self._net.before_backward.append(callback)

    def after_backward(self, callback: Callback) -> None:
        self._net.after_backward.append(callback)

    # --- weights --------------------------------------------------------------------------------------------

    def copy_from(self, path: PathLike) -> None:
        """Copy a weights file, of any format, into the layers of the same name. Raises: WeightsError."""
        self._net.write_back_parameters()
        self._net.load_weights(path)

    def load_hdf5(self, path: PathLike) -> None:
        """As ``copy_from``, of a file in Caffe's HDF5 form, whatever its name. Raises: WeightsError."""
        self._net.write_back_parameters()
        copy_weights(self._net, path, read_hdf5_layers)

    def save(self, path: PathLike) -> None:
        """Write the weights in Caffe's binary form, whatever the name. Raises: WeightsError above 2 GiB."""
        self._net.write_back_parameters()
        save_caffemodel(self._net, path)

    def save_hdf5(self, path: PathLike) -> None:
        """Write the weights in Caffe's HDF5 form, whatever the name. Raises: WeightsError."""
        self._net.write_back_parameters()
        save_hdf5(self._net, path)

    def share_with(self, other: Net) -> None:
        """Let the layers that ``other`` has too use the memory of its parameters.

        From then on the two are on one device: both follow the mode, unless one is a solver's, which stays where it is.
        Raises: WeightsError if a layer differs; RuntimeError for nets of solvers on different devices.
        """
        self._net.write_back_parameters()
        self._join(other)
        share_parameters(other._net, self._net)

    # --- helpers --------------------------------------------------------------------------------------------

    def _follow_mode(self) -> None:
        device = current_device()
        if self._follows_mode and self._net._like.device != device:
            _move(self._companions, device)

    def _join(self, other: Net) -> None:
        """Be on one device with ``other``, and with all that either shares with, from now on."""
        companions = self._companions | other._companions
        fixed = {net._net._like.device for net in companions if not net._follows_mode}
        if len(fixed) > 1:
            raise RuntimeError(f"nets of solvers on different devices cannot share: {', '.join(map(str, fixed))}")
        follows_mode = not fixed
        _move(companions, fixed.pop() if fixed else other._net._like.device)
        for net in companions:
            net._companions, net._follows_mode = companions, follows_mode

    def _index(self, layer: str) -> int:
        if layer not in self._layer_names:
            raise ValueError(f"no layer {layer!r}; the layers are {', '.join(self._layer_names)}")
        return self._layer_names.index(layer)

    def _check_names(self, names: set[str]) -> None:
        unknown = sorted(names - set(self.blobs))
        if unknown:
            raise ValueError(f"no blob {unknown[0]!r}; the blobs are {', '.join(self.blobs)}")

    def _put(self, which: str, arrays: Mapping[str, Any], names: Sequence[str], problem: str, what: str) -> None:
        """Write ``arrays``, one for each of ``names``, into blobs; or none of them."""
        if not arrays:
            return
        if set(arrays) != set(names):
            raise ValueError(f"{problem}: {expected_got(sorted(names), sorted(arrays))}")
        for name, array in arrays.items():
            blob = self.blobs[name]
            if np.shape(array)[:1] != blob.shape[:1]:
                sizes = expected_got(f"{blob.shape[:1]} as its first axis", np.shape(array))
                raise ValueError(f"{what} {name!r} is not batch sized: {sizes}")
            getattr(blob, which)[...] = array

    def _batches(self, arrays: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Rows of the net's batch size, of all arrays together; zeros behind the last ones."""
        if not arrays:
            return
        size = self._batch_size
        for start in range(0, _num_rows(arrays), size):
            rows = {name: np.asarray(array[start : start + size]) for name, array in arrays.items()}
            yield {name: _padded(part, size) for name, part in rows.items()}

    @property
    def _batch_size(self) -> int:
        return next(iter(self.blobs.values())).shape[0]

    def _without_padding(self, outs: Mapping[str, list[Array]], arrays: Mapping[str, Any]) -> dict[str, Array]:
        num_rows, size = _num_rows(arrays), self._batch_size
        padding = -num_rows % size
        packed = {name: np.asarray(rows) for name, rows in outs.items()}
        return {name: rows[:num_rows] if len(rows) == num_rows + padding else rows for name, rows in packed.items()}


def _move(nets: Iterable[Net], device: torch.device) -> None:
    move_together([net._net for net in nets], lambda tensor: tensor.to(device))


def _options(arguments: Sequence[Any], **named: Any) -> dict[str, Any]:
    """Both forms of the constructor's arguments, as one. Raises: TypeError for anything else."""
    names = ["phase", "level", "stages", "weights"]
    if len(arguments) == 2 and isinstance(arguments[0], str | os.PathLike) and not isinstance(arguments[1], str):
        names = ["weights", "phase"]
    if len(arguments) > len(names):
        raise TypeError(f"Net: {expected_got(f'at most {len(names)} arguments behind the file', len(arguments))}")
    named.update(zip(names, arguments, strict=False))
    if named["phase"] is None:
        raise TypeError("Net: expected a phase, caffe.TRAIN or caffe.TEST")
    return named


def _num_rows(arrays: Mapping[str, Any]) -> int:
    sizes = {name: len(array) for name, array in arrays.items()}
    if len(set(sizes.values())) != 1:
        raise ValueError(expected_got("arrays with as many rows each", sizes or "none"))
    return next(iter(sizes.values()))


def _padded(rows: Array, size: int) -> Array:
    padding = np.zeros((size - len(rows), *rows.shape[1:]), rows.dtype)
    return np.concatenate([rows, padding]) if len(padding) else rows


def _collect(lists: dict[str, list[Array]], arrays: Mapping[str, Array]) -> None:
    """Append copies of the rows; a blob without axes, a loss, is one row."""
    for name, array in arrays.items():
        lists.setdefault(name, []).extend(np.atleast_1d(array.copy()))
