"""scale, mean_file, crop_size and mirror move from the data layers' own messages to ``transform_param`` (V1 nets)."""

from __future__ import annotations

from collections.abc import Iterator

from caffe_compat.proto import caffe_pb2

_V1 = caffe_pb2.V1LayerParameter
_PARAMS = {_V1.DATA: "data_param", _V1.IMAGE_DATA: "image_data_param", _V1.WINDOW_DATA: "window_data_param"}
_FIELDS = ("scale", "mean_file", "crop_size", "mirror")


def is_needed(net: caffe_pb2.NetParameter) -> bool:
    return any(getattr(layer, param).HasField(field) for layer, param in _data_layers(net) for field in _FIELDS)


def upgrade(net: caffe_pb2.NetParameter, path: str | None) -> None:
    for layer, param_name in _data_layers(net):
        param = getattr(layer, param_name)
        for field in _FIELDS:
            if param.HasField(field):
                setattr(layer.transform_param, field, getattr(param, field))
                param.ClearField(field)


def _data_layers(net: caffe_pb2.NetParameter) -> Iterator[tuple[caffe_pb2.V1LayerParameter, str]]:
    return ((layer, _PARAMS[layer.type]) for layer in net.layers if layer.type in _PARAMS)
