"""Python: a layer whose code the user writes.

Source: include/caffe/layers/python_layer.hpp, GetPythonLayer in src/caffe/layer_factory.cpp.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from caffe_compat.layers.base import Layer, register
from caffe_compat.layers.python_blobs import Blob
from caffe_compat.layers.shapes import Shape
from caffe_compat.proto import caffe_pb2


class UserLayer:
    """What the user's class derives from (pycaffe's ``caffe.Layer``).

    The class has ``setup(bottom, top)``, called once, ``reshape(bottom, top)`` and ``forward(bottom, top)``, both
    called in every forward pass, and ``backward(top, propagate_down, bottom)``; bottom and top are lists of Blobs.

    Attributes:
        type: "Python".
        param_str: ``python_param { param_str }``.
        phase: 0 for TRAIN, 1 for TEST.
        blobs: the parameter blobs; ``self.blobs.add_blob(2, 3)`` in ``setup`` makes one, of zeros. ``backward``
            writes their gradients of this pass into ``diff``, which is zero before.
    """

    type = "Python"
    param_str: str
    phase: int
    blobs: ParameterBlobs

    def __init__(self, layer_param: caffe_pb2.LayerParameter) -> None:
        self.layer_param = layer_param


class ParameterBlobs(list[Blob]):
    """The parameter blobs of a Python layer."""

    def __init__(self, add: Callable[[Shape], Blob]) -> None:
        super().__init__()
        self._add = add

    def add_blob(self, *shape: int) -> None:
        self.append(self._add(shape))


@register("Python")
class Python(Layer):
    """``layer``, a class in ``module``, does the work on arrays in the CPU's memory.

    The blobs live as long as the layer, as in Caffe: what is written into a top or a ``diff`` stays there until it is
    overwritten, and the backward pass sees the data of the last forward pass. An exception of the user's code comes
    out as it is, with a note that names the layer.
    """

    bottoms = (0, None)
    tops = (0, None)
    _like: Tensor

    def open(self) -> None:
        self.register_buffer("_like", torch.empty(0), persistent=False)
        self.forwards = 0
        self.user = self._construct()

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        self._bottom = [Blob(shape) for shape in bottom_shapes]
        known = dict(zip(self.param.bottom, self._bottom, strict=True))
        self._top = [known.get(name) or Blob() for name in self.param.top]  # in place: one blob
        self._weights = ParameterBlobs(self._add_parameter)
        self.user.param_str = self.param.python_param.param_str
        self.user.phase = self.phase
        self.user.blobs = self._weights
        self._call("setup", self._bottom, self._top)

    def top_shapes(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        for blob, shape in zip(self._bottom, bottom_shapes, strict=True):
            blob.reshape(*shape)
        self._call("reshape", self._bottom, self._top)
        return [blob.shape for blob in self._top]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        if not self._top:
            return self.run_forward(bottoms)
        return _UserFunction.apply(self, len(bottoms), *bottoms, *self.shaped_blobs())

    def run_forward(self, bottoms: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The user's reshape and forward on the numbers of ``bottoms``."""
        self.forwards += 1
        dtype = self._like.cpu().numpy().dtype
        for blob in (*self._bottom, *self._top, *self._weights):
            blob.set_type(dtype)
        for blob, bottom in zip(self._bottom, bottoms, strict=True):
            blob.reshape(*bottom.shape)
            blob.data[...] = bottom.detach().cpu().numpy()
        self._call("reshape", self._bottom, self._top)
        self._call("forward", self._bottom, self._top)
        return tuple(self._tensor(blob.data) for blob in self._top)

    def run_backward(self, top_diffs: Sequence[Tensor], propagate_down: Sequence[bool]) -> list[Tensor]:
        """The user's backward: the gradients of the bottoms, then of the parameters."""
        for blob, diff in zip(self._top, top_diffs, strict=True):
            blob.diff[...] = diff.cpu().numpy()
        for blob in self._weights:
            blob.diff[...] = 0
        self._call("backward", self._top, list(propagate_down), self._bottom)
        return [self._tensor(blob.diff) for blob in (*self._bottom, *self._weights)]

    def _tensor(self, array: Any) -> Tensor:
        return torch.from_numpy(array.copy()).to(self._like)

    def _add_parameter(self, shape: Shape) -> Blob:
        self.add_blob(shape, caffe_pb2.FillerParameter())
        blob = Blob(shape)
        blob.show(self.blobs[-1].detach().numpy())
        return blob

    # --- the user's code ------------------------------------------------------------------------------------

    def _construct(self) -> Any:
        options = self.param.python_param
        module = self._import(options.module)
        if not hasattr(module, options.layer):
            near = difflib.get_close_matches(options.layer, dir(module), n=1)
            hint = f"; closest: {near[0]}" if near else ""
            raise self.error(f'module "{options.module}" has no "{options.layer}"{hint}', field="python_param.layer")
        with self._named("__init__"):
            user = getattr(module, options.layer)(self.param)
        missing = [name for name in ("setup", "reshape", "forward") if not callable(getattr(user, name, None))]
        if missing:
            raise self.error(f'"{options.layer}" has no {" and no ".join(missing)}', field="python_param.layer")
        return user

    def _import(self, name: str) -> ModuleType:
        if not name:
            raise self.error("expected the name of a module", field="python_param.module")
        try:
            with self._named("import"):
                return importlib.import_module(name)
        except ModuleNotFoundError as exc:
            if exc.name and f"{name}.".startswith(f"{exc.name}."):  # not one that the user's module wants
                raise self.error(f'no module "{name}" on sys.path', field="python_param.module") from exc
            raise

    def _call(self, method: str, *arguments: Any) -> None:
        """Call the user's ``method`` with the parameters where it can read and write them."""
        for index, blob in enumerate(self._weights):
            blob.show(self.blob(index).detach().cpu().numpy())
        with self._named(method):
            getattr(self.user, method)(*arguments)
        if not self._like.is_cpu:
            for index, blob in enumerate(self._weights):
                self.blob(index).data.copy_(torch.from_numpy(blob.data))

    @contextmanager
    def _named(self, what: str) -> Iterator[None]:
        """Let exceptions of the user's code say where they are from."""
        options = self.param.python_param
        try:
            yield
        except Exception as exc:
            exc.add_note(f'in layer "{self.param.name}" (Python), {options.module}.{options.layer}: {what}')
            raise


class _UserFunction(torch.autograd.Function):
    """The user's forward and backward as one operation on the bottoms and the parameters."""

    @staticmethod
    def forward(ctx: Any, layer: Python, num_bottoms: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        tops = layer.run_forward(tensors[:num_bottoms])
        ctx.layer, ctx.num_bottoms, ctx.number = layer, num_bottoms, layer.forwards
        return tops

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *top_diffs: Tensor) -> tuple[Tensor | None, ...]:
        layer, needed = ctx.layer, ctx.needs_input_grad[2:]
        if ctx.number != layer.forwards:
            raise RuntimeError(
                f'layer "{layer.param.name}" (Python) has run forward again: its blobs, which backward reads, are new'
            )
        gradients = layer.run_backward(top_diffs, needed[: ctx.num_bottoms])
        return None, None, *(diff if need else None for diff, need in zip(gradients, needed, strict=True))
