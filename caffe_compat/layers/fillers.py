"""How Caffe fills a new parameter blob: the types of ``FillerParameter``.

Random fillers draw from torch's global generator, so ``torch.manual_seed`` makes them repeatable.

Source: include/caffe/filler.hpp.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable

import torch
from torch import Tensor

from caffe_compat.errors import CaffeCompatError, PrototxtError, expected_got
from caffe_compat.proto import caffe_pb2

Filler = Callable[[Tensor, caffe_pb2.FillerParameter], None]


def fill(blob: Tensor, filler: caffe_pb2.FillerParameter) -> None:
    """Fill ``blob`` in place as ``filler`` says.

    Raises: PrototxtError whose ``field`` is the field of FillerParameter that is wrong.
    """
    fill_blob = _FILLERS.get(filler.type)
    if fill_blob is None:
        closest = difflib.get_close_matches(filler.type, _FILLERS, n=1)
        hint = f"; closest: {closest[0]}" if closest else ""
        raise PrototxtError(f"Unknown filler name: {filler.type}{hint}; known: {', '.join(_FILLERS)}", field="type")
    if filler.sparse != -1 and filler.type != "gaussian":
        raise PrototxtError(f"Sparsity not supported by the filler {filler.type}", field="sparse")
    with torch.no_grad():
        fill_blob(blob, filler)


def _outputs(blob: Tensor) -> int:
    """Size of the first axis. Raises: PrototxtError if there is none."""
    if blob.dim() == 0:
        raise PrototxtError(expected_got("a filler for a blob without axes", "one that counts outputs"), field="type")
    return blob.shape[0]


def _constant(blob: Tensor, filler: caffe_pb2.FillerParameter) -> None:
    """Every element is ``value``."""
    blob.fill_(filler.value)


def _uniform(blob: Tensor, filler: caffe_pb2.FillerParameter) -> None:
    """U(min, max)."""
    if filler.min > filler.max:
        raise PrototxtError(expected_got(f"at most max ({filler.max:g})", f"{filler.min:g}"), field="min")
    blob.uniform_(filler.min, filler.max)


def _gaussian(blob: Tensor, filler: caffe_pb2.FillerParameter) -> None:
    """N(mean, std^2); with ``sparse`` s >= 0 each element is kept with probability s / shape[0], else zero."""
    if not filler.std > 0:
        raise PrototxtError(expected_got("> 0", f"{filler.std:g}"), field="std")
    if filler.sparse < -1:
        raise PrototxtError(expected_got(">= -1", filler.sparse), field="sparse")
    blob.normal_(filler.mean, filler.std)
    if filler.sparse >= 0:
        keep = filler.sparse / _outputs(blob)
        if keep > 1:
            raise PrototxtError(expected_got(f"at most the {_outputs(blob)} outputs", filler.sparse), field="sparse")
        blob.mul_(torch.empty_like(blob).bernoulli_(keep))


def _positive_unitball(blob: Tensor, filler: caffe_pb2.FillerParameter) -> None:
    """U(0, 1), then scaled so that the elements of each output (index of the first axis) sum to 1."""
    rows = blob.uniform_(0, 1).reshape(_outputs(blob), -1)
    blob.copy_((rows / rows.sum(1, keepdim=True)).reshape(blob.shape))


def _fan(blob: Tensor, filler: caffe_pb2.FillerParameter) -> float:
    """n of the scaled fillers: FAN_IN = count / shape[0], FAN_OUT = count / shape[1], or their AVERAGE."""
    fan_in = blob.numel() / _outputs(blob)
    fan_out = blob.numel() / blob.shape[1] if blob.dim() > 1 else blob.numel()
    if filler.variance_norm == caffe_pb2.FillerParameter.AVERAGE:
        return (fan_in + fan_out) / 2
    return fan_out if filler.variance_norm == caffe_pb2.FillerParameter.FAN_OUT else fan_in


def _xavier(blob: Tensor, filler: caffe_pb2.FillerParameter) -> None:
    """U(-s, s) with s = sqrt(3 / n)."""
    scale = math.sqrt(3 / _fan(blob, filler))
    blob.uniform_(-scale, scale)


def _msra(blob: Tensor, filler: caffe_pb2.FillerParameter) -> None:
    """N(0, 2 / n)."""
    blob.normal_(0, math.sqrt(2 / _fan(blob, filler)))


def _bilinear(blob: Tensor, filler: caffe_pb2.FillerParameter) -> None:
    """Weights of bilinear upsampling in every square kernel, for Deconvolution."""
    if blob.dim() != 4 or blob.shape[2] != blob.shape[3]:
        raise PrototxtError(expected_got("a 4-d blob with square kernels", f"shape {tuple(blob.shape)}"), field="type")
    size = blob.shape[3]
    factor = math.ceil(size / 2)
    centre = (size - 1) / (2 * factor)
    line = 1 - (torch.arange(size, dtype=torch.float64) / factor - centre).abs()
    blob.copy_(torch.outer(line, line).expand(blob.shape))


def _blob_proto(blob: Tensor, filler: caffe_pb2.FillerParameter) -> None:
    """The blob stored in the BlobProto file ``source`` (the authors' filler for the confusion matrix)."""
    from caffe_compat.weights import read_blobproto_file

    if not filler.source:
        raise PrototxtError("expected the path of a BlobProto file, got none", field="source")
    try:
        values = read_blobproto_file(filler.source)
    except (CaffeCompatError, OSError) as exc:
        raise PrototxtError(str(exc), field="source") from exc
    if _without_leading_ones(values.shape) != _without_leading_ones(tuple(blob.shape)):
        wanted = f"shape {tuple(blob.shape)}"
        raise PrototxtError(f"{filler.source}: {expected_got(wanted, tuple(values.shape))}", field="source")
    blob.copy_(torch.from_numpy(values).reshape(blob.shape))


def _without_leading_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Old blobs always have four axes, (1, 1, L, L) for an L x L matrix."""
    first = next((axis for axis, size in enumerate(shape) if size != 1), len(shape))
    return tuple(shape[first:])


_FILLERS: dict[str, Filler] = {
    "constant": _constant,
    "uniform": _uniform,
    "gaussian": _gaussian,
    "positive_unitball": _positive_unitball,
    "xavier": _xavier,
    "msra": _msra,
    "bilinear": _bilinear,
    "blob_proto": _blob_proto,
}
