"""Deploy nets that we write give the same in OpenCV's Caffe importer: one more reader of text and weights."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from caffe_compat import Net
from caffe_compat.prototxt import read_net, to_text

INPUT = 'layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 2 dim: 4 dim: 23 dim: 19 } } }'


def convolution(name: str, bottom: str, options: str) -> str:
    return (
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" '
        f'convolution_param {{ {options} weight_filler {{ type: "xavier" }} }} }}'
    )


def over(kind: str, bottoms: str, options: str = "", top: str = "out") -> str:
    names = " ".join(f'bottom: "{bottom}"' for bottom in bottoms.split())
    return f'layer {{ name: "{kind.lower()}_{top}" type: "{kind}" {names} top: "{top}" {options} }}'


TWO = convolution("a", "data", "num_output: 6 kernel_size: 3") + convolution(
    "b", "data", "num_output: 6 kernel_size: 3"
)
IP = 'inner_product_param { num_output: 5 weight_filler { type: "xavier" } }'
NETS = {
    "convolution": convolution("out", "data", "num_output: 6 kernel_size: 3 stride: 2 pad: 1"),
    "convolution, h and w": convolution(
        "out", "data", "num_output: 6 kernel_h: 5 kernel_w: 3 stride_h: 1 stride_w: 2 pad_h: 2 pad_w: 0"
    ),
    "convolution in groups": convolution("out", "data", "num_output: 6 kernel_size: 5 group: 2 pad: 2"),
    "convolution with holes": convolution("out", "data", "num_output: 3 kernel_size: 3 dilation: 2"),
    "convolution without bias": convolution("out", "data", "num_output: 3 kernel_size: 1 bias_term: false"),
    "max pooling": over("Pooling", "data", "pooling_param { pool: MAX kernel_size: 3 stride: 2 }"),
    "max pooling, pad": over("Pooling", "data", "pooling_param { pool: MAX kernel_size: 3 stride: 2 pad: 1 }"),
    "average pooling": over("Pooling", "data", "pooling_param { pool: AVE kernel_size: 3 stride: 2 }"),
    "average pooling, pad": over("Pooling", "data", "pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }"),
    "global pooling": over("Pooling", "data", "pooling_param { pool: AVE global_pooling: true }"),
    "LRN": over("LRN", "data", "lrn_param { local_size: 3 alpha: 0.5 beta: 0.75 }"),  # OpenCV does not read k
    "LRN within": over("LRN", "data", "lrn_param { local_size: 3 alpha: 0.5 beta: 0.75 norm_region: WITHIN_CHANNEL }"),
    "ReLU": over("ReLU", "data"),
    "leaky ReLU in place": convolution("out", "data", "num_output: 3 kernel_size: 3")
    + over("ReLU", "out", "relu_param { negative_slope: 0.1 }"),
    "InnerProduct": over("InnerProduct", "data", IP),
    "two InnerProducts": over("InnerProduct", "data", IP, "ip1") + over("InnerProduct", "ip1", IP),
    "Concat": TWO + over("Pooling", "a", "pooling_param { kernel_size: 1 }", "c") + over("Concat", "a b c"),
    "sum": TWO + over("Eltwise", "a b"),
    "sum with coefficients": TWO + over("Eltwise", "a b", "eltwise_param { operation: SUM coeff: 2 coeff: -0.5 }"),
    "product": TWO + over("Eltwise", "a b", "eltwise_param { operation: PROD }"),
    "maximum": TWO + over("Eltwise", "a b", "eltwise_param { operation: MAX }"),
    "Softmax": over("InnerProduct", "data", IP, "ip1") + over("Softmax", "ip1"),
    "Softmax over channels": over("Softmax", "data"),
}


def outputs(folder: Path, net: Net, prototxt: str, output: str) -> tuple[np.ndarray, np.ndarray]:
    """What the net gives, and what OpenCV makes of the two files that we write."""
    for param in net.parameters():
        param.data.add_(torch.randn(param.shape) * 0.05)  # biases, too
    (folder / "deploy.prototxt").write_text(prototxt)
    net.save_weights(folder / "net.caffemodel")
    data = torch.randn(net.blob_shapes["data"])
    with torch.no_grad():
        ours = net(data=data)[output].numpy()
    theirs = cv2.dnn.readNetFromCaffe(str(folder / "deploy.prototxt"), str(folder / "net.caffemodel"))
    theirs.setInput(data.numpy(), "data")
    return ours, theirs.forward()


@pytest.mark.parametrize("kind", NETS)
def test_layers(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(sum(map(ord, kind)))
    net = Net(f'name: "deploy" {INPUT} {NETS[kind]}')
    ours, theirs = outputs(tmp_path, net, to_text(net.proto), "out")
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < 1e-5 * np.abs(ours).max()


def test_caffenets_deploy_net(tmp_path: Path) -> None:
    """Its own prototxt, at a sixteenth of its width."""
    torch.manual_seed(0)
    message, _ = read_net(Path(__file__).parents[2] / "prototxt/bvlc_reference_caffenet/deploy.prototxt")
    message.layer[0].input_param.shape[0].dim[0] = 1
    for layer in message.layer:
        for param in (layer.convolution_param, layer.inner_product_param):
            if param.num_output:
                param.num_output //= 16 if param.num_output > 1000 else 8
                param.weight_filler.type = "msra"
    ours, theirs = outputs(tmp_path, Net(message), to_text(message), "prob")
    assert ours.shape == theirs.shape == (1, 125) and ours.max() > 0.02
    assert np.abs(ours - theirs).max() < 1e-5 * ours.max()
