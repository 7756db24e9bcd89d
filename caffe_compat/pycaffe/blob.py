"""Blobs: the tensors that layers work on, seen as numpy arrays. Source: python/caffe/_caffe.cpp, src/caffe/blob.cpp."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from caffe_compat.layers.python_blobs import Array, Shaped, checked_shape


class Blob(Shaped):
    """``data`` and ``diff``, of one shape, as arrays to read and write.

    On the CPU they are the memory itself, on a GPU copies: what is written into one goes back before the net next uses
    the blob (Caffe's SyncedMemory), and the array does not change with the blob after that.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self._handed_out: dict[str, Array] = {}  # copies that may have been written into

    @property
    def data(self) -> Array:
        return self._array("data")

    @property
    def diff(self) -> Array:
        return self._array("diff")

    def reshape(self, *shape: int) -> None:
        raise NotImplementedError

    def data_tensor(self) -> Tensor:
        """The data where the net computes, without a graph; a view of the real memory."""
        return self._tensor("data")

    def diff_tensor(self) -> Tensor:
        return self._tensor("diff")

    def write_back(self) -> None:
        """Bring what was written into copies to the GPU."""
        for which, copy in self._handed_out.items():
            self._memory(which).copy_(torch.from_numpy(copy))
        self._handed_out.clear()

    def _array(self, which: str) -> Array:
        memory = self._memory(which)
        if memory.is_cpu:
            return memory.numpy()
        if which not in self._handed_out:
            self._handed_out[which] = memory.cpu().numpy()
        return self._handed_out[which]

    def _tensor(self, which: str) -> Tensor:
        self.write_back()
        return self._memory(which)

    def _memory(self, which: str) -> Tensor:
        raise NotImplementedError


class NetBlob(Blob):
    """A bottom or top. Its memory stays the same, pass after pass, until it needs more than ever before.

    Args:
        like: an empty tensor of the device and type.
        loss_weight: what ``diff`` holds from the start, as in Caffe: the gradient of the loss.
        source: a blob to share ``data`` with, as the tops of a Split layer do.
    """

    def __init__(
        self, shape: tuple[int, ...], like: Tensor, loss_weight: float = 0.0, source: NetBlob | None = None
    ) -> None:
        super().__init__(shape)
        self.source = source
        self._loss_weight = loss_weight
        self._like = like
        self._storage: dict[str, Tensor] = {}  # flat; made when first used

    def reshape(self, *shape: int) -> None:
        """Give data and diff another shape. The numbers stay unless there are to be more than ever before."""
        self.write_back()
        self._shape = checked_shape(shape)

    def put(self, which: str, values: Tensor) -> None:
        """Take on the numbers of ``values``, and its shape.

        Through ``Tensor.data``, so that autograd lets gradients be computed from what the memory holds now, as Caffe
        does.
        """
        self._handed_out.pop(which, None)
        if values.shape != self._shape:
            self.reshape(*values.shape)
        self._memory(which).data.copy_(values)

    def move(self, change: Callable[[Tensor], Tensor]) -> None:
        """Apply ``change``, to another device or type, to the memory (see ``nn.Module._apply``)."""
        self.write_back()
        self._like = change(self._like)
        self._storage = {which: change(storage) for which, storage in self._storage.items()}

    def _memory(self, which: str) -> Tensor:
        if which == "data" and self.source is not None:
            return self.source._flat("data", self.count).view(self._shape)
        return self._flat(which, self.count).view(self._shape)

    def _flat(self, which: str, count: int) -> Tensor:
        storage = self._storage.get(which)
        if storage is None or storage.numel() < count:
            value = self._loss_weight if which == "diff" else 0.0
            self._storage[which] = storage = self._like.new_full((count,), value)
        return storage[:count]


class ParameterBlob(Blob):
    """A parameter of a layer; ``diff`` is its gradient, which backward passes add to."""

    def __init__(self, parameter: nn.Parameter, shape: Sequence[int]) -> None:
        super().__init__(tuple(shape))
        self.parameter = parameter

    def reshape(self, *shape: int) -> None:
        """Raises: ValueError unless it is the shape that the parameter has: its layer computes with that one."""
        if checked_shape(shape) != self._shape:
            raise ValueError(f"a parameter of shape {self._shape} cannot become {shape}, of {math.prod(shape)} numbers")

    def clear_diff(self) -> None:
        self._handed_out.pop("diff", None)
        if self.parameter.grad is not None:
            self.parameter.grad.zero_()

    def _memory(self, which: str) -> Tensor:
        if which == "data":
            return self.parameter.detach().view(self._shape)
        if self.parameter.grad is None:
            self.parameter.grad = torch.zeros_like(self.parameter)
        return self.parameter.grad.view(self._shape)
