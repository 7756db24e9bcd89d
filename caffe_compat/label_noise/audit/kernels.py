"""The implementations under audit, behind one face: numbers in, numbers out, in float64 arrays.

- ``Extension``: what users run, through PyTorch, on the CPU or a GPU.
- ``Harness``: a library of csrc/audit/, through ctypes: the header's formulas alone, or the CUDA kernels' file
  compiled for the host.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from caffe_compat.arrays import FloatArray
from caffe_compat.label_noise.audit.batches import Batch

FLOAT32, FLOAT64 = "float32", "float64"
DTYPES = (FLOAT32, FLOAT64)
UNIT_ROUNDOFF = {FLOAT32: 2.0**-24, FLOAT64: 2.0**-53}


@dataclass(frozen=True)
class Answers:
    """What the forward function gives for B rows and L classes.

    Attributes:
        loss: (B), -log S, or -Q where that was asked for.
        grad_y, grad_z: (B, L), (B, 3), the gradient of each row's loss times ``scale``, that of the noise types
            also times ``update_noise_lr``.
        p, t, q, r: (B, L), (B, 3), (B, L), (B, 3); posterior: (B, L, 3).
    """

    loss: FloatArray
    grad_y: FloatArray
    grad_z: FloatArray
    p: FloatArray
    t: FloatArray
    q: FloatArray
    r: FloatArray
    posterior: FloatArray


class Kernels(Protocol):
    """An implementation. ``name`` is its column in the report."""

    name: str

    def forward(
        self, batch: Batch, dtype: str, want_q: bool = False, scale: float = 1, update_noise_lr: float = 1
    ) -> Answers: ...

    def backward(
        self, grad_loss: FloatArray, grad_y: FloatArray, grad_z: FloatArray, dtype: str
    ) -> tuple[FloatArray, FloatArray]:
        """Eq. 7's gradients of whole losses: grad_loss (B) or (), grad_y (B, L) and grad_z (B, 3) as forward gave."""
        ...

    def mean(self, losses: FloatArray, divisor: float, dtype: str) -> float: ...


class Extension:
    """``caffe_compat._C`` on a device."""

    def __init__(self, device: str = "cpu") -> None:
        import torch

        from caffe_compat.label_noise import ops

        self.name, self._torch, self._extension = device, torch, ops.extension()

    def forward(
        self, batch: Batch, dtype: str, want_q: bool = False, scale: float = 1, update_noise_lr: float = 1
    ) -> Answers:
        torch = self._torch
        scores = [self._scores(array, batch, dtype) for array in (batch.scores_y, batch.scores_z)]
        noisy = torch.from_numpy(batch.noisy).to(self.name)
        if batch.is_strided:
            noisy = torch.stack([noisy, noisy], dim=1)[:, 0]
        confusion = torch.from_numpy(batch.confusion).to(self.name, getattr(torch, dtype))
        results = self._extension.label_noise_forward(
            *scores, noisy, confusion, want_q, True, True, scale, update_noise_lr
        )
        loss, grad_y, grad_z, p, t, q, r, posterior = (result.cpu().double().numpy() for result in results)
        return Answers(loss, grad_y, grad_z, p, t, q, r, posterior)

    def backward(
        self, grad_loss: FloatArray, grad_y: FloatArray, grad_z: FloatArray, dtype: str
    ) -> tuple[FloatArray, FloatArray]:
        torch = self._torch
        tensors = [torch.as_tensor(x).to(self.name, getattr(torch, dtype)) for x in (grad_loss, grad_y, grad_z)]
        in_y, in_z = self._extension.label_noise_backward(*tensors, False)
        return in_y.cpu().double().numpy(), in_z.cpu().double().numpy()

    def mean(self, losses: FloatArray, divisor: float, dtype: str) -> float:
        """Through a whole loss: scores for which -log S, here log(1 + e^score), is what is wanted."""
        torch = self._torch
        scores = torch.zeros(len(losses), 2, dtype=getattr(torch, dtype), device=self.name)
        scores[:, 1] = torch.as_tensor(np.log(np.expm1(losses))).to(scores)
        noise_types = torch.tensor([[0.0, -1e30, -1e30]], dtype=scores.dtype, device=self.name).repeat(len(losses), 1)
        noisy = torch.zeros(len(losses), dtype=torch.int64, device=self.name)
        confusion = torch.zeros(2, 2, dtype=scores.dtype, device=self.name)
        result = self._extension.label_noise_loss(scores, noise_types, noisy, confusion, 1.0, False, divisor, False)
        return float(result[0])

    def _scores(self, values: FloatArray, batch: Batch, dtype: str) -> Any:
        torch = self._torch
        kind = torch.bfloat16 if batch.is_bfloat16 and dtype == FLOAT32 else getattr(torch, dtype)
        scores = torch.from_numpy(values).to(self.name, kind)
        return scores.t().contiguous().t() if batch.is_strided else scores


class Harness:
    """A compiled library of csrc/audit/: see ``building``."""

    def __init__(self, name: str, library: Path) -> None:
        self.name = name
        self._library = ctypes.CDLL(str(library), mode=ctypes.RTLD_LOCAL)

    def forward(
        self, batch: Batch, dtype: str, want_q: bool = False, scale: float = 1, update_noise_lr: float = 1
    ) -> Answers:
        size, num_classes = batch.scores_y.shape
        inputs = [np.ascontiguousarray(x, dtype) for x in (batch.scores_y, batch.scores_z, batch.confusion)]
        noisy = np.ascontiguousarray(batch.noisy, np.int64)
        shapes = {
            "loss": (size,),
            "grad_y": (size, num_classes),
            "grad_z": (size, 3),
            "p": (size, num_classes),
            "t": (size, 3),
            "q": (size, num_classes),
            "r": (size, 3),
            "posterior": (size, num_classes, 3),
        }
        outputs = {name: np.full(shape, np.nan, dtype) for name, shape in shapes.items()}
        scratch = np.zeros((2, size, num_classes), dtype)
        args = _ForwardArgs[dtype](
            *(_address(array) for array in (inputs[0], inputs[1], noisy, inputs[2])),
            size,
            num_classes,
            want_q,
            scale,
            update_noise_lr,
            *(_address(array) for array in (*outputs.values(), scratch)),
        )
        getattr(self._library, f"forward_{dtype}")(ctypes.byref(args))
        return Answers(*(outputs[field.name].astype(np.float64) for field in fields(Answers)))

    def backward(
        self, grad_loss: FloatArray, grad_y: FloatArray, grad_z: FloatArray, dtype: str
    ) -> tuple[FloatArray, FloatArray]:
        weight, in_y, in_z = (np.ascontiguousarray(x, dtype) for x in (grad_loss, grad_y, grad_z))
        out_y, out_z = np.full_like(in_y, np.nan), np.full_like(in_z, np.nan)
        args = _BackwardArgs(
            _address(weight),
            np.ndim(grad_loss),
            _address(in_y),
            _address(in_z),
            *in_y.shape,
            _address(out_y),
            _address(out_z),
        )
        getattr(self._library, f"backward_{dtype}")(ctypes.byref(args))
        return out_y.astype(np.float64), out_z.astype(np.float64)

    def mean(self, losses: FloatArray, divisor: float, dtype: str) -> float:
        function = getattr(self._library, f"mean_{dtype}")
        function.restype = ctypes.c_float if dtype == FLOAT32 else ctypes.c_double
        function.argtypes = [ctypes.c_double, ctypes.c_double]
        return float(function(float(np.asarray(losses, dtype).astype(np.float64).sum()), divisor))

    def exp_and_log(self, numbers: FloatArray, dtype: str) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Of each number: exp as mantissa and exponent of 2, and log. (N) each."""
        x = np.ascontiguousarray(numbers, dtype)
        results = [np.full_like(x, np.nan) for _ in range(3)]
        function = getattr(self._library, f"exp_and_log_{dtype}")
        function.argtypes = [ctypes.c_void_p, ctypes.c_int64, *[ctypes.c_void_p] * 3]
        function(_address(x), len(x), *map(_address, results))
        mantissa, exponent, log = (result.astype(np.float64) for result in results)
        return mantissa, exponent, log


def _address(array: npt.NDArray[Any]) -> int:
    return int(array.ctypes.data)


def _forward_args(real: Any) -> type[ctypes.Structure]:
    class ForwardArgs(ctypes.Structure):
        """ForwardArgs of csrc/label_noise.h."""

        _fields_ = [
            *((name, ctypes.c_void_p) for name in ("scores_y", "scores_z", "noisy", "confusion")),
            ("batch_size", ctypes.c_int64),
            ("num_classes", ctypes.c_int),
            ("want_q", ctypes.c_bool),
            ("scale", real),
            ("update_noise_lr", real),
            *((field.name, ctypes.c_void_p) for field in fields(Answers)),
            ("scratch", ctypes.c_void_p),
        ]

    return ForwardArgs


class _BackwardArgs(ctypes.Structure):
    """BackwardArgs of csrc/label_noise.h."""

    _fields_ = [
        ("grad_loss", ctypes.c_void_p),
        ("grad_loss_stride", ctypes.c_int64),
        ("grad_y", ctypes.c_void_p),
        ("grad_z", ctypes.c_void_p),
        ("batch_size", ctypes.c_int64),
        ("num_classes", ctypes.c_int),
        ("grad_scores_y", ctypes.c_void_p),
        ("grad_scores_z", ctypes.c_void_p),
    ]


_ForwardArgs = {FLOAT32: _forward_args(ctypes.c_float), FLOAT64: _forward_args(ctypes.c_double)}
