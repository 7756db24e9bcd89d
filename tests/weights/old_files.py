"""Caffe's binary files as none of its writers today makes them: V0, numbers that are not packed, half precision."""

from __future__ import annotations

import numpy as np
from mutations import varint

from caffe_compat.proto.caffe_pb2 import BlobProto, BlobShape, NetParameter
from caffe_compat.weights import write_blob

FIELDS = {"data": 5, "diff": 6, "double_data": 8}


def field(number: int, content: bytes) -> bytes:
    """One length-delimited field."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def unpacked(name: str, values: np.ndarray) -> bytes:
    """The numbers of a BlobProto's field one by one, as protobuf wrote them before Caffe declared them packed."""
    kind, wire_type = ("<f8", 1) if name == "double_data" else ("<f4", 5)
    rows = np.empty(np.size(values), [("tag", "u1"), ("value", kind)])
    rows["tag"], rows["value"] = FIELDS[name] << 3 | wire_type, np.ravel(values)
    return rows.tobytes()


def shape_of(*dims: int) -> bytes:
    return BlobProto(shape=BlobShape(dim=dims)).SerializeToString()


def model_of(*blobs: bytes) -> bytes:
    """A ``.caffemodel`` of one layer "ip" with these serialised blobs."""
    return field(100, field(1, b"ip") + field(2, b"InnerProduct") + b"".join(field(7, blob) for blob in blobs))


def raw_blob(array: np.ndarray, kind: str) -> bytes:
    """A blob as NVIDIA's fork writes them."""
    stored = {"DOUBLE": "<f8", "FLOAT": "<f4", "FLOAT16": "<f2"}[kind]
    raw = array.astype(stored).tobytes()
    return BlobProto(raw_data_type=kind, raw_data=raw, shape=BlobShape(dim=array.shape)).SerializeToString()


def v0_model(array: np.ndarray) -> bytes:
    """A V0 file: a convolution behind the padding layer of those days."""
    message = NetParameter(input=["data"], input_dim=[1, 1, 4, 4])
    padding = message.layers.add(bottom=["data"], top=["padded"])
    padding.layer.name, padding.layer.type, padding.layer.pad = "pad", "padding", 1
    conv = message.layers.add(bottom=["padded"], top=["conv1"])
    conv.layer.name, conv.layer.type, conv.layer.num_output, conv.layer.kernelsize = "conv1", "conv", len(array), 3
    conv.layer.blobs.append(write_blob(array, legacy=True))
    return message.SerializeToString()
