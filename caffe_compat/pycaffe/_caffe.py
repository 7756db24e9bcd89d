"""The names of pycaffe's compiled module, for programs that import them from there: ``from caffe._caffe import Net``.

Source: python/caffe/_caffe.cpp.
"""

from caffe_compat.layers import layer_types as layer_type_list
from caffe_compat.layers.python import UserLayer as Layer
from caffe_compat.proto.caffe_pb2 import LayerParameter, SolverParameter
from caffe_compat.pycaffe.blob import Blob
from caffe_compat.pycaffe.logs import init_log, log
from caffe_compat.pycaffe.mode import set_device, set_mode_cpu, set_mode_gpu, set_random_seed
from caffe_compat.pycaffe.net import Net
from caffe_compat.pycaffe.parallel import (
    NCCL,
    has_nccl,
    set_multiprocess,
    set_solver_count,
    set_solver_rank,
    solver_count,
    solver_rank,
)
from caffe_compat.pycaffe.refusals import refusing
from caffe_compat.pycaffe.solvers import (
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    NesterovSolver,
    RMSPropSolver,
    SGDSolver,
    Solver,
    get_solver,
)
from caffe_compat.pycaffe.timer import Timer

__version__ = "1.0.0"  # of the Caffe whose interface this is

__all__ = [
    "NCCL",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Blob",
    "Layer",
    "LayerParameter",
    "NesterovSolver",
    "Net",
    "RMSPropSolver",
    "SGDSolver",
    "Solver",
    "SolverParameter",
    "Timer",
    "get_solver",
    "has_nccl",
    "init_log",
    "layer_type_list",
    "log",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_multiprocess",
    "set_random_seed",
    "set_solver_count",
    "set_solver_rank",
    "solver_count",
    "solver_rank",
]

_VECTORS = ("BlobVec", "BoolVec", "DtypeVec", "IntVec", "LayerVec", "NetVec", "RawBlobVec", "StringVec")

__getattr__ = refusing("caffe._caffe", dict.fromkeys(_VECTORS, "what is a C++ vector there is a Python list here"))
