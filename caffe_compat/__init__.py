"""Caffe's nets and solvers on PyTorch, and the label noise model of Xiao et al. (CVPR 2015) as one of its layers.

The names below are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from caffe_compat import pycaffe
    from caffe_compat.label_noise import LabelNoiseLoss, estimate_confusion
    from caffe_compat.net import Net
    from caffe_compat.solver import Solver

__all__ = ["LabelNoiseLoss", "Net", "Solver", "estimate_confusion", "pycaffe"]

_HOMES = {
    "LabelNoiseLoss": "caffe_compat.label_noise",
    "Net": "caffe_compat.net",
    "Solver": "caffe_compat.solver",
    "estimate_confusion": "caffe_compat.label_noise",
}
_MODULES = {"pycaffe"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")  # which also makes it an attribute
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_MODULES})
