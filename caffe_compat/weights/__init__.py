"""Caffe's binary files, ``.caffemodel``, ``.solverstate`` and ``.binaryproto``, to and from arrays."""

from caffe_compat.weights.blobs import (
    StoredBlob,
    read_blob,
    read_blobproto_file,
    read_stored_blob,
    write_blob,
    write_blobproto_file,
)
from caffe_compat.weights.caffemodel import (
    copy_weights,
    read_caffemodel,
    read_weights_message,
    save_caffemodel,
)
from caffe_compat.weights.solverstate import SolverState, read_solverstate, write_solverstate

__all__ = [
    "SolverState",
    "StoredBlob",
    "copy_weights",
    "read_blob",
    "read_blobproto_file",
    "read_caffemodel",
    "read_solverstate",
    "read_stored_blob",
    "read_weights_message",
    "save_caffemodel",
    "write_blob",
    "write_blobproto_file",
    "write_solverstate",
]
