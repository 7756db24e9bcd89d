"""Our messages beside another Caffe's in one process: nothing clashes, and each reads what the other writes."""

from __future__ import annotations

from google.protobuf import descriptor_pool, message_factory, text_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import Message

from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt import parse_text, to_text

NET = """
name: "both"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" blobs { shape { dim: 2 } data: 1 data: -2.5 } }
layers { name: "old" type: POOLING pooling_param { pool: AVE } }
"""


def other_caffe() -> type[Message]:
    """NetParameter of a package ``caffe``, in a file called as BVLC Caffe calls its own, in the default pool."""
    text = text_format.MessageToString(_our_file()).replace(".caffe_compat.", ".caffe.")
    other = text_format.Parse(text, FileDescriptorProto())
    other.name, other.package = "caffe.proto", "caffe"
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(other.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("caffe.NetParameter"))


def _our_file() -> FileDescriptorProto:
    ours = FileDescriptorProto()
    caffe_pb2.DESCRIPTOR.CopyToProto(ours)
    return ours


def test_two_caffes_live_in_one_process() -> None:
    other_net = other_caffe()
    ours = parse_text(NET, caffe_pb2.NetParameter())
    theirs = text_format.Parse(NET, other_net())
    assert theirs.SerializeToString(deterministic=True) == ours.SerializeToString(deterministic=True)
    assert to_text(other_net.FromString(ours.SerializeToString())) == to_text(ours)
    assert ours.DESCRIPTOR.file.name == "caffe_compat/proto/caffe.proto"
