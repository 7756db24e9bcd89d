"""Weights, solver states and means: Caffe's files, binary and HDF5, and PyTorch's, to and from arrays."""

from caffe_compat.weights.blobs import (
    StoredBlob,
    read_blob,
    read_blobproto_file,
    read_stored_blob,
    write_blob,
    write_blobproto_file,
)
from caffe_compat.weights.caffemodel import save_caffemodel
from caffe_compat.weights.copying import copy_weights
from caffe_compat.weights.files import read_caffemodel, read_layers, save_weights, write_layers
from caffe_compat.weights.hdf5 import check_hdf5_can_hold, read_hdf5_layers, save_hdf5
from caffe_compat.weights.solverstate import SolverState, read_solverstate, write_solverstate
from caffe_compat.weights.stored import StoredLayer

__all__ = [
    "SolverState",
    "StoredBlob",
    "StoredLayer",
    "check_hdf5_can_hold",
    "copy_weights",
    "read_blob",
    "read_blobproto_file",
    "read_caffemodel",
    "read_hdf5_layers",
    "read_layers",
    "read_solverstate",
    "read_stored_blob",
    "save_caffemodel",
    "save_hdf5",
    "save_weights",
    "write_blob",
    "write_blobproto_file",
    "write_layers",
    "write_solverstate",
]
