"""The idioms of Caffe's tutorials (classification, LeNet, net surgery, Python layers, deep dream), word for word."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from face_texts import inputs, layer_text

import caffe_compat.pycaffe


def test_install_gives_the_modules_that_scripts_import(caffe: Any) -> None:
    from caffe import layers, params  # type: ignore[import-not-found]
    from caffe.coord_map import crop  # type: ignore[import-not-found]
    from caffe.io import Transformer  # type: ignore[import-not-found]
    from caffe.proto import caffe_pb2  # type: ignore[import-not-found]

    assert caffe is caffe_compat.pycaffe and Transformer is caffe.io.Transformer
    assert layers is caffe.layers and params.Pooling.MAX == 0 and callable(crop)
    assert caffe_pb2.NetParameter is caffe.proto.caffe_pb2.NetParameter


def test_install_does_not_replace_another_caffe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "caffe", ModuleType("caffe"))
    with pytest.raises(RuntimeError, match="another caffe has been imported already"):
        caffe_compat.pycaffe.install()


def lenet(caffe: Any, lmdb: str, batch_size: int) -> Any:
    from caffe import layers as L
    from caffe import params as P

    n = caffe.NetSpec()
    n.data, n.label = L.Data(batch_size=batch_size, backend=P.Data.LMDB, source=lmdb,
                             transform_param=dict(scale=1.0 / 255), ntop=2)  # fmt: skip
    n.conv1 = L.Convolution(n.data, kernel_size=5, num_output=20, weight_filler=dict(type="xavier"))
    n.pool1 = L.Pooling(n.conv1, kernel_size=2, stride=2, pool=P.Pooling.MAX)
    n.conv2 = L.Convolution(n.pool1, kernel_size=3, num_output=50, weight_filler=dict(type="xavier"))
    n.pool2 = L.Pooling(n.conv2, kernel_size=2, stride=2, pool=P.Pooling.MAX)
    n.fc1 = L.InnerProduct(n.pool2, num_output=500, weight_filler=dict(type="xavier"))
    n.relu1 = L.ReLU(n.fc1, in_place=True)
    n.score = L.InnerProduct(n.relu1, num_output=10, weight_filler=dict(type="xavier"))
    n.loss = L.SoftmaxWithLoss(n.score, n.label)
    return n.to_proto()


def test_lenet_by_net_spec_and_solver_step(caffe: Any, golden_run: Path) -> None:
    """Tutorial 01: nets from NetSpec, a solver from text, step by step with tests in between; it learns."""
    Path("lenet_train.prototxt").write_text(str(lenet(caffe, "train_lmdb", 64)))
    Path("lenet_test.prototxt").write_text(str(lenet(caffe, "test_lmdb", 16)))
    Path("lenet_solver.prototxt").write_text(
        'train_net: "lenet_train.prototxt" test_net: "lenet_test.prototxt" test_iter: 2 test_interval: 500 '
        'base_lr: 0.01 momentum: 0.9 weight_decay: 0.0005 lr_policy: "inv" gamma: 0.0001 power: 0.75 '
        'snapshot_prefix: "lenet" random_seed: 1 snapshot_after_train: false'
    )
    caffe.set_mode_cpu()
    solver = None
    solver = caffe.SGDSolver("lenet_solver.prototxt")
    assert [(k, v.data.shape) for k, v in solver.net.blobs.items()][:3] == [
        ("data", (64, 3, 16, 16)), ("label", (64,)), ("conv1", (64, 20, 12, 12))]  # fmt: skip
    assert [(k, v[0].data.shape) for k, v in solver.net.params.items()][0] == ("conv1", (20, 3, 5, 5))
    solver.net.forward()
    solver.test_nets[0].forward()
    assert set(solver.test_nets[0].blobs["label"].data[:8]) <= {0, 1, 2, 3}
    solver.step(1)
    assert solver.net.params["conv1"][0].diff[:, 0].reshape(4, 5, 5, 5).any()

    train_loss, correct = np.zeros(30), []
    for it in range(len(train_loss)):
        solver.step(1)
        train_loss[it] = solver.net.blobs["loss"].data
        solver.test_nets[0].forward(start="conv1")
        if it % 10 == 9:
            right = 0
            for _ in range(2):
                solver.test_nets[0].forward()
                right += sum(
                    solver.test_nets[0].blobs["score"].data.argmax(1) == solver.test_nets[0].blobs["label"].data
                )
            correct.append(right / 32)
    assert train_loss[-5:].mean() < 0.5 * train_loss[:5].mean()
    assert correct[-1] > 0.5


def test_classification(caffe: Any, golden_run: Path) -> None:
    """Tutorial 00: a deploy net with weights, reshaped; a Transformer; an image; the same answer on a batch."""
    weights = "snap_BINARYPROTO_iter_30.caffemodel"
    text = Path("train_val.prototxt").read_text()
    deploy = (
        inputs(data=(10, 3, 16, 16)) + text[text.index('layer { name: "conv1"') : text.index('layer { name: "loss"')]
    )
    Path("deploy.prototxt").write_text(deploy + layer_text("Softmax", "ip1", "prob", name="prob"))
    blob = caffe.proto.caffe_pb2.BlobProto()
    blob.ParseFromString(Path("mean.binaryproto").read_bytes())
    mean = caffe.io.blobproto_to_array(blob)[0]
    assert mean.shape == (3, 16, 16)

    net = caffe.Net("deploy.prototxt", weights, caffe.TEST)
    transformer = caffe.io.Transformer({"data": net.blobs["data"].data.shape})
    transformer.set_transpose("data", (2, 0, 1))
    transformer.set_mean("data", mean)
    transformer.set_raw_scale("data", 255)
    transformer.set_channel_swap("data", (2, 1, 0))
    transformer.set_input_scale("data", 0.0078125)
    names, labels = zip(
        *(line.split() for line in Path(golden_run / "train.txt").read_text().splitlines()), strict=True
    )
    images = [caffe.io.load_image(str(golden_run / "images" / name)) for name in names[:20]]
    net.blobs["data"].reshape(20, 3, 16, 16)
    net.blobs["data"].data[...] = [transformer.preprocess("data", image) for image in images]
    output = net.forward()
    found = output["prob"].argmax(1)
    assert (found == np.array(labels[:20], int)).mean() > 0.9
    assert net.blobs["ip1"].data.shape == (20, 4)
    restored = transformer.deprocess("data", net.blobs["data"].data[0])
    expected = caffe.io.resize_image(images[0], (16, 16))
    np.testing.assert_allclose(restored, expected, atol=1e-5)

    classifier = caffe.Classifier("deploy.prototxt", weights, mean=mean, raw_scale=255, input_scale=0.0078125,
                                  channel_swap=(2, 1, 0), image_dims=(16, 16))  # fmt: skip
    np.testing.assert_allclose(classifier.predict(images[:12], oversample=False), output["prob"][:12], rtol=1e-4)
    # Ten crops of an image that is as large as the input are the image and its mirror image, five times each.
    one = [classifier.predict([image], oversample=False) for image in (images[0], images[0][:, ::-1])]
    np.testing.assert_allclose(classifier.predict(images[:1]), (one[0] + one[1]) / 2, rtol=1e-4)

    detector = caffe.Detector("deploy.prototxt", weights, mean=mean, raw_scale=255, input_scale=0.0078125,
                              channel_swap=(2, 1, 0))  # fmt: skip
    file, (height, width) = str(golden_run / "images" / names[0]), images[0].shape[:2]
    windows = [(0, 0, height, width), (2, 3, height - 1, width)]
    detections = detector.detect_windows([(file, np.array(windows))])
    assert [tuple(each["window"]) for each in detections] == windows and detections[0]["filename"] == file
    np.testing.assert_allclose(detections[0]["prediction"], output["prob"][0], rtol=1e-4)


def test_detector_pads_context_with_the_mean(caffe: Any, tmp_path: Path) -> None:
    """By hand: a window of 6 x 6 in an input of 8 with 1 pixel of context is the image at scale 1 about it."""
    text = f"{inputs(data=(1, 1, 8, 8))} {layer_text('Softmax', 'data', 'prob')}"
    weights = tmp_path / "w.caffemodel"
    caffe.Net(text, caffe.TEST).save(str(weights))
    detector = caffe.Detector(text, str(weights), mean=np.array([0.25]), context_pad=1)
    image = np.arange(400, dtype=np.float32).reshape(20, 20, 1) / 400
    inside = detector.crop(image, np.array([6, 6, 11, 11]))
    np.testing.assert_allclose(inside[:7, :7], caffe.io.resize_image(image[5:13, 5:13], (8, 8))[:7, :7], atol=0.02)
    outside = detector.crop(image, np.array([-4, 6, 3, 13]))
    assert (outside[:3] == 0.25).all() and (outside[5:] != 0.25).any()
    with pytest.raises(ValueError, match="nothing of an image"):
        detector.crop(image, np.array([30, 30, 40, 40]))


def test_net_surgery(caffe: Any, tmp_path: Path) -> None:
    """Tutorial on editing parameters: the inner products cast into convolutions give a map whose corner agrees."""
    ip = 'inner_product_param { num_output: 7 weight_filler { type: "xavier" } bias_filler { type: "uniform" } }'
    conv = "convolution_param { num_output: 7 kernel_size: 6 }"
    original, full = tmp_path / "fc.prototxt", tmp_path / "conv.prototxt"
    original.write_text(inputs(data=(1, 3, 6, 6)) + layer_text("InnerProduct", "data", "fc", ip, name="fc"))
    full.write_text(inputs(data=(1, 3, 9, 8)) + layer_text("Convolution", "data", "fc-conv", conv, name="fc-conv"))
    caffe.Net(str(original), caffe.TEST).save(str(tmp_path / "fc.caffemodel"))

    net = caffe.Net(str(original), str(tmp_path / "fc.caffemodel"), caffe.TEST)
    params = ["fc"]
    fc_params = {pr: (net.params[pr][0].data, net.params[pr][1].data) for pr in params}
    net_full_conv = caffe.Net(str(full), str(tmp_path / "fc.caffemodel"), caffe.TEST)
    params_full_conv = ["fc-conv"]
    conv_params = {pr: (net_full_conv.params[pr][0].data, net_full_conv.params[pr][1].data) for pr in params_full_conv}
    for pr, pr_conv in zip(params, params_full_conv, strict=True):
        conv_params[pr_conv][0].flat = fc_params[pr][0].flat  # flat unrolls the arrays
        conv_params[pr_conv][1][...] = fc_params[pr][1]
    net_full_conv.save(str(tmp_path / "full.caffemodel"))

    image = np.random.RandomState(0).randn(3, 9, 8)
    out = caffe.Net(str(full), str(tmp_path / "full.caffemodel"), caffe.TEST).forward(data=image[None])["fc-conv"]
    assert out.shape == (1, 7, 4, 3)
    for top, left in ((0, 0), (3, 2)):
        window = image[None, :, top : top + 6, left : left + 6]
        np.testing.assert_allclose(out[:, :, top, left], net.forward(data=window)["fc"], rtol=1e-4, atol=1e-5)


def test_the_filter_surgery_of_the_same_tutorial(caffe: Any) -> None:
    """Designing filters: blur the first half, double the second by writing into data."""
    conv = 'convolution_param { num_output: 3 kernel_size: 5 weight_filler { type: "gaussian" std: 0.01 } }'
    net = caffe.Net(inputs(data=(1, 1, 100, 100)) + layer_text("Convolution", "data", "conv", conv, name="conv"), 1)
    image = np.random.RandomState(0).rand(90, 110).astype(np.float32)
    im_input = image[np.newaxis, np.newaxis, :, :]
    net.blobs["data"].reshape(*im_input.shape)
    net.blobs["data"].data[...] = im_input
    net.forward()
    filt_min, before = net.blobs["conv"].data.min(), net.blobs["conv"].data[0, 0].copy()
    net.params["conv"][1].data[0] = 1.0
    net.forward()
    np.testing.assert_allclose(net.blobs["conv"].data[0, 0], before + 1, rtol=1e-5)
    assert filt_min < 0
    net.params["conv"][0].data[1] = 1.0 / 25
    net.forward()
    np.testing.assert_allclose(net.blobs["conv"].data[0, 1, 0, 0], image[:5, :5].mean(), rtol=1e-5)


def test_a_python_loss_layer(caffe: Any) -> None:
    """The tutorial's Euclidean loss between two inner products, against the built-in one."""
    ip = 'inner_product_param {{ num_output: 10 weight_filler {{ type: "xavier" }} }} param {{ name: "{}" }}'
    body = inputs(data=(7, 5)) + "".join(
        layer_text("InnerProduct", "data", n, ip.format(n), name=n) for n in ("ip", "ip2")
    )
    python = 'python_param { module: "face_layers" layer: "EuclideanLossLayer" } loss_weight: 1'
    ends = {
        name: f'layer {{ name: "loss" type: "{name}" bottom: "ip" bottom: "ip2" top: "loss" {options} }}'
        for name, options in (("Python", python), ("EuclideanLoss", ""))
    }
    nets = [caffe.Net("force_backward: true " + body + end, caffe.TRAIN) for end in ends.values()]
    nets[1].share_with(nets[0])
    data = np.random.RandomState(0).randn(7, 5)
    losses = [net.forward(data=data)["loss"] for net in nets]
    np.testing.assert_allclose(losses[0][0], losses[1], rtol=1e-5)
    diffs = [net.backward()["data"] for net in nets]
    np.testing.assert_allclose(diffs[0], diffs[1], rtol=1e-4, atol=1e-6)
    for layer in ("ip", "ip2"):
        one, other = (net.params[layer][0].diff for net in nets)
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    user = nets[0].layers[-1]  # the user's own object, as in Caffe
    assert user.type == "Python" and user.diff.shape == (7, 10) and type(user).__name__ == "EuclideanLossLayer"


def test_deep_dream_steps_up_the_gradient(caffe: Any) -> None:
    """make_step of deep dream: write dst.diff, backward from the layer, move the input; the objective rises."""
    conv = 'convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } }'
    text = f"force_backward: true {inputs(data=(1, 3, 8, 8))}" + layer_text("Convolution", "data", "a", conv, name="a")
    text += layer_text("ReLU", "a", "a", name="relu") + layer_text("Convolution", "a", "b", conv, name="b")
    caffe.set_random_seed(0)
    net = caffe.Net(text, caffe.TEST)
    src, dst = net.blobs["data"], net.blobs["a"]
    src.data[0] = np.random.RandomState(0).randn(3, 8, 8)
    objective = []
    for _ in range(3):
        net.forward(end="relu")
        objective.append(0.5 * (dst.data**2).sum())
        dst.diff[:] = dst.data
        net.backward(start="relu")
        g = src.diff[0]
        src.data[:] += 0.5 / np.abs(g).mean() * g
    assert objective[0] < objective[1] < objective[2]
