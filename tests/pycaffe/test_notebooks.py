"""What Caffe's notebooks call, in their words, on tiny nets in place of what they download.

Beside ``test_tutorials.py``: 00-classification's tour, 01's solver in Python, 02-fine-tuning, brewing-logreg,
pascal-multilabel, siamese.
"""

from __future__ import annotations

import copy
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from face_texts import WEIGHTS, deploy, images_of, inputs, layer_text


def test_classification_tour_of_a_net(caffe: Any, golden_run: Path) -> None:
    """Notebook 00: one image broadcast over the batch, the top five, shapes, filters and features."""
    caffe.set_mode_cpu()
    net = caffe.Net(deploy(10), WEIGHTS, caffe.TEST)
    blob = caffe.io.caffe_pb2.BlobProto()
    blob.ParseFromString(Path("mean.binaryproto").read_bytes())
    np.save("mean.npy", caffe.io.blobproto_to_array(blob)[0])
    mu = np.load("mean.npy")
    mu = mu.mean(1).mean(1)
    assert [name for name, _ in zip("BGR", mu, strict=True)] == ["B", "G", "R"]
    transformer = caffe.io.Transformer({"data": net.blobs["data"].data.shape})
    transformer.set_transpose("data", (2, 0, 1))
    transformer.set_mean("data", mu)
    transformer.set_raw_scale("data", 255)
    transformer.set_channel_swap("data", (2, 1, 0))
    transformer.set_input_scale("data", 0.0078125)
    net.blobs["data"].reshape(50, 3, 16, 16)
    files, labels = images_of(golden_run, 8)
    right = 0
    for file, label in zip(files, labels, strict=True):
        image = caffe.io.load_image(file)
        transformed_image = transformer.preprocess("data", image)
        net.blobs["data"].data[...] = transformed_image
        output = net.forward()
        output_prob = output["prob"][0]
        top_inds = output_prob.argsort()[::-1][:5]
        right += top_inds[0] == label
    assert right >= 7 and output["prob"].shape == (50, 4) and (output["prob"] == output_prob).all()
    shapes = {layer_name: blob.data.shape for layer_name, blob in net.blobs.items()}
    assert shapes["conv1"] == (50, 8, 14, 14)
    assert {name: (p[0].data.shape, p[1].data.shape) for name, p in net.params.items()}["conv1"] == ((8, 3, 3, 3), (8,))
    filters = net.params["conv1"][0].data
    assert filters.transpose(0, 2, 3, 1).shape == (8, 3, 3, 3)
    feat = net.blobs["conv1"].data[0, :36]
    assert feat.shape == (8, 14, 14) and net.blobs["ip1"].data[0].flat[0] == net.blobs["ip1"].data[0, 0]


def test_a_solver_written_in_python(caffe: Any, golden_run: Path) -> None:
    """Notebook 01, second part: the solver's message filled field by field; SGDSolver and get_solver read its text."""
    from caffe.proto import caffe_pb2  # type: ignore[import-not-found]

    s = caffe_pb2.SolverParameter()
    s.random_seed = 0xCAFFE
    s.train_net = "train_val.prototxt"
    s.test_net.append("train_val.prototxt")
    s.test_interval = 500
    s.test_iter.append(2)
    s.max_iter = 10000
    s.type = "Adam"
    s.base_lr = 0.01
    s.momentum = 0.75
    s.weight_decay = 5e-4
    s.lr_policy = "inv"
    s.gamma = 0.0001
    s.power = 0.75
    s.display = 1000
    s.snapshot = 5000
    s.snapshot_prefix = "custom_net"
    s.solver_mode = caffe_pb2.SolverParameter.GPU
    with open("custom_auto_solver.prototxt", "w") as f:
        f.write(str(s))
    solver = None
    solver = caffe.get_solver("custom_auto_solver.prototxt")
    niter, test_interval = 20, 10
    train_loss = np.zeros(niter)
    test_acc = np.zeros(int(np.ceil(niter / test_interval)))
    output = np.zeros((niter, 8, 4))
    for it in range(niter):
        solver.step(1)
        train_loss[it] = solver.net.blobs["loss"].data
        solver.test_nets[0].forward(start="conv1")
        output[it] = solver.test_nets[0].blobs["ip1"].data[:8]
        if it % test_interval == 0:
            correct = 0
            for _ in range(2):
                solver.test_nets[0].forward()
                correct += sum(
                    solver.test_nets[0].blobs["ip1"].data.argmax(1) == solver.test_nets[0].blobs["label"].data
                )
            test_acc[it // test_interval] = correct / 32
    assert type(solver).__name__ == "AdamSolver" and solver.iter == 20
    assert train_loss[-5:].mean() < train_loss[:5].mean() and test_acc[1] > test_acc[0] and output[3].any()
    assert solver.param.base_lr == s.base_lr and (solver.param.max_iter, solver.param.display) == (10000, 1000)


def test_the_rate_can_be_set_between_steps(caffe: Any, golden_run: Path) -> None:
    """``solver.param.base_lr = ...``, as scripts with schedules of their own do; without a rate nothing moves."""
    solver = caffe.SGDSolver("solver_BINARYPROTO.prototxt")
    solver.param.base_lr = 0
    before = solver.net.params["conv1"][0].data.copy()
    solver.step(1)
    np.testing.assert_array_equal(solver.net.params["conv1"][0].data, before)
    solver.param.base_lr = 0.01
    solver.step(1)
    assert (solver.net.params["conv1"][0].data != before).any()


def test_fine_tuning(caffe: Any, golden_run: Path) -> None:
    """Notebook 02: a net by functions, frozen or not, on ImageData; weights by name; two solvers side by side."""
    from caffe import layers as L  # type: ignore[import-not-found]
    from caffe import params as P
    from caffe.proto import caffe_pb2

    caffe.set_random_seed(0)
    weight_param = dict(lr_mult=1, decay_mult=1)
    bias_param = dict(lr_mult=2, decay_mult=0)
    learned_param = [weight_param, bias_param]
    frozen_param = [dict(lr_mult=0)] * 2

    def conv_relu(
        bottom,
        ks,
        nout,
        stride=1,
        pad=0,
        group=1,
        param=learned_param,
        weight_filler=dict(type="gaussian", std=0.01),  # noqa: B006
        bias_filler=dict(type="constant", value=0.1),  # noqa: B006
    ):
        conv = L.Convolution(bottom, kernel_size=ks, stride=stride, num_output=nout, pad=pad, group=group, param=param,
                             weight_filler=weight_filler, bias_filler=bias_filler)  # fmt: skip
        return conv, L.ReLU(conv, in_place=True)

    def max_pool(bottom, ks, stride=1):
        return L.Pooling(bottom, pool=P.Pooling.MAX, kernel_size=ks, stride=stride)

    def tinynet(data, label=None, train=True, num_classes=4, classifier_name="ip1", learn_all=False):
        n = caffe.NetSpec()
        n.data = data
        param = learned_param if learn_all else frozen_param
        n.conv1, n.relu0 = conv_relu(n.data, 3, 8, param=param)
        n.pool1 = max_pool(n.relu0, 3, stride=2)
        n.norm1 = L.LRN(n.pool1, local_size=5, alpha=1e-4, beta=0.75)
        if train:
            n.drop1 = ip_input = L.Dropout(n.norm1, in_place=True)
        else:
            ip_input = n.norm1
        ip = L.InnerProduct(ip_input, num_output=num_classes, param=learned_param)
        n.__setattr__(classifier_name, ip)
        if not train:
            n.probs = L.Softmax(ip)
        if label is not None:
            n.label = label
            n.loss = L.SoftmaxWithLoss(ip, n.label)
            n.acc = L.Accuracy(ip, n.label)
        with tempfile.NamedTemporaryFile("w", delete=False, dir=".") as f:
            f.write(str(n.to_proto()))
            return f.name

    dummy_data = L.DummyData(shape=dict(dim=[1, 3, 16, 16]))
    imagenet_net = caffe.Net(tinynet(data=dummy_data, train=False), WEIGHTS, caffe.TEST)
    assert imagenet_net.forward()["probs"].shape == (1, 4)

    def style_net(train=True, learn_all=False):
        transform_param = dict(mirror=train, crop_size=16, mean_file="mean.binaryproto", scale=0.0078125)
        style_data, style_label = L.ImageData(transform_param=transform_param, source=str(golden_run / "train.txt"),
                                              root_folder=f"{golden_run}/images/", batch_size=10, new_height=16,
                                              new_width=16, ntop=2)  # fmt: skip
        return tinynet(data=style_data, label=style_label, train=train, num_classes=5,
                       classifier_name="fc8_flickr", learn_all=learn_all)  # fmt: skip

    untrained_style_net = caffe.Net(style_net(train=False), WEIGHTS, caffe.TEST)
    untrained_style_net.forward()
    style_data_batch = untrained_style_net.blobs["data"].data.copy()
    style_label_batch = np.array(untrained_style_net.blobs["label"].data, dtype=np.int32)
    assert style_data_batch.shape == (10, 3, 16, 16) and style_label_batch[:3].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(untrained_style_net.params["conv1"][0].data, imagenet_net.params["conv1"][0].data)

    def disp_preds(net, image, k=5):
        net.blobs["data"].data[0, ...] = image
        probs = net.forward(start="conv1")["probs"][0]
        return (-probs).argsort()[:k]

    assert sorted(disp_preds(untrained_style_net, style_data_batch[0])) == [0, 1, 2, 3, 4]

    def solver(train_net_path, test_net_path=None, base_lr=0.001):
        s = caffe_pb2.SolverParameter()
        s.train_net = train_net_path
        if test_net_path is not None:
            s.test_net.append(test_net_path)
            s.test_interval = 1000
            s.test_iter.append(100)
        s.iter_size = 1
        s.max_iter = 100000
        s.type = "SGD"
        s.base_lr = base_lr
        s.lr_policy = "step"
        s.gamma = 0.1
        s.stepsize = 20000
        s.momentum = 0.9
        s.weight_decay = 5e-4
        s.display = 1000
        s.snapshot = 10000
        s.snapshot_prefix = "finetune_flickr_style"
        s.solver_mode = caffe_pb2.SolverParameter.GPU
        with tempfile.NamedTemporaryFile("w", delete=False, dir=".") as f:
            f.write(str(s))
            return f.name

    def run_solvers(niter, solvers):
        blobs = ("loss", "acc")
        loss, acc = ({name: np.zeros(niter) for name, _ in solvers} for _ in blobs)
        for it in range(niter):
            for name, s in solvers:
                s.step(1)
                loss[name][it], acc[name][it] = (s.net.blobs[b].data.copy() for b in blobs)
        weight_dir = tempfile.mkdtemp(dir=".")
        weights = {}
        for name, s in solvers:
            filename = f"weights.{name}.caffemodel"
            weights[name] = os.path.join(weight_dir, filename)
            s.net.save(weights[name])
        return loss, acc, weights

    style_solver_filename = solver(style_net(train=True), base_lr=0.01)
    style_solver = caffe.get_solver(style_solver_filename)
    style_solver.net.copy_from(WEIGHTS)
    scratch_style_solver = caffe.get_solver(style_solver_filename)
    start = style_solver.net.params["conv1"][0].data.copy()
    solvers = [("pretrained", style_solver), ("scratch", scratch_style_solver)]
    loss, acc, weights = run_solvers(25, solvers)
    np.testing.assert_array_equal(style_solver.net.params["conv1"][0].data, start)  # frozen
    assert loss["pretrained"][-5:].mean() < loss["pretrained"][:5].mean()
    assert loss["pretrained"][-5:].mean() < loss["scratch"][-5:].mean()
    style_weights = weights["pretrained"]
    del style_solver, scratch_style_solver, solvers

    def eval_style_net(weights, test_iters=3):
        test_net = caffe.Net(style_net(train=False), weights, caffe.TEST)
        accuracy = 0
        for _ in range(test_iters):
            accuracy += test_net.forward()["acc"]
        accuracy /= test_iters
        return test_net, accuracy

    test_net, accuracy = eval_style_net(style_weights)
    assert 0.8 < accuracy <= 1
    end_to_end = caffe.get_solver(solver(style_net(train=True, learn_all=True), base_lr=0.001))
    end_to_end.net.copy_from(style_weights)
    run_solvers(1, [("end_to_end", end_to_end)])
    assert (end_to_end.net.params["conv1"][0].data != start).any()


def test_logistic_regression_on_hdf5(caffe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """brewing-logreg: arrays in HDF5 files, solve(), and the accuracy over the test net."""
    h5py = pytest.importorskip("h5py")
    from caffe import layers as L

    monkeypatch.chdir(tmp_path)
    random = np.random.RandomState(0)
    y = np.arange(60) % 2
    X = random.randn(60, 4) + 3 * y[:, None] * [1, -1, 0, 0]
    for name in ("train", "test"):
        with h5py.File(f"{name}.h5", "w") as f:
            f["data"] = X.astype(np.float32)
            f["label"] = y.astype(np.float32)
        Path(f"{name}.txt").write_text(f"{name}.h5\n")

    def logreg(hdf5, batch_size):
        n = caffe.NetSpec()
        n.data, n.label = L.HDF5Data(batch_size=batch_size, source=hdf5, ntop=2)
        n.ip1 = L.InnerProduct(n.data, num_output=2, weight_filler=dict(type="xavier"))
        n.accuracy = L.Accuracy(n.ip1, n.label)
        n.loss = L.SoftmaxWithLoss(n.ip1, n.label)
        return n.to_proto()

    for name in ("train", "test"):
        with open(f"logreg_auto_{name}.prototxt", "w") as f:
            f.write(str(logreg(f"{name}.txt", 10)))
    Path("solver.prototxt").write_text(
        'train_net: "logreg_auto_train.prototxt" test_net: "logreg_auto_test.prototxt" test_iter: 6 test_interval: 50 '
        'base_lr: 0.1 lr_policy: "step" gamma: 0.1 stepsize: 5000 display: 50 max_iter: 60 momentum: 0.9 '
        'snapshot_prefix: "train" solver_mode: CPU'
    )
    solver = caffe.get_solver("solver.prototxt")
    solver.solve()
    accuracy = 0
    batch_size = solver.test_nets[0].blobs["data"].num
    test_iters = int(len(X) / batch_size)
    for _ in range(test_iters):
        solver.test_nets[0].forward()
        accuracy += solver.test_nets[0].blobs["accuracy"].data
    assert test_iters == 6 and accuracy / test_iters > 0.9 and Path("train_iter_60.caffemodel").exists()


def test_multilabel_with_a_python_data_layer(caffe: Any, golden_run: Path) -> None:
    """pascal-multilabel: nets with a data layer of one's own, weights copied in, hamming accuracy on the test net."""
    from caffe import layers as L
    from caffe import params as P

    def multilabel_net(data_layer_params):
        n = caffe.NetSpec()
        n.data, n.label = L.Python(module="face_data_layers", layer="MultilabelDataLayerSync", ntop=2,
                                   param_str=str(data_layer_params))  # fmt: skip
        n.conv1 = L.Convolution(n.data, kernel_size=3, num_output=8, weight_filler=dict(type="xavier"))
        n.pool1 = L.Pooling(n.conv1, pool=P.Pooling.MAX, kernel_size=3, stride=2)
        n.score = L.InnerProduct(n.pool1, num_output=20, weight_filler=dict(type="xavier"))
        n.loss = L.SigmoidCrossEntropyLoss(n.score, n.label)
        return str(n.to_proto())

    params = dict(batch_size=8, im_shape=[16, 16], split=str(golden_run / "train.txt"), root=str(golden_run / "images"))
    Path("trainnet.prototxt").write_text(multilabel_net(params))
    Path("valnet.prototxt").write_text(multilabel_net(dict(params, batch_size=4)))
    Path("multi_solver.prototxt").write_text(
        'train_net: "trainnet.prototxt" test_net: "valnet.prototxt" test_initialization: false test_iter: 1 '
        'test_interval: 250 base_lr: 0.01 momentum: 0.9 lr_policy: "fixed" display: 1 max_iter: 100 random_seed: 1 '
        'snapshot_prefix: "snapshot"'
    )
    solver = caffe.SGDSolver("multi_solver.prototxt")
    solver.net.copy_from(WEIGHTS)
    solver.test_nets[0].share_with(solver.net)
    solver.step(1)
    image = copy.copy(solver.net.blobs["data"].data[0, ...])
    gtlist = solver.net.blobs["label"].data[0, ...].astype(int)
    assert image.shape == (3, 16, 16) and np.flatnonzero(gtlist).tolist() == [0, 19]
    solver.step(30)

    def check_accuracy(net, num_batches, batch_size):
        acc = 0.0
        for _ in range(num_batches):
            net.forward()
            gts = net.blobs["label"].data
            ests = net.blobs["score"].data > 0
            for gt, est in zip(gts, ests, strict=True):
                acc += sum(1 for (g, e) in zip(gt, est, strict=True) if g == e) / float(len(gt))
        return acc / (num_batches * batch_size)

    assert check_accuracy(solver.test_nets[0], 3, 4) > 0.9
    assert solver.test_nets[0].layers[0].top_names == ["data", "label"]


def test_siamese(caffe: Any, tmp_path: Path) -> None:
    """Two towers that share by name, ContrastiveLoss; then one tower over all images by forward_all."""
    ip = 'inner_product_param {{ num_output: 2 weight_filler {{ type: "xavier" }} }} param {{ name: "ip_w" }} {}'
    ip = ip.format('param { name: "ip_b" }').replace("{{", "{").replace("}}", "}")
    train = inputs(pair_data=(4, 2, 5, 5), sim=(4,))
    train += 'layer { name: "slice" type: "Slice" bottom: "pair_data" top: "data" top: "data_p" '
    train += "slice_param { slice_dim: 1 slice_point: 1 } }"
    train += layer_text("InnerProduct", "data", "feat", ip, name="feat")
    train += layer_text("InnerProduct", "data_p", "feat_p", ip, name="feat_p")
    train += 'layer { name: "loss" type: "ContrastiveLoss" bottom: "feat" bottom: "feat_p" bottom: "sim" top: "loss" '
    train += "contrastive_loss_param { margin: 1 } }"
    net = caffe.Net(train, caffe.TRAIN)
    raw_data = np.random.RandomState(0).randint(0, 256, (10, 25)).astype(np.uint8)
    caffe_in = raw_data.reshape(10, 1, 5, 5) * 0.00390625
    pairs = np.concatenate([caffe_in[:4], caffe_in[4:8]], axis=1)
    loss = net.forward(pair_data=pairs, sim=np.array([1, 0, 1, 0]))["loss"]
    net.backward()
    assert net.params["feat"][0] is net.params["feat_p"][0] and net.params["feat"][0].diff.any()
    net.save(str(tmp_path / "siamese.caffemodel"))

    tower = inputs(data=(3, 1, 5, 5)) + layer_text("InnerProduct", "data", "feat", ip, name="feat")
    net = caffe.Net(tower, str(tmp_path / "siamese.caffemodel"), caffe.TEST)
    feat = net.forward_all(data=caffe_in)["feat"]
    assert feat.shape == (10, 2)
    distance = ((feat[:4] - feat[4:8]) ** 2).sum(1)
    apart = np.maximum(1 - np.sqrt(distance), 0) ** 2
    np.testing.assert_allclose(loss, np.where([1, 0, 1, 0], distance, apart).sum() / 4 / 2, rtol=1e-4)
