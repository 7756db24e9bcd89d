"""The net-surgery example: the convolutional net is the classifier slid over the image, window by window."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

from caffe_compat import Net
from caffe_compat.prototxt import read_net, to_text

ROOT = Path(__file__).parents[2]
WINDOW, STRIDE = 12, 2
CLASSIFIER = f"""
name: "classifier"
layer {{ name: "in" type: "Input" top: "data" input_param {{ shape {{ dim: 1 dim: 3 dim: {WINDOW} dim: {WINDOW} }} }} }}
layer {{ name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param {{ num_output: 4 kernel_size: 3 }} }}
layer {{ name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param {{ kernel_size: 2 stride: {STRIDE} }} }}
layer {{ name: "fc6" type: "InnerProduct" bottom: "pool1" top: "fc6" inner_product_param {{ num_output: 7 }} }}
layer {{ name: "relu6" type: "ReLU" bottom: "fc6" top: "fc6" }}
layer {{ name: "fc7" type: "InnerProduct" bottom: "fc6" top: "fc7"
  inner_product_param {{ num_output: 5 bias_term: false }} }}
layer {{ name: "prob" type: "Softmax" bottom: "fc7" top: "prob" }}
"""


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("net_surgery", ROOT / "examples" / "net_surgery.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def operate(example: ModuleType, folder: Path, model: str, size: int, scale: float) -> tuple[Net, Net]:
    """The classifier with random weights, and what the example's command makes of it."""
    (folder / "deploy.prototxt").write_text(model)
    net = Net(folder / "deploy.prototxt")
    for param in net.parameters():
        param.data.normal_(0, scale)
    net.save_weights(folder / "net.caffemodel")
    files = [str(folder / name) for name in ("deploy.prototxt", "net.caffemodel", "new.prototxt", "new.caffemodel")]
    assert example.main([*files[:2], str(size), *files[2:]]) == 0
    return net, Net(files[2], weights=files[3])


def test_every_place_of_the_map_is_the_classifier_there(example: ModuleType, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, new_net = operate(example, tmp_path, CLASSIFIER, WINDOW + 3 * STRIDE, 0.3)
    image = torch.randn(1, 3, WINDOW + 3 * STRIDE, WINDOW + 3 * STRIDE)
    found = new_net(data=image)["prob"].detach()
    assert found.shape == (1, 5, 4, 4)
    for row in range(4):
        for column in range(4):
            top, left = STRIDE * row, STRIDE * column
            window = image[:, :, top : top + WINDOW, left : left + WINDOW]
            expected = net(data=window)["prob"].detach()
            torch.testing.assert_close(found[:, :, row, column], expected, rtol=1e-5, atol=1e-6)
    assert found.std((2, 3)).max() > 0.1, "the places differ"


def test_caffenet_at_451_gives_a_map_of_8_by_8(
    example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At an eighth of its width; 451 and 8 x 8 are the numbers of Caffe's own net-surgery notebook."""
    message, _ = read_net(ROOT / "prototxt/bvlc_reference_caffenet/deploy.prototxt")
    message.layer[0].input_param.shape[0].dim[0] = 1
    for layer in message.layer:
        for param in (layer.convolution_param, layer.inner_product_param):
            param.num_output //= 8
        if not layer.convolution_param.num_output:
            layer.ClearField("convolution_param")
        if not layer.inner_product_param.num_output:
            layer.ClearField("inner_product_param")
    net, new_net = operate(example, tmp_path, to_text(message), 451, 0.05)
    assert capsys.readouterr().out == "prob: (1, 125) -> (1, 125, 8, 8)\n"
    assert new_net.params["fc6-conv"][0].shape == (512, 32, 6, 6)
    assert set(new_net.params) == {"conv1", "conv2", "conv3", "conv4", "conv5", "fc6-conv", "fc7-conv", "fc8-conv"}
    image = torch.randn(1, 3, 227, 227) * 50
    at_size = Net(example.fully_convolutional(message, net, 227), weights=tmp_path / "new.caffemodel")
    found = at_size(data=image)["prob"].detach()
    torch.testing.assert_close(found[:, :, 0, 0], net(data=image)["prob"].detach(), rtol=1e-4, atol=1e-6)
