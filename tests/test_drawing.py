"""A net's graph in dot, and its picture where graphviz is there."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import cv2
import pytest

from caffe_compat.cli.draw_net import main
from caffe_compat.drawing import to_dot
from caffe_compat.proto.caffe_pb2 import NetParameter
from caffe_compat.prototxt import parse_text

ROOT = Path(__file__).parents[1]
CAFFENET = str(ROOT / "prototxt/bvlc_reference_caffenet/train_val.prototxt")

NET = """
name: "a \\"net\\""
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  data_param { source: "x/train_lmdb" batch_size: 32 } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" param { lr_mult: 1 } param { lr_mult: 2.5 }
  convolution_param { num_output: 8 kernel_h: 5 kernel_w: 3 stride: 2 pad: 1 group: 4 } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool<1>" type: "Pooling" bottom: "conv1" top: "pool1" pooling_param { pool: AVE kernel_size: 3 } }
layer { name: "late" type: "Dropout" bottom: "conv1" top: "conv1" }
layer { name: "sum" type: "Eltwise" bottom: "pool1" bottom: "conv1" bottom: "extra" top: "sum" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "sum" bottom: "label" top: "loss" loss_weight: 0.5 }
layer { name: "tail" type: "Slice" bottom: "sum" top: "head" top: "rest" }
"""


def dot(text: str = NET, **options: object) -> str:
    return to_dot(parse_text(text, NetParameter()), **options)


def labels(graph: str) -> dict[str, str]:
    """The lines of each layer's box, joined by "|", by the box's name."""
    boxes = re.findall(r"^  (layer\d+) \[label=<(.*)>, fillcolor", graph, re.MULTILINE)
    return {name: re.sub(r"</?(b|font)( [^>]*)?>", "", label).replace("<br/>", "|") for name, label in boxes}


def arrows(graph: str) -> list[str]:
    """``maker blob reader`` for each arrow, with names for boxes."""
    names = {box: label.split("|")[0] for box, label in labels(graph).items()}
    names |= dict(re.findall(r'^  ((?:in|out)put\d+) \[label="(\w+)"', graph, re.MULTILINE))
    found = re.findall(r'^  (\w+) -> (\w+)(?: \[label="(\w+)"\])?;', graph, re.MULTILINE)
    return [f"{names[maker]} -{blob}-> {names[reader]}" for maker, reader, blob in found]


def test_boxes_and_arrows() -> None:
    graph = dot()
    assert graph.startswith('digraph "a \\"net\\"" {\n  rankdir=LR;\n') and graph.endswith("}\n")
    assert list(labels(graph).values()) == [
        "data|Data train_lmdb batch 32",
        "conv1|Convolution 8 5x3/2 pad 1 group 4|+ ReLU",
        "pool&lt;1&gt;|Pooling AVE 3x3",
        "late|Dropout 0.5",  # not in conv1's box: pool1 reads what is before it
        "sum|Eltwise SUM",
        "loss|SoftmaxWithLoss weight 0.5",
        "tail|Slice",
    ]
    assert arrows(graph) == [
        "data --> conv1",
        "conv1 --> pool&lt;1&gt;",
        "conv1 --> late",
        "pool&lt;1&gt; -pool1-> sum",
        "late -conv1-> sum",
        "extra --> sum",  # made by no layer
        "sum --> loss",
        "data -label-> loss",
        "sum --> tail",
        "tail --> head",  # read by no layer
        "tail --> rest",
    ]


def test_options_of_the_picture() -> None:
    found = labels(dot(rankdir="BT", display_lrm=True, display_phases=True))
    assert found["layer0"] == "data|Data train_lmdb batch 32 (TRAIN)"
    assert found["layer1"] == "conv1|Convolution 8 5x3/2 pad 1 group 4|lr_mult 1, 2.5|+ ReLU"
    assert "lr_mult" not in found["layer2"]
    assert "rankdir=BT;" in dot(rankdir="BT")


@pytest.mark.parametrize(
    "options, text",
    [
        ('"Convolution" convolution_param { num_output: 2 kernel_size: 3 kernel_size: 5 dilation: 2 }',
         "Convolution 2 3x5 dilation 2"),
        ('"Deconvolution" convolution_param { num_output: 2 kernel_size: 4 stride_h: 2 stride_w: 3 pad_h: 1 }',
         "Deconvolution 2 4x4/2x3 pad 1x0"),
        ('"Pooling" pooling_param { global_pooling: true }', "Pooling MAX global"),
        ('"Pooling" pooling_param { kernel_h: 2 kernel_w: 2 stride: 2 pool: STOCHASTIC }', "Pooling STOCHASTIC 2x2/2"),
        ('"InnerProduct" inner_product_param { num_output: 14 }', "InnerProduct 14"),
        ('"LRN" lrn_param { local_size: 3 }', "LRN 3"),
        ('"Input" input_param { shape { dim: 1 dim: 3 dim: 8 } shape { dim: 1 } }', "Input 1x3x8 1"),
        ('"Sigmoid"', "Sigmoid"),
    ],
)  # fmt: skip
def test_what_is_said_of_a_layer(options: str, text: str) -> None:
    assert labels(dot(f'layer {{ name: "x" type: {options} }}'))["layer0"] == f"x|{text}"


def test_layers_of_both_phases_feed_the_same_readers(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for phase, into_conv1 in (("ALL", 2), ("TRAIN", 1), ("TEST", 1)):
        out = tmp_path / "net.dot"
        assert main([CAFFENET, str(out), "--phase", phase, "--rankdir=TB"]) == 0
        assert arrows(out.read_text()).count("data --> conv1") == into_conv1
        assert ("(TEST)" in out.read_text()) == (phase == "ALL")
        assert ("accuracy" in out.read_text()) == (phase != "TRAIN")
    assert capsys.readouterr().out == 3 * f"Drawing net to {tmp_path}/net.dot\n"


@pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz's program dot is not installed")
def test_pictures(tmp_path: Path) -> None:
    pytest.importorskip("graphviz")
    for kind in ("png", "svg", "pdf"):
        assert main([CAFFENET, str(tmp_path / f"net.{kind}")]) == 0
    picture = cv2.imread(str(tmp_path / "net.png"))
    assert picture.shape[1] > 1000 and (picture < 100).any()
    assert "SoftmaxWithLoss" in (tmp_path / "net.svg").read_text()
    assert (tmp_path / "net.pdf").read_bytes().startswith(b"%PDF")


def test_what_is_missing_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def ending(out: str, net: str = CAFFENET) -> str:
        assert main([net, out]) == 2
        return capsys.readouterr().err.splitlines()[-1]

    assert ending("net.gif") == "net.gif: expected a name that ends in .png, .svg, .pdf, .dot, got .gif"
    assert ending("net.png", "none.prototxt") == "none.prototxt: no such file"
    monkeypatch.setenv("PATH", str(tmp_path))
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "graphviz", None)
        assert "the Python package graphviz: pip install graphviz" in ending("net.png")
    pytest.importorskip("graphviz")
    assert "the program dot: apt-get install graphviz" in ending("net.png")
    assert list(tmp_path.iterdir()) == []
