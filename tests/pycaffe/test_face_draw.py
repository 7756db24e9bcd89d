"""caffe.draw: what drawing.py draws, under pycaffe's names. tests/test_drawing.py looks at the graphs themselves."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from face_texts import inputs, layer_text

import caffe_compat.pycaffe as caffe
from caffe_compat.drawing import to_dot
from caffe_compat.errors import CaffeCompatError
from caffe_compat.proto.caffe_pb2 import NetParameter
from caffe_compat.prototxt import parse_text
from caffe_compat.pycaffe import draw

IP = "inner_product_param { num_output: 2 } param { lr_mult: 3 }"
NET = parse_text(
    f'name: "n" {inputs(data=(1, 4))} {layer_text("InnerProduct", "data", "scores", IP, name="ip")}'
    f"{layer_text('Softmax', 'scores', 'prob', 'include { phase: TEST }', name='soft')}"
    f"{layer_text('Sigmoid', 'scores', 'gate', 'exclude { phase: TEST }', name='sig')}",
    NetParameter(),
)


def test_the_graph_that_stands_for_pydots() -> None:
    graph = draw.get_pydot_graph(NET, "BT", display_lrm=True)
    assert graph.to_string() == to_dot(NET, "BT", display_lrm=True, display_phases=True)
    assert "rankdir=BT" in graph.to_string() and "lr_mult 3" in graph.to_string()
    assert graph.create(format="raw") == graph.to_string().encode()
    assert "scores" in graph.to_string()  # on the arrow, as the layer is called otherwise
    assert "scores" not in draw.get_pydot_graph(NET, "LR", label_edges=False).to_string()


def test_a_phase_draws_the_net_that_it_has() -> None:
    for phase, layers in ((None, ["soft", "sig"]), (caffe.TEST, ["soft"]), (caffe.TRAIN, ["sig"])):
        dot = draw.draw_net(NET, "LR", "raw", phase).decode()
        assert re.findall("<b>(soft|sig)</b>", dot) == layers
        assert ("(TEST)" in dot) == (phase is None)


def test_files(tmp_path: Path) -> None:
    """A net in the oldest format too; nothing half-written stays."""
    draw.draw_net_to_file(NET, str(tmp_path / "net.raw"), "TB", phase=caffe.TEST)
    assert (tmp_path / "net.raw").read_bytes() == draw.draw_net(NET, rankdir="TB", ext="raw", phase=caffe.TEST)
    old = parse_text('layers { name: "r" type: RELU bottom: "x" top: "y" }', NetParameter())
    draw.draw_net_to_file(old, tmp_path / "old.dot")
    assert "<b>r</b>" in (tmp_path / "old.dot").read_text()
    with pytest.raises((CaffeCompatError, ValueError)):
        draw.draw_net_to_file(NET, str(tmp_path / "net.no_such_format"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.raw", "old.dot"]


def test_pictures_where_graphviz_is(tmp_path: Path) -> None:
    pytest.importorskip("graphviz")
    if shutil.which("dot") is None:
        pytest.skip("the program dot is not installed")
    draw.draw_net_to_file(NET, str(tmp_path / "net.png"), "BT")
    assert (tmp_path / "net.png").read_bytes().startswith(b"\x89PNG")
    assert draw.draw_net(NET, "LR", ext="svg").lstrip().startswith(b"<?xml")
