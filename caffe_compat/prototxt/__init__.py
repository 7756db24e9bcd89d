"""Net and solver descriptions: text to messages and back, old formats upgraded, layers filtered, splits inserted.

Everything here is a function from message (or text) to message; nothing builds layers.
"""

from caffe_compat.prototxt.filtering import filter_net
from caffe_compat.prototxt.printing import to_text
from caffe_compat.prototxt.reading import read_net, read_solver
from caffe_compat.prototxt.splits import insert_splits
from caffe_compat.prototxt.text import parse_text
from caffe_compat.prototxt.upgrade import upgrade_net, upgrade_solver

__all__ = [
    "filter_net",
    "insert_splits",
    "parse_text",
    "read_net",
    "read_solver",
    "to_text",
    "upgrade_net",
    "upgrade_solver",
]
