"""Edits of the joint net (``edits``) that put something simpler in the place of the noise type net."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath

from caffe_compat.datasets import layout
from caffe_compat.evaluation.experiments.edits import noisy_losses
from caffe_compat.proto import caffe_pb2
from caffe_compat.proto.caffe_pb2 import LayerParameter, NetParameter, SolverParameter
from caffe_compat.prototxt.deploy import NOISY_LABEL_LOSS

_TYPES = "_ntype"  # what all names of the noise type net end in


def constant_types(solver: SolverParameter, net: NetParameter) -> None:
    """p(z|x) is the same for all images: the noise types' frequencies among the pairs; no noise type net is left.

    The scores come from a linear layer of zero weights, whose bias is the log of the frequencies.
    """
    noisy_loss = noisy_losses(net)[0]
    _remove(net, lambda layer: layer.name.endswith(_TYPES))
    layer = _linear_layer("log_prior_ntype", noisy_loss.bottom[0], noisy_loss)
    for _ in range(2):
        layer.param.add(lr_mult=0, decay_mult=0)
    _insert_before(net, lambda each: each.type == NOISY_LABEL_LOSS, layer)


def types_of_class(solver: SolverParameter, net: NetParameter) -> None:
    """p(z|x) of the predicted class: a linear layer over p(y|x), trained by the same losses as the noise type net was.

    It starts from the frequencies, at the rate of the last layer of a noise type net, and without decay, which would
    pull each class's types towards equal ones. None of its gradient reaches p(y|x).
    """
    noisy_loss = noisy_losses(net)[0]
    kept = ("Data", "SoftmaxWithLoss")
    _remove(net, lambda layer: layer.name.endswith(_TYPES) and layer.type not in kept)
    classes = LayerParameter(
        name="classes_ntype",
        type="Softmax",
        bottom=[noisy_loss.bottom[0]],
        top=["classes_ntype"],
        propagate_down=[False],
    )
    classes.include.add(phase=caffe_pb2.TRAIN)
    layer = _linear_layer("of_class_ntype", classes.top[0], noisy_loss)
    for rate in (10, 20):
        layer.param.add(lr_mult=rate, decay_mult=0)
    _insert_before(net, lambda each: noisy_loss.bottom[1] in each.bottom, classes, layer)


def _linear_layer(name: str, bottom: str, noisy_loss: LayerParameter) -> LayerParameter:
    """A linear layer that gives the noise type scores: at first the log of the types' frequencies."""
    layer = LayerParameter(name=name, type="InnerProduct", bottom=[bottom], top=[noisy_loss.bottom[1]])
    layer.include.add(phase=caffe_pb2.TRAIN)
    layer.inner_product_param.num_output = 3
    layer.inner_product_param.weight_filler.type = "constant"
    layer.inner_product_param.bias_filler.type = "blob_proto"
    confusion = PurePosixPath(noisy_loss.softmax_noisy_label_loss_param.matrix_c_filler.source)
    layer.inner_product_param.bias_filler.source = str(confusion.with_name(layout.NOISE_TYPE_LOG_PRIOR))
    return layer


def _remove(net: NetParameter, unwanted: Callable[[LayerParameter], bool]) -> None:
    kept = [layer for layer in net.layer if not unwanted(layer)]
    del net.layer[:]
    net.layer.extend(kept)


def _insert_before(net: NetParameter, wanted: Callable[[LayerParameter], bool], *layers: LayerParameter) -> None:
    """Put ``layers`` before the first one that is ``wanted``."""
    at = next(position for position, each in enumerate(net.layer) if wanted(each))
    for layer in reversed(layers):
        net.layer.insert(at, layer)
