"""What Caffe's example scripts call, in their words, on tiny nets in place of what they download.

classify.py and detect.py, FCN's surgery and scoring, and pycaffe's own tests.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from face_texts import WEIGHTS, deploy, images_of, inputs

import caffe_compat.pycaffe


def test_classify_py_and_detect_py(caffe: Any, golden_run: Path) -> None:
    """The two scripts' calls: mean reduced to channels, images by folder, windows by rows of a table."""
    model, files = deploy(5), images_of(golden_run, 6)[0]
    mean, channel_swap = np.array([120.0, 121.0, 122.0]).reshape(3, 1, 1), [int(s) for s in "2,1,0".split(",")]
    if mean.shape[1:] != (1, 1):
        mean = mean.mean(1).mean(1)
    classifier = caffe.Classifier(model, WEIGHTS, image_dims=[20, 20], mean=mean, input_scale=0.0078125,
                                  raw_scale=255.0, channel_swap=channel_swap)  # fmt: skip
    images = [caffe.io.load_image(im_f) for im_f in files]
    predictions = classifier.predict(images, not True)
    assert predictions.shape == (6, 4) and predictions.dtype == np.float32
    ten = classifier.predict(images)
    assert ten.shape == (6, 4) and (ten != predictions).any()
    np.save("predictions.npy", predictions)

    detector = caffe.Detector(model, WEIGHTS, mean=mean.reshape(3), input_scale=0.0078125, raw_scale=255.0,
                              channel_swap=channel_swap, context_pad=2)  # fmt: skip
    table = {files[0]: np.array([[0, 0, 10, 10], [2, 3, 12, 12]]), files[1]: np.array([[1, 1, 14, 15]])}
    images_windows = [(ix, table[ix]) for ix in table]
    detections = detector.detect_windows(images_windows)
    assert [(each["filename"], *each["window"]) for each in detections] == [
        (file, *window) for file, windows in images_windows for window in windows
    ]
    for each in detections:
        crop = detector.crop(caffe.io.load_image(each["filename"]), each["window"])
        batch = np.stack([detector.transformer.preprocess("data", crop)] * 5)
        np.testing.assert_allclose(each["prediction"], detector.forward(data=batch)["prob"][0], rtol=1e-5)


def test_selective_search(caffe: Any, golden_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a module of that name, which stands for the MATLAB tool, and without."""
    detector = caffe.Detector(deploy(5), WEIGHTS)
    files = images_of(golden_run, 2)[0]
    with pytest.raises(ModuleNotFoundError, match="detect_selective_search needs .*selective_search_ijcv_with_python"):
        detector.detect_selective_search(files)
    tool = type(sys)("selective_search_ijcv_with_python")
    boxes = {"selective_search_rcnn": [[0, 0, 7, 9]]}
    tool.get_windows = lambda names, cmd: [np.array(boxes[cmd]) for _ in names]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, tool.__name__, tool)
    monkeypatch.chdir(golden_run / "images")
    found = detector.detect_selective_search([os.path.basename(file) for file in files])
    assert [(each["filename"], *each["window"]) for each in found] == [(file, 0, 0, 7, 9) for file in files]
    assert all(each["prediction"].shape == (4,) for each in found)


def test_fcn_surgery_and_scores(caffe: Any) -> None:
    """voc-fcn: bilinear filters written into a Deconvolution, the score's labels, a crop by coordinates."""
    from caffe import layers as L
    from caffe.coord_map import crop  # type: ignore[import-not-found]

    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 3, 12, 12]))
    n.score_fr = L.Convolution(n.data, num_output=3, kernel_size=2, stride=2, param=[dict(lr_mult=1), dict(lr_mult=2)])
    n.upscore = L.Deconvolution(n.score_fr, convolution_param=dict(num_output=3, kernel_size=4, stride=2,
                                bias_term=False), param=[dict(lr_mult=0)])  # fmt: skip
    n.score = crop(n.upscore, n.data)
    n.label = L.DummyData(shape=dict(dim=[1, 1, 12, 12]))
    n.loss = L.SoftmaxWithLoss(n.score, n.label, loss_param=dict(normalize=False, ignore_label=255))
    net = caffe.Net(n.to_proto(), caffe.TRAIN)

    def upsample_filt(size):
        factor = (size + 1) // 2
        center = factor - 1 if size % 2 == 1 else factor - 0.5
        og = np.ogrid[:size, :size]
        return (1 - abs(og[0] - center) / factor) * (1 - abs(og[1] - center) / factor)

    for layer in [k for k in net.params.keys() if "up" in k]:
        m, k, h, w = net.params[layer][0].data.shape
        assert m == k and h == w
        net.params[layer][0].data[range(m), range(k), :, :] = upsample_filt(h)
    net.params["score_fr"][1].data[...] = [3, 1, 2]
    net.forward()
    assert net.blobs["score"].data.shape == (1, 3, 12, 12) and not net.blobs["score"].data[0].argmax(0).any()
    np.testing.assert_allclose(net.blobs["score"].data[0, :, 5, 5], [3, 1, 2], rtol=1e-6)
    assert net.blobs["loss"].data.flat[0] > 0


NET_OF_THE_TESTS = """name: 'testnet' force_backward: true
    layer { type: 'DummyData' name: 'data' top: 'data' top: 'label'
      dummy_data_param { num: 5 channels: 2 height: 3 width: 4 num: 5 channels: 1 height: 1 width: 1
        data_filler { type: 'gaussian' std: 1 } data_filler { type: 'constant' } } }
    layer { type: 'Convolution' name: 'conv' bottom: 'data' top: 'conv'
      convolution_param { num_output: 11 kernel_size: 2 pad: 3
        weight_filler { type: 'gaussian' std: 1 } bias_filler { type: 'constant' value: 2 } }
        param { decay_mult: 1 } param { decay_mult: 0 } }
    layer { type: 'InnerProduct' name: 'ip' bottom: 'conv' top: 'ip_blob'
      inner_product_param { num_output: 4 weight_filler { type: 'gaussian' std: 2.5 }
        bias_filler { type: 'constant' value: -3 } } }
    layer { type: 'SoftmaxWithLoss' name: 'loss' bottom: 'ip_blob' bottom: 'label' top: 'loss' }"""


def test_net_py(caffe: Any, tmp_path: Path) -> None:
    """pycaffe's own test_net.py: arrays outlive the net, forms of forward and backward, names, saved and read."""
    with tempfile.NamedTemporaryFile(mode="w+", delete=False, dir=tmp_path) as f:
        f.write(NET_OF_THE_TESTS)
    net = caffe.Net(f.name, caffe.TRAIN)
    net.blobs["label"].data[...] = np.random.RandomState(0).randint(4, size=net.blobs["label"].data.shape)
    params = sum(map(list, net.params.values()), [])
    blobs = net.blobs.values()
    net.forward()
    net.backward()
    net.layer_dict["ip"]
    assert net.layer_dict["ip"].type == "InnerProduct" and list(net.layer_dict) == list(net._layer_names)
    assert net.inputs == [] and net.outputs == ["loss"]
    assert net.top_names == OrderedDict(
        [("data", ["data", "label"]), ("conv", ["conv"]), ("ip", ["ip_blob"]), ("loss", ["loss"])]
    )
    assert net.bottom_names == OrderedDict(
        [("data", []), ("conv", ["data"]), ("ip", ["conv"]), ("loss", ["ip_blob", "label"])]
    )
    conv_blob = net.blobs["conv"]
    assert net.forward(end="ip", blobs=["conv"])["conv"] is not None and conv_blob.diff.shape == conv_blob.data.shape
    net.clear_param_diffs()
    assert not any(blob.diff.any() for blob in params)
    for h5 in (False, True):
        name = str(tmp_path / ("net.h5" if h5 else "net"))
        if h5:
            pytest.importorskip("h5py")
        (net.save_hdf5 if h5 else net.save)(name)
        other = caffe.Net(f.name, caffe.TEST)
        (other.load_hdf5 if h5 else other.copy_from)(name)
        for layer in net.params:
            for one, two in zip(net.params[layer], other.params[layer], strict=True):
                assert abs(one.data - two.data).sum() == 0
    del net
    gc.collect()
    total = sum(p.data.sum() + p.diff.sum() for p in params) + sum(b.data.sum() + b.diff.sum() for b in blobs)
    assert np.isfinite(total)


def test_python_layer_py(caffe: Any, tmp_path: Path) -> None:
    """pycaffe's own test_python_layer.py: the phase, a parameter that a solver moves, the same layer in two nets."""
    text = "layer { type: 'Python' name: 'layer' top: 'phase' "
    text += "python_param { module: 'face_data_layers' layer: 'PhaseLayer' } }"
    for phase in (caffe.TRAIN, caffe.TEST):
        assert caffe.Net(text, phase).forward()["phase"] == phase
    text = inputs(data=(10,)) + (
        "layer { type: 'Python' name: 'layer' bottom: 'data' top: 'top' "
        "python_param { module: 'face_data_layers' layer: 'ParameterLayer' } }"
    )
    net = caffe.Net("force_backward: true " + text, caffe.TRAIN)
    net.forward()
    net.backward()
    layer = net.layers[list(net._layer_names).index("layer")]
    assert layer.blobs[0].data[0] == 0 and layer.blobs[0].diff[0] == 1
    layer.blobs[0].data[0] += layer.blobs[0].diff[0]
    assert layer.blobs[0].data[0] == 1
    net.save(str(tmp_path / "w"))
    other = caffe.Net(text, caffe.TRAIN)
    other.copy_from(str(tmp_path / "w"))
    assert other.params["layer"][0].data[0] == 1


def test_datum_in_a_database(caffe: Any, tmp_path: Path) -> None:
    """The idiom of making and reading an LMDB by hand: array_to_datum, put, and a cursor over the records."""
    import lmdb

    images = np.random.RandomState(0).randint(0, 256, (3, 3, 4, 5)).astype(np.uint8)
    env = lmdb.open(str(tmp_path / "db"), map_size=1 << 24)
    with env.begin(write=True) as txn:
        for i, image in enumerate(images):
            txn.put(f"{i:08}".encode("ascii"), caffe.io.array_to_datum(image, i).SerializeToString())
        datum = caffe.proto.caffe_pb2.Datum()
        datum.channels, datum.height, datum.width, datum.label = 3, 4, 5, 7
        datum.data = images[0].tobytes()
        txn.put(b"00000003", datum.SerializeToString())
    with env.begin() as txn:
        for key, value in txn.cursor():
            datum = caffe.proto.caffe_pb2.Datum()
            datum.ParseFromString(value)
            flat = np.frombuffer(datum.data, dtype=np.uint8).reshape(datum.channels, datum.height, datum.width)
            np.testing.assert_array_equal(flat, images[int(key) % 3])
            np.testing.assert_array_equal(caffe.io.datum_to_array(datum), flat)
    env.close()
    cv2.imwrite(str(tmp_path / "grey.png"), images[0, 0])
    assert caffe.io.load_image(str(tmp_path / "grey.png"), color=False).shape == (4, 5, 1)
    from caffe import layers as L

    n = caffe.NetSpec()
    n.data, n.label = L.Data(source=str(tmp_path / "db"), backend=caffe.params.Data.LMDB, batch_size=4, ntop=2)
    out = caffe.Net(n.to_proto(), caffe.TEST).forward()
    assert out["label"].tolist() == [0, 1, 2, 7] and (out["data"][1] == images[1]).all()


def test_install_is_what_these_programs_got(caffe: Any) -> None:
    assert caffe is caffe_compat.pycaffe
