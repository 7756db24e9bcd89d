"""``caffe.draw``: pictures of nets, drawn by ``caffe_compat.drawing``. Source: python/caffe/draw.py.

Pictures need the Python package graphviz and its program ``dot``; ``.raw`` and ``.dot`` files need nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

from caffe_compat.drawing import render, to_dot
from caffe_compat.files import atomic_path
from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt import filter_net, read_net
from caffe_compat.pycaffe.refusals import refusing

_TEXT_FORMATS = ("raw", "dot")


class Graph:
    """A net's graph, with the methods of pydot's graphs that Caffe's scripts call."""

    def __init__(self, dot: str) -> None:
        self._dot = dot

    def to_string(self) -> str:
        """The graph in dot, graphviz's language."""
        return self._dot

    def create(self, format: str = "png") -> bytes:
        """The picture as the content of a file.

        Args:
            format: ``raw`` or ``dot`` for the graph in dot, or one of graphviz's formats.
        Raises: CaffeCompatError naming what to install, or graphviz's words about a format that it does not know.
        """
        return self._dot.encode() if format in _TEXT_FORMATS else render(self._dot, format)


def get_pydot_graph(
    caffe_net: caffe_pb2.NetParameter,
    rankdir: str,
    label_edges: bool = True,
    phase: caffe_pb2.Phase | None = None,
    display_lrm: bool = False,
) -> Graph:
    """The graph of a net: a graph of our own, pydot is not needed.

    Args:
        rankdir: the direction of the flow: TB, LR, BT or RL.
        label_edges: write the blobs' names on the arrows where they are not the layers'.
        phase: caffe.TRAIN or caffe.TEST to draw the layers of that phase; all by default.
        display_lrm: show the learning rate multipliers of layers with parameters.
    """
    net, _ = read_net(caffe_net)
    if phase is not None:
        net = filter_net(net, caffe_pb2.NetState(phase=phase), None)
    return Graph(to_dot(net, rankdir, display_lrm, display_phases=phase is None, label_edges=label_edges))


def draw_net(
    caffe_net: caffe_pb2.NetParameter,
    rankdir: str,
    ext: str = "png",
    phase: caffe_pb2.Phase | None = None,
    display_lrm: bool = False,
) -> bytes:
    """The picture of a net as the content of a file of kind ``ext``; see ``get_pydot_graph`` and ``Graph.create``."""
    return get_pydot_graph(caffe_net, rankdir, phase=phase, display_lrm=display_lrm).create(format=ext)


def draw_net_to_file(
    caffe_net: caffe_pb2.NetParameter,
    filename: str | os.PathLike[str],
    rankdir: str = "LR",
    phase: caffe_pb2.Phase | None = None,
    display_lrm: bool = False,
) -> None:
    """Write the picture of a net, in the format that the name ends in; see ``draw_net``. Nothing half-written stays."""
    ext = os.fspath(filename).rpartition(".")[2]
    content = draw_net(caffe_net, rankdir, ext, phase, display_lrm)
    with atomic_path(Path(filename)) as part:
        part.write_bytes(content)


_OWN_STYLE = "the boxes and arrows are those of caffe_compat.drawing"

__getattr__ = refusing(
    "caffe.draw",
    dict.fromkeys(
        (
            "BLOB_STYLE",
            "LAYER_STYLE_DEFAULT",
            "NEURON_LAYER_STYLE",
            "choose_color_by_layertype",
            "get_edge_label",
            "get_layer_label",
            "get_layer_lr_mult",
            "get_pooling_types_dict",
        ),
        _OWN_STYLE,
    ),
)
