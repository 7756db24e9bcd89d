"""Labels as Caffe's blobs bring them: floats or integers, of any shape with the right count."""

from __future__ import annotations

from torch import Tensor

from caffe_compat.errors import DataError
from caffe_compat.glog import shape_text
from caffe_compat.layers.base import Layer
from caffe_compat.layers.shapes import Shape, count


def check_label_count(layer: Layer, scores: Shape, axis: int, labels: Shape) -> None:
    """One label per prediction: the scores' shape without its class axis.

    Raises: PrototxtError.
    """
    predictions = count(scores[:axis]) * count(scores[axis + 1 :])
    if count(labels) != predictions:
        raise layer.error(
            f"number of labels must match number of predictions: {predictions} for scores of shape "
            f"{shape_text(scores)} with classes along axis {axis}, got labels of shape {shape_text(labels)}",
            field="bottom",
        )


def class_indices(layer: Layer, labels: Tensor, num_classes: int, ignore_label: int | None) -> Tensor:
    """``labels`` as int64, checked on the CPU to be whole numbers in [0, num_classes) or ``ignore_label``.

    On a GPU torch's own losses check by device assertions; looking here would stop the stream.

    Raises: DataError naming the layer and the first wrong label.
    """
    indices = labels.detach().long()
    if labels.is_cuda:
        return indices
    is_wrong = (indices < 0) | (indices >= num_classes)
    if ignore_label is not None:
        is_wrong &= indices != ignore_label
    if labels.is_floating_point():
        is_wrong |= indices != labels
    if is_wrong.any():
        _raise_wrong_label(layer, labels[is_wrong][0].item(), num_classes, ignore_label)
    return indices


def row_indices(layer: Layer, indices: Tensor, bottom: int, num_rows: int) -> Tensor:
    """``indices``, the layer's bottom number ``bottom``, as int64 in [0, num_rows); fractions are cut off.

    Checked on the CPU only, as labels are.

    Raises: DataError naming the layer and the first wrong index.
    """
    if not indices.is_cuda:
        is_wrong = ~((indices >= 0) & (indices < num_rows))
        if is_wrong.any():
            raise DataError(
                f'index {indices[is_wrong][0].item():g} in blob "{layer.param.bottom[bottom]}": '
                f"expected a number in [0, {num_rows})",
                path=layer.context.path,
                layer=layer.param.name,
                layer_type=layer.param.type,
            )
    return indices.detach().long()


def _raise_wrong_label(layer: Layer, label: float, num_classes: int, ignore_label: int | None) -> None:
    ignored = "" if ignore_label is None else f" or {ignore_label} (ignored)"
    raise DataError(
        f'label {label:g} in blob "{layer.param.bottom[1]}": expected a whole number in [0, {num_classes}){ignored}',
        path=layer.context.path,
        layer=layer.param.name,
        layer_type=layer.param.type,
    )
