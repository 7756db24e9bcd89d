"""From a net that is trained and tested to one that predicts: no data, no losses, no labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from google.protobuf.message import Message

from caffe_compat.errors import PrototxtError
from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt.fields import is_repeated
from caffe_compat.prototxt.filtering import filter_net

NOISY_LABEL_LOSS = "SoftmaxWithNoisyLabelLoss"
_ACTIVATIONS = {
    "SoftmaxWithLoss": "Softmax",
    NOISY_LABEL_LOSS: "Softmax",
    "InfogainLoss": "Softmax",
    "SigmoidCrossEntropyLoss": "Sigmoid",
}
_NO_PREDICTION = ("Accuracy", "Silence", "HDF5Output")
_ONLY_FOR_TRAINING = ("include", "exclude", "loss_weight", "propagate_down")


def prediction_net(net: caffe_pb2.NetParameter, path: str | None = None) -> caffe_pb2.NetParameter:
    """The layers of ``net`` (in the current format) that lead to what its losses look at, in the TEST phase.

    Losses become Softmax or Sigmoid layers called "prob"; scores of a loss of another kind are what the net gives.
    Scores of the noise type, those that a SoftmaxWithNoisyLabelLoss has as its second bottom, count as no prediction,
    so their branch is left out. Data layers are left out too: see ``read_from_outside``.

    Raises: PrototxtError if there is nothing to predict.
    """
    layers = filter_net(net, caffe_pb2.NetState(phase=caffe_pb2.TEST), path).layer
    type_scores = {layer.bottom[1] for layer in net.layer if layer.type == NOISY_LABEL_LOSS and len(layer.bottom) > 1}
    losses = _one_per_blob([layer for layer in layers if _is_loss(layer) and layer.bottom[0] not in type_scores])
    if not losses:
        raise PrototxtError("no loss in the TEST phase, so there is nothing to tell what the net predicts", path=path)
    predicting = caffe_pb2.NetParameter(name=net.name)
    for layer in layers_leading_to([loss.bottom[0] for loss in losses], layers):
        predicting.layer.append(without_training(layer))
    heads = [loss for loss in losses if loss.type in _ACTIVATIONS]
    for loss in heads:
        name = "prob" if len(heads) == 1 else f"prob_{loss.bottom[0]}"
        predicting.layer.append(_activation(loss, name))
    return predicting


def read_from_outside(net: caffe_pb2.NetParameter) -> list[str]:
    """The blobs that layers of ``net`` read and no layer before them makes."""
    made: set[str] = set()
    missing: dict[str, None] = {}
    for layer in net.layer:
        missing.update((blob, None) for blob in layer.bottom if blob not in made)
        made.update(layer.top)
    return list(missing)


def with_inputs(net: caffe_pb2.NetParameter, shapes: Mapping[str, Sequence[int]]) -> caffe_pb2.NetParameter:
    """The net with an Input layer for each of ``shapes`` before its layers."""
    result = caffe_pb2.NetParameter(name=net.name)
    for blob, shape in shapes.items():
        layer = result.layer.add(name=blob, type="Input", top=[blob])
        layer.input_param.shape.add(dim=shape)
    result.layer.extend(net.layer)
    return result


def _is_loss(layer: caffe_pb2.LayerParameter) -> bool:
    return "Loss" in layer.type and len(layer.bottom) > 0


def _one_per_blob(losses: Sequence[caffe_pb2.LayerParameter]) -> list[caffe_pb2.LayerParameter]:
    return list({loss.bottom[0]: loss for loss in reversed(losses)}.values())[::-1]


def layers_leading_to(
    blobs: Sequence[str], layers: Sequence[caffe_pb2.LayerParameter]
) -> list[caffe_pb2.LayerParameter]:
    """The layers that make ``blobs``, and what those read, without data layers."""
    needed, kept = set(blobs), []
    for layer in reversed(layers):
        is_source = not layer.bottom and layer.type != "Parameter"
        if is_source or _is_loss(layer) or layer.type in _NO_PREDICTION or not needed.intersection(layer.top):
            continue
        needed.update(layer.bottom)
        kept.append(layer)
    return kept[::-1]


def _activation(loss: caffe_pb2.LayerParameter, name: str) -> caffe_pb2.LayerParameter:
    layer = caffe_pb2.LayerParameter(name=name, type=_ACTIVATIONS[loss.type], bottom=[loss.bottom[0]], top=[name])
    if loss.type == "InfogainLoss" and loss.infogain_loss_param.HasField("axis"):
        layer.softmax_param.axis = loss.infogain_loss_param.axis
    elif loss.HasField("softmax_param"):
        layer.softmax_param.CopyFrom(loss.softmax_param)
    return layer


def without_training(layer: caffe_pb2.LayerParameter) -> caffe_pb2.LayerParameter:
    """The layer without rates, fillers and rules; of its ``param`` only names that share a blob are left."""
    clean = caffe_pb2.LayerParameter()
    clean.CopyFrom(layer)
    for name in _ONLY_FOR_TRAINING:
        clean.ClearField(name)
    for param in clean.param:
        param.ClearField("lr_mult")
        param.ClearField("decay_mult")
    if not any(param.name for param in clean.param):
        del clean.param[:]
    for field, options in clean.ListFields():
        if field.message_type is not None and not is_repeated(field):
            _clear_fillers(options)
    return clean


def _clear_fillers(options: Message) -> None:
    for field, _ in options.ListFields():
        if field.message_type is caffe_pb2.FillerParameter.DESCRIPTOR:
            options.ClearField(field.name)
