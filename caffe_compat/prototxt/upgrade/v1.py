"""``layers { type: CONVOLUTION blobs_lr: 1 }`` (V1) becomes ``layer { type: "Convolution" param { lr_mult: 1 } }``."""

from __future__ import annotations

from collections.abc import Sequence

from caffe_compat.errors import PrototxtError
from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt.fields import copy_field

_V1 = caffe_pb2.V1LayerParameter

_TYPES = {
    _V1.NONE: "",
    _V1.ABSVAL: "AbsVal",
    _V1.ACCURACY: "Accuracy",
    _V1.ARGMAX: "ArgMax",
    _V1.BNLL: "BNLL",
    _V1.CONCAT: "Concat",
    _V1.CONTRASTIVE_LOSS: "ContrastiveLoss",
    _V1.CONVOLUTION: "Convolution",
    _V1.DATA: "Data",
    _V1.DECONVOLUTION: "Deconvolution",
    _V1.DROPOUT: "Dropout",
    _V1.DUMMY_DATA: "DummyData",
    _V1.ELTWISE: "Eltwise",
    _V1.EUCLIDEAN_LOSS: "EuclideanLoss",
    _V1.EXP: "Exp",
    _V1.FLATTEN: "Flatten",
    _V1.HDF5_DATA: "HDF5Data",
    _V1.HDF5_OUTPUT: "HDF5Output",
    _V1.HINGE_LOSS: "HingeLoss",
    _V1.IM2COL: "Im2col",
    _V1.IMAGE_DATA: "ImageData",
    _V1.INFOGAIN_LOSS: "InfogainLoss",
    _V1.INNER_PRODUCT: "InnerProduct",
    _V1.LRN: "LRN",
    _V1.MEMORY_DATA: "MemoryData",
    _V1.MULTINOMIAL_LOGISTIC_LOSS: "MultinomialLogisticLoss",
    _V1.MVN: "MVN",
    _V1.POOLING: "Pooling",
    _V1.POWER: "Power",
    _V1.RELU: "ReLU",
    _V1.SIGMOID: "Sigmoid",
    _V1.SIGMOID_CROSS_ENTROPY_LOSS: "SigmoidCrossEntropyLoss",
    _V1.SILENCE: "Silence",
    _V1.SLICE: "Slice",
    _V1.SOFTMAX: "Softmax",
    _V1.SOFTMAX_LOSS: "SoftmaxWithLoss",
    _V1.SPLIT: "Split",
    _V1.TANH: "TanH",
    _V1.THRESHOLD: "Threshold",
    _V1.WINDOW_DATA: "WindowData",
}

# Repeated V1 fields, one value a parameter blob, and the field of ParamSpec that each becomes.
_PARAM_SPECS = {
    "param": "name",
    "blob_share_mode": "share_mode",
    "blobs_lr": "lr_mult",
    "weight_decay": "decay_mult",
}
_CHANGED = {"type", "layer", *_PARAM_SPECS}


def is_needed(net: caffe_pb2.NetParameter) -> bool:
    return len(net.layers) > 0


def upgrade(net: caffe_pb2.NetParameter, path: str | None) -> None:
    """Raises: PrototxtError for a net with layers in both formats."""
    if net.layer:
        raise PrototxtError(
            "Refusing to upgrade inconsistent NetParameter input; the definition includes both 'layer' and 'layers' "
            "fields. The current format defines 'layer' fields with string type like layer { type: 'Layer' ... } and "
            "not layers { type: LAYER }. Manually switch the definition to 'layer' format to continue.",
            path=path,
            field="layers",
        )
    net.layer.extend(_upgrade_layer(layer) for layer in net.layers)
    del net.layers[:]


def _upgrade_layer(old: caffe_pb2.V1LayerParameter) -> caffe_pb2.LayerParameter:
    layer = caffe_pb2.LayerParameter()
    for field, value in old.ListFields():
        if field.name not in _CHANGED:
            copy_field(layer, field.name, value)
    if old.HasField("type"):
        layer.type = _TYPES[old.type]
    for old_field, field_name in _PARAM_SPECS.items():
        _set_param_specs(layer, field_name, getattr(old, old_field))
    return layer


def _set_param_specs(layer: caffe_pb2.LayerParameter, field: str, values: Sequence[object]) -> None:
    for index, value in enumerate(values):
        while len(layer.param) <= index:
            layer.param.add()
        setattr(layer.param[index], field, value)
