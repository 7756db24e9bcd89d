"""From the net that is trained on noisy labels to the one that judges them: both branches, in the TEST phase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caffe_compat.errors import PrototxtError, expected_got
from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt.deploy import NOISY_LABEL_LOSS, layers_leading_to, read_from_outside, without_training
from caffe_compat.prototxt.filtering import filter_net

LOSS, P_TRUE, P_TYPE, POSTERIOR = "-Q", "p(y|x)", "p(z|x)", "p(y,z|noisy,x)"  # names that no net gives its blobs


@dataclass(frozen=True)
class ScoringNet:
    """A net that reads images and noisy labels from outside.

    Attributes:
        net: the two branches and the label noise layer, whose tops are ``LOSS``, ``P_TRUE``, ``P_TYPE`` and
            ``POSTERIOR``; it lacks inputs (``deploy.with_inputs``) and is to be built in the TEST phase.
        image, noisy_label: the blobs it reads.
        noise_layer: the name of the label noise layer.
        transform: what the trained net does to its images, without mirroring.
    """

    net: caffe_pb2.NetParameter
    image: str
    noisy_label: str
    noise_layer: str
    transform: caffe_pb2.TransformationParameter


def scoring_net(trained: caffe_pb2.NetParameter, path: str | None = None) -> ScoringNet:
    """The scoring net of ``trained`` (in the current format), taken from its layers of the TRAIN phase.

    C is not read from the file that the trained net started with: it comes with the weights.

    Raises: PrototxtError unless there is one SoftmaxWithNoisyLabelLoss, and its scores come from one image blob.
    """
    layers = filter_net(trained, caffe_pb2.NetState(phase=caffe_pb2.TRAIN), path).layer
    noise_layers = [layer for layer in layers if layer.type == NOISY_LABEL_LOSS]
    if len(noise_layers) != 1:
        problem = f"layers of type {NOISY_LABEL_LOSS} in the TRAIN phase: {expected_got('1', len(noise_layers))}"
        raise PrototxtError(f"{problem}; a net without one does not judge labels", path=path)
    noise_layer = without_training(noise_layers[0])
    noise_layer.top[:] = [LOSS, P_TRUE, P_TYPE, POSTERIOR]
    net = caffe_pb2.NetParameter(name=trained.name)
    net.layer.extend(without_training(layer) for layer in layers_leading_to(noise_layer.bottom[:2], layers))
    images = read_from_outside(net)
    if len(images) != 1:
        wanted = expected_got("one blob of images", ", ".join(images) or "none")
        raise PrototxtError(f"what the two branches read: {wanted}", path=path)
    net.layer.append(noise_layer)
    return ScoringNet(net, images[0], noise_layer.bottom[2], noise_layer.name, _transform(layers, images[0]))


def _transform(layers: Sequence[caffe_pb2.LayerParameter], image: str) -> caffe_pb2.TransformationParameter:
    """That of the layer which makes ``image``; none if the net is fed."""
    transform = caffe_pb2.TransformationParameter()
    for layer in layers:
        if image in layer.top:
            transform.CopyFrom(layer.transform_param)
            transform.force_color |= layer.data_param.force_encoded_color
    transform.ClearField("mirror")
    return transform
