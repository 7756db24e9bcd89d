"""``layers { layer { type: "conv" kernelsize: 5 } }`` (V0) becomes V1; padding layers become the next one's ``pad``."""

from __future__ import annotations

from caffe_compat.errors import PrototxtError
from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt.fields import copy_field

_V1 = caffe_pb2.V1LayerParameter

_TYPES = {
    "accuracy": _V1.ACCURACY,
    "bnll": _V1.BNLL,
    "concat": _V1.CONCAT,
    "conv": _V1.CONVOLUTION,
    "data": _V1.DATA,
    "dropout": _V1.DROPOUT,
    "euclidean_loss": _V1.EUCLIDEAN_LOSS,
    "flatten": _V1.FLATTEN,
    "hdf5_data": _V1.HDF5_DATA,
    "hdf5_output": _V1.HDF5_OUTPUT,
    "im2col": _V1.IM2COL,
    "images": _V1.IMAGE_DATA,
    "infogain_loss": _V1.INFOGAIN_LOSS,
    "innerproduct": _V1.INNER_PRODUCT,
    "lrn": _V1.LRN,
    "multinomial_logistic_loss": _V1.MULTINOMIAL_LOGISTIC_LOSS,
    "pool": _V1.POOLING,
    "relu": _V1.RELU,
    "sigmoid": _V1.SIGMOID,
    "softmax": _V1.SOFTMAX,
    "softmax_loss": _V1.SOFTMAX_LOSS,
    "split": _V1.SPLIT,
    "tanh": _V1.TANH,
    "window_data": _V1.WINDOW_DATA,
}

_WEIGHTS = {"conv": "convolution_param", "innerproduct": "inner_product_param"}
_WINDOW = {"conv": "convolution_param", "pool": "pooling_param"}
_LRN = {"lrn": "lrn_param"}
_IMAGES = {"images": "image_data_param"}
_WINDOW_DATA = {"window_data": "window_data_param"}
_BATCHES = {"data": "data_param", "hdf5_data": "hdf5_data_param", **_IMAGES, **_WINDOW_DATA}
_SOURCES = {**_BATCHES, "infogain_loss": "infogain_loss_param"}

# V0 field -> (its name now, {V0 type: the message it moves to}).
_FIELDS: dict[str, tuple[str, dict[str, str]]] = {
    "num_output": ("num_output", _WEIGHTS),
    "biasterm": ("bias_term", _WEIGHTS),
    "weight_filler": ("weight_filler", _WEIGHTS),
    "bias_filler": ("bias_filler", _WEIGHTS),
    "pad": ("pad", _WINDOW),
    "kernelsize": ("kernel_size", _WINDOW),
    "group": ("group", {"conv": "convolution_param"}),
    "stride": ("stride", _WINDOW),
    "pool": ("pool", {"pool": "pooling_param"}),
    "dropout_ratio": ("dropout_ratio", {"dropout": "dropout_param"}),
    "local_size": ("local_size", _LRN),
    "alpha": ("alpha", _LRN),
    "beta": ("beta", _LRN),
    "k": ("k", _LRN),
    "source": ("source", _SOURCES),
    "batchsize": ("batch_size", _BATCHES),
    "rand_skip": ("rand_skip", {"data": "data_param", **_IMAGES}),
    "shuffle_images": ("shuffle", _IMAGES),
    "new_height": ("new_height", _IMAGES),
    "new_width": ("new_width", _IMAGES),
    "concat_dim": ("concat_dim", {"concat": "concat_param"}),
    "det_fg_threshold": ("fg_threshold", _WINDOW_DATA),
    "det_bg_threshold": ("bg_threshold", _WINDOW_DATA),
    "det_fg_fraction": ("fg_fraction", _WINDOW_DATA),
    "det_context_pad": ("context_pad", _WINDOW_DATA),
    "det_crop_mode": ("crop_mode", _WINDOW_DATA),
    "hdf5_output_param": ("", {"hdf5_output": "hdf5_output_param"}),
}
_TRANSFORM = {"scale": "scale", "meanfile": "mean_file", "cropsize": "crop_size", "mirror": "mirror"}
_SAME = ("name", "blobs", "blobs_lr", "weight_decay")
_KEPT_BY_NET = ("name", "input", "input_dim", "force_backward")


def is_needed(net: caffe_pb2.NetParameter) -> bool:
    return any(layer.HasField("layer") for layer in net.layers)


def upgrade(net: caffe_pb2.NetParameter, path: str | None) -> None:
    """Fields of the net that V0 did not know are dropped, as Caffe does.

    Raises: PrototxtError for an unknown type or blob, a field that the layer's type does not have, or a padding
        layer that is not the only bottom of a convolution or pooling.
    """
    layers = [_upgrade_layer(layer, path) for layer in _fold_padding(net, path)]
    old = caffe_pb2.NetParameter()
    old.CopyFrom(net)
    net.Clear()
    for field, value in old.ListFields():
        if field.name in _KEPT_BY_NET:
            copy_field(net, field.name, value)
    net.layers.extend(layers)


def _fold_padding(net: caffe_pb2.NetParameter, path: str | None) -> list[caffe_pb2.V1LayerParameter]:
    """The layers without the padding layers; the layer that read one has its ``pad`` and its bottom."""
    makers: dict[str, caffe_pb2.V1LayerParameter | None] = dict.fromkeys(net.input)
    kept = []
    for old in net.layers:
        layer = caffe_pb2.V1LayerParameter()
        layer.CopyFrom(old)
        for index, blob in enumerate(old.bottom):
            if blob not in makers:
                raise _error(f"Unknown blob input {blob} to layer {index}", old, path, field="bottom")
            maker = makers[blob]
            if maker is not None and maker.layer.type == "padding":
                _check_padding(old, maker, path)
                layer.layer.pad = maker.layer.pad
                layer.bottom[index] = maker.bottom[0]
        if old.layer.type != "padding":
            kept.append(layer)
        makers.update(dict.fromkeys(old.top, old))
    return kept


def _check_padding(layer: caffe_pb2.V1LayerParameter, padding: caffe_pb2.V1LayerParameter, path: str | None) -> None:
    if layer.layer.type not in _WINDOW:
        raise _error(
            f"Padding layer input to non-convolutional / non-pooling layer type {layer.layer.type}", layer, path
        )
    if len(layer.bottom) != 1:
        raise _error("Conv Layer takes a single blob as input.", layer, path, field="bottom")
    if len(padding.bottom) != 1:
        raise _error("Padding Layer takes a single blob as input.", padding, path, field="bottom")
    if len(padding.top) != 1:
        raise _error("Padding Layer produces a single blob as output.", padding, path, field="top")


def _upgrade_layer(old: caffe_pb2.V1LayerParameter, path: str | None) -> caffe_pb2.V1LayerParameter:
    layer = caffe_pb2.V1LayerParameter(bottom=old.bottom, top=old.top)
    if old.layer.HasField("type"):
        if old.layer.type not in _TYPES:
            raise _error(f"Unknown layer name: {old.layer.type}; known: {', '.join(_TYPES)}", old, path, field="type")
        layer.type = _TYPES[old.layer.type]
    for field, value in old.layer.ListFields():
        if field.name in _SAME:
            copy_field(layer, field.name, value)
        elif field.name != "type":
            _move(layer, field.name, value, old, path)
    return layer


def _move(
    layer: caffe_pb2.V1LayerParameter, field: str, value: object, old: caffe_pb2.V1LayerParameter, path: str | None
) -> None:
    if field in _TRANSFORM:
        copy_field(layer.transform_param, _TRANSFORM[field], value)
        return
    name, params = _FIELDS.get(field, ("", {}))
    if old.layer.type not in params:
        raise _error(f"Unknown parameter {field} for layer type {old.layer.type}", old, path, field=field)
    param_name = params[old.layer.type]
    if name:
        copy_field(getattr(layer, param_name), name, value)
    else:
        copy_field(layer, param_name, value)


def _error(
    problem: str, layer: caffe_pb2.V1LayerParameter, path: str | None, field: str | None = None
) -> PrototxtError:
    return PrototxtError(problem, path=path, layer=layer.layer.name, layer_type=layer.layer.type, field=field)
