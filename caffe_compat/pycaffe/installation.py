"""``import caffe`` for programs that are to stay as they are."""

from __future__ import annotations

import importlib
import sys

_MODULES = {
    "caffe": "caffe_compat.pycaffe",
    "caffe._caffe": "caffe_compat.pycaffe._caffe",
    "caffe.classifier": "caffe_compat.pycaffe.classifier",
    "caffe.coord_map": "caffe_compat.pycaffe.coord_map",
    "caffe.detector": "caffe_compat.pycaffe.detector",
    "caffe.draw": "caffe_compat.pycaffe.draw",
    "caffe.io": "caffe_compat.pycaffe.io",
    "caffe.net_spec": "caffe_compat.pycaffe.net_spec",
    "caffe.proto": "caffe_compat.proto",
    "caffe.proto.caffe_pb2": "caffe_compat.proto.caffe_pb2",
    "caffe.pycaffe": "caffe_compat.pycaffe.pycaffe",
}


def install() -> None:
    """Let ``import caffe`` and its parts mean this package, in this process.

    Raises: RuntimeError if another caffe has been imported already.
    """
    ours = {name: importlib.import_module(module) for name, module in _MODULES.items()}
    there = sys.modules.get("caffe")
    if there is not None and there is not ours["caffe"]:
        raise RuntimeError(f"another caffe has been imported already, from {getattr(there, '__file__', 'somewhere')}")
    sys.modules.update(ours)
