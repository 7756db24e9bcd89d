"""pycaffe: what ``import caffe`` gives, on this library.

    import caffe_compat.pycaffe as caffe

or, for programs that are to stay as they are, ``caffe_compat.pycaffe.install()`` before they ``import caffe``.
Where pycaffe ends the process, this raises.
"""

from caffe_compat import proto
from caffe_compat.layers import layer_types as layer_type_list
from caffe_compat.layers.python import UserLayer as Layer
from caffe_compat.proto.caffe_pb2 import TEST, TRAIN
from caffe_compat.pycaffe import coord_map, io
from caffe_compat.pycaffe.classifier import Classifier
from caffe_compat.pycaffe.detector import Detector
from caffe_compat.pycaffe.installation import install
from caffe_compat.pycaffe.mode import set_device, set_mode_cpu, set_mode_gpu, set_random_seed
from caffe_compat.pycaffe.net import Net
from caffe_compat.pycaffe.net_spec import NetSpec, layers, params, to_proto
from caffe_compat.pycaffe.solvers import (
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    NesterovSolver,
    RMSPropSolver,
    SGDSolver,
    get_solver,
)

__version__ = "1.0.0"  # of the Caffe whose interface this is

__all__ = [
    "TEST",
    "TRAIN",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Classifier",
    "Detector",
    "Layer",
    "NesterovSolver",
    "Net",
    "NetSpec",
    "RMSPropSolver",
    "SGDSolver",
    "coord_map",
    "get_solver",
    "install",
    "io",
    "layer_type_list",
    "layers",
    "params",
    "proto",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_random_seed",
    "to_proto",
]
