"""What the code of a net's Python layers can import when a tool runs the net."""

from __future__ import annotations

import sys

from caffe_compat import pycaffe


def let_python_layers_import_caffe() -> None:
    """Let ``import caffe`` mean the pycaffe face, unless the program has a caffe already.

    Otherwise Python would find ``tools/caffe.py``, which lies beside the script that runs, or nothing.
    """
    if "caffe" not in sys.modules:
        pycaffe.install()
