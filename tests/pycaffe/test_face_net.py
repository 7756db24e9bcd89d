"""Net and Blob of the pycaffe face, as scripts use them. Witnesses: numpy, torch, Caffe's rules by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from face_texts import inputs, layer_text

import caffe_compat.pycaffe as caffe
from caffe_compat.errors import CaffeCompatError, WeightsError
from caffe_compat.net import Net as PlainNet
from caffe_compat.proto.caffe_pb2 import NetParameter
from caffe_compat.pycaffe import net as face_net
from caffe_compat.pycaffe.blob import NetBlob
from caffe_compat.pycaffe.layerwise import move_together

FILLER = 'weight_filler { type: "gaussian" std: 0.1 } bias_filler { type: "uniform" }'
TEXT = f"""
    name: "small" force_backward: true
    {inputs(data=(5, 2, 3, 4), label=(5, 1))}
    layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv"
            convolution_param {{ num_output: 11 kernel_size: 2 pad: 3 {FILLER} }} }}
    layer {{ name: "relu" type: "ReLU" bottom: "conv" top: "conv" }}
    layer {{ name: "ip" type: "InnerProduct" bottom: "conv" top: "ip_blob"
            inner_product_param {{ num_output: 10 {FILLER} }} }}
    layer {{ name: "aside" type: "Softmax" bottom: "ip_blob" top: "prob" }}
    layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip_blob" bottom: "label" top: "loss" }}
"""


@pytest.fixture
def net(tmp_path: Path) -> caffe.Net:
    file = tmp_path / "small.prototxt"
    file.write_text(TEXT)
    caffe.set_random_seed(0)
    net = caffe.Net(str(file), caffe.TRAIN)
    net.blobs["data"].data[...] = np.random.RandomState(0).randn(5, 2, 3, 4)
    net.blobs["label"].data[...] = np.random.RandomState(0).randint(10, size=(5, 1))
    return net


def plain_twin(net: caffe.Net) -> PlainNet:
    """caffe_compat.Net with the same weights, after a forward and backward pass over the same inputs."""
    twin = PlainNet(TEXT, phase="TRAIN")
    for layer, blobs in net.params.items():
        for ours, theirs in zip(twin.params[layer], blobs, strict=True):
            ours.data.copy_(torch.from_numpy(theirs.data))
    twin(**{name: torch.from_numpy(net.blobs[name].data.copy()) for name in net.inputs})
    twin.loss.backward()
    return twin


# --- what a net shows -------------------------------------------------------------------------------------------------


def test_names_and_layers(net: caffe.Net) -> None:
    assert net.inputs == ["data", "label"] and net.outputs == ["loss", "prob"] and net.name == "small"
    split = "ip_blob_ip_0_split"
    assert list(net.blobs) == ["data", "label", "conv", "ip_blob", f"{split}_0", f"{split}_1", "prob", "loss"]
    assert list(net._layer_names) == ["data", "label", "conv", "relu", "ip", split, "aside", "loss"]
    assert net.bottom_names["loss"] == [f"{split}_1", "label"] and net.top_names["relu"] == ["conv"]
    assert [layer.type for layer in net.layers][:4] == ["Input", "Input", "Convolution", "ReLU"]
    assert net.layer_dict["ip"].type == "InnerProduct" and net.layer_dict["ip"].blobs[1] is net.params["ip"][1]
    assert list(net.params) == ["conv", "ip"] and len(net.params["conv"]) == 2
    assert net.blob_loss_weights["loss"] == 1 and net.blob_loss_weights["prob"] == 0


def test_forms_of_the_constructor(net: caffe.Net, tmp_path: Path) -> None:
    file, weights = str(tmp_path / "small.prototxt"), str(tmp_path / "small.caffemodel")
    net.save(weights)
    for other in (
        caffe.Net(file, weights, caffe.TEST),
        caffe.Net(file, caffe.TEST, weights=weights),
        caffe.Net(file, phase=caffe.TEST, level=0, stages=["deploy"], weights=weights),
    ):
        np.testing.assert_array_equal(other.params["ip"][0].data, net.params["ip"][0].data)
    with pytest.raises(TypeError, match="expected a phase"):
        caffe.Net(file)
    with pytest.raises(CaffeCompatError, match="no such file"):
        caffe.Net(str(tmp_path / "none.prototxt"), caffe.TEST)


def test_level_and_stages_pick_layers() -> None:
    text = inputs(x=(1, 2)) + "".join(
        layer_text("Softmax", "x", name, f"include {{ {rule} }}", name=name)
        for name, rule in (("a", 'stage: "one"'), ("b", "min_level: 2"), ("c", "phase: TRAIN"))
    )
    assert list(caffe.Net(text, caffe.TEST, 0, ["one"]).blobs)[-1] == "a"
    assert "b" in caffe.Net(text, caffe.TEST, level=3).blobs
    assert "c" in caffe.Net(text, caffe.TRAIN).blobs


# --- forward and backward ---------------------------------------------------------------------------------------------


def test_passes_are_those_of_the_plain_net(net: caffe.Net) -> None:
    """In-place layers, splits and several readers: as autograd over the whole graph."""
    out = net.forward()
    assert set(out) == {"loss", "prob"}
    net.backward()
    twin = plain_twin(net)
    np.testing.assert_allclose(out["loss"], twin.loss.item(), rtol=1e-6)
    for name in ("conv", "ip_blob"):
        np.testing.assert_allclose(net.blobs[name].data, twin.blobs[name].detach(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(net.blobs["data"].diff, twin.blobs["data"].grad, rtol=1e-4, atol=1e-7)
    for layer, blobs in net.params.items():
        for blob, parameter in zip(blobs, twin.params[layer], strict=True):
            np.testing.assert_allclose(blob.diff, parameter.grad, rtol=1e-4, atol=1e-7)


def test_memory_stays(net: caffe.Net) -> None:
    views = [net.blobs["conv"].data, net.params["conv"][0].data, net.forward()["prob"], net.blobs["data"].diff]
    before = [view.copy() for view in views]
    net.blobs["data"].data[...] += 1
    net.params["conv"][0].data[...] *= 2
    net.forward()
    net.backward()
    assert all((view != old).any() for view, old in zip(views, before, strict=True))
    assert np.shares_memory(views[2], net.blobs["prob"].data)


def test_start_and_end(net: caffe.Net) -> None:
    first = net.forward(end="conv", blobs=["data"])
    assert set(first) == {"conv", "data"}
    assert (net.blobs["conv"].data < 0).any() and not net.blobs["ip_blob"].data.any()
    rest = net.forward(start="relu")
    assert (net.blobs["conv"].data >= 0).all() and set(rest) == {"loss", "prob"}
    whole = {name: array.copy() for name, array in rest.items()}
    np.testing.assert_array_equal(net.forward()["prob"], whole["prob"])
    net.blobs["ip_blob"].data[...] = 0  # the copies that Split makes are the same memory
    np.testing.assert_allclose(net.forward(start="aside")["prob"], 0.1)
    diffs = net.backward(end="ip")
    assert set(diffs) == {"conv"} and diffs["conv"].any() and not net.blobs["data"].diff.any()
    assert set(net.backward(start="relu", diffs=["conv"])) == {"data", "label", "conv"}
    assert net.blobs["data"].diff.any()


def test_keywords_are_inputs_and_output_diffs(net: caffe.Net) -> None:
    data, label = np.ones((5, 2, 3, 4)), np.zeros((5, 1))
    np.testing.assert_array_equal(net.forward(data=data, label=label)["prob"], net.blobs["prob"].data)
    assert (net.blobs["data"].data == 1).all()
    net.backward(loss=np.zeros(()), prob=np.zeros((5, 10)))  # the loss weight is the diff of its top, as in Caffe
    assert not net.params["ip"][0].diff.any()
    net.blobs["loss"].diff[...] = 2
    net.backward()
    doubled = net.params["ip"][0].diff.copy()
    net.clear_param_diffs()
    net.blobs["loss"].diff[...] = 1
    net.backward()
    np.testing.assert_allclose(doubled, 2 * net.params["ip"][0].diff, rtol=1e-6)


def test_parameter_diffs_add_up_until_cleared(net: caffe.Net) -> None:
    net.forward()
    net.backward()
    once = net.params["conv"][0].diff.copy()
    net.backward()
    np.testing.assert_allclose(net.params["conv"][0].diff, 2 * once, rtol=1e-6)
    net.clear_param_diffs()
    assert not net.params["conv"][0].diff.any()


def test_backward_reads_the_blobs_as_they_are_now(net: caffe.Net) -> None:
    """The weight's gradient of an inner product is diff^T data, with the data of now."""
    net.forward()
    net.blobs["conv"].data[...] = 3
    net.backward(start="ip", end="ip")
    expected = net.blobs["ip_blob"].diff.sum(0)[:, None] * 3 + np.zeros_like(net.params["ip"][0].data)
    np.testing.assert_allclose(net.params["ip"][0].diff, expected, rtol=1e-5, atol=1e-7)


def test_a_layer_in_place_knows_the_bottom_that_it_wrote_over() -> None:
    """A slope below 0 turns the sign around, so that the top does not tell which slope it was."""
    relu = layer_text("ReLU", "x", "x", "relu_param { negative_slope: -0.5 }")
    net = caffe.Net(f"force_backward: true {inputs(x=(4,))} {relu}", caffe.TEST)
    net.blobs["x"].data[...] = [-2, -1, 1, 2]
    net.forward()
    assert net.blobs["x"].data.tolist() == [1, 0.5, 1, 2]
    net.blobs["x"].diff[...] = 1
    assert net.backward()["x"].tolist() == [-0.5, -0.5, 1, 1]


def test_what_a_layer_made_of_its_bottoms_counts_whatever_its_top_holds_now() -> None:
    """A deviation: Caffe's Softmax takes its gradient from the top's data, here from what it computed."""
    net = caffe.Net(f"force_backward: true {inputs(x=(1, 3))} {layer_text('Softmax', 'x', 'y')}", caffe.TEST)
    net.blobs["x"].data[...] = [0.1, 0.2, 0.3]
    net.forward()
    net.blobs["y"].diff[...] = [1, 2, 3]
    expected = net.backward()["x"].copy()
    net.blobs["y"].data[...] = 0
    np.testing.assert_array_equal(net.backward()["x"], expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda net: net.forward(end="nowhere"), "no layer 'nowhere'; the layers are data, label, conv"),
        (lambda net: net.forward(blobs=["nothing"]), "no blob 'nothing'"),
        (lambda net: net.forward(data=np.ones((5, 2, 3, 4))), "do not match net inputs: expected .'data', 'label'."),
        (lambda net: net.forward(data=np.ones((4, 2, 3, 4)), label=np.ones((5, 1))), "'data' is not batch sized"),
        (lambda net: net.backward(loss=1), "do not match net outputs"),
        (lambda net: net.set_input_arrays(np.ones((5, 2, 3, 4)), np.ones(5)), "first layer is a MemoryData layer"),
        (lambda net: net.blobs["data"].reshape(2, -1), "no negative size"),
        (lambda net: net.params["ip"][1].reshape(3), r"of shape \(10,\) cannot become"),
        (lambda net: net.forward_all(data=np.ones((5, 2, 3, 4)), label=np.ones((4, 1))), "as many rows each"),
    ],
)
def test_wrong_calls(net: caffe.Net, call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(net)  # type: ignore[operator]


def test_backward_before_forward(net: caffe.Net) -> None:
    with pytest.raises(RuntimeError, match='layer "loss" .SoftmaxWithLoss. has not run forward yet'):
        net.backward()


def test_a_layer_that_learns_nothing_and_leads_to_no_loss_has_no_backward() -> None:
    """Without force_backward Caffe leaves the diffs of inputs alone."""
    net = caffe.Net(TEXT.replace("force_backward: true", ""), caffe.TEST)
    net.forward()
    net.blobs["data"].diff[...] = 7
    net.backward()
    assert (net.blobs["data"].diff == 7).all() and net.params["conv"][1].diff.any()


def test_callbacks_see_every_layer(net: caffe.Net) -> None:
    seen: list[tuple[str, int]] = []
    for name in ("before_forward", "after_forward", "before_backward", "after_backward"):
        getattr(net, name)(lambda index, name=name: seen.append((name, index)))
    net.forward(start="relu", end="ip")
    assert seen == [(f"{when}_forward", index) for index in (3, 4) for when in ("before", "after")]
    net.forward()
    seen.clear()
    net.backward(end="aside")
    assert seen == [(f"{when}_backward", index) for index in (7, 6) for when in ("before", "after")]


def test_a_batch_norm_layer_on_data_runs_the_backward_passes_behind_it() -> None:
    """Nothing learns; Caffe runs them all the same, and past the layer's bottom even, which is not followed."""
    text = inputs(data=(3, 2), label=(3, 2)) + layer_text("BatchNorm", "data", "norm", name="norm")
    text += layer_text("Power", "norm", "twice", "power_param { scale: 2 }", name="twice")
    text += 'layer { name: "loss" type: "EuclideanLoss" bottom: "twice" bottom: "label" top: "loss" }'
    net = caffe.Net(text, caffe.TRAIN)
    data = np.random.RandomState(0).randn(3, 2)
    net.forward(data=data, label=np.ones((3, 2)))
    net.backward()
    normed = (data - data.mean(0)) / np.sqrt(data.var(0) + 1e-5)
    np.testing.assert_allclose(net.blobs["twice"].diff, (2 * normed - 1) / 3, rtol=1e-4)
    np.testing.assert_allclose(net.blobs["norm"].diff, 2 * (2 * normed - 1) / 3, rtol=1e-4)
    assert not net.blobs["data"].diff.any() and not any(blob.diff.any() for blob in net.params["norm"])


# --- any number of rows -----------------------------------------------------------------------------------------------


def test_forward_all_and_forward_backward_all(net: caffe.Net) -> None:
    """Seven rows by fives: as row by row."""
    rows, labels = np.random.RandomState(1).randn(7, 2, 3, 4).astype(np.float32), np.zeros((7, 1), np.float32)
    out = net.forward_all(blobs=["conv"], data=rows, label=labels)
    assert out["prob"].shape == (7, 10) and out["conv"].shape == (7, 11, 8, 9) and out["loss"].shape == (2,)
    net.blobs["data"].data[...] = rows[2:]
    np.testing.assert_allclose(out["prob"][2:], net.forward()["prob"], rtol=1e-5)
    blobs, diffs = net.forward_backward_all(diffs=["conv"], data=rows, label=labels)
    np.testing.assert_array_equal(blobs["prob"], out["prob"])
    assert diffs["data"].shape == (7, 2, 3, 4) and diffs["conv"].shape == (7, 11, 8, 9) and diffs["data"][6].any()


# --- shapes -----------------------------------------------------------------------------------------------------------


def test_reshape(net: caffe.Net) -> None:
    net.blobs["data"].reshape(2, 2, 3, 4)
    net.blobs["label"].reshape(2, 1)
    net.reshape()
    assert net.blobs["conv"].shape == (2, 11, 8, 9) and net.blobs["prob"].data.shape == (2, 10)
    net.blobs["data"].data[...], net.blobs["label"].data[...] = 1, 0
    assert net.forward()["prob"].shape == (2, 10)
    net.blobs["data"].reshape(9, 2, 3, 4)
    net.blobs["label"].reshape(9, 1)
    assert net.forward()["prob"].shape == (9, 10)  # every pass reshapes, as in Caffe
    assert net.blobs["loss"].diff == 1
    net.blobs["data"].reshape(9, 2, 5, 4)
    with pytest.raises(CaffeCompatError, match='layer "ip"'):
        net.reshape()


def test_blobs_keep_their_numbers_until_they_grow() -> None:
    blob = NetBlob((2, 3), torch.empty(0), loss_weight=0.5)
    blob.data[...] = np.arange(6).reshape(2, 3)
    assert (blob.diff == 0.5).all() and blob.count == 6
    blob.reshape(4)
    assert blob.data.tolist() == [0, 1, 2, 3] and (blob.num, blob.channels, blob.height, blob.width) == (4, 1, 1, 1)
    blob.reshape(3, 1, 2)
    assert blob.data.ravel().tolist() == [0, 1, 2, 3, 4, 5]
    blob.reshape(7)
    assert not blob.data.any() and (blob.diff == 0.5).all()
    blob.reshape(1, 1, 1, 1, 1)
    with pytest.raises(ValueError, match="4 axes at most"):
        _ = blob.num


def test_copies_of_a_gpus_memory_go_back(device: torch.device) -> None:
    blob = NetBlob((2, 2), torch.empty(0, device=device))
    blob.data[0] = 1
    blob.data[1] = 2  # the same copy still
    assert blob.data_tensor().device.type == device.type and blob.data_tensor().sum().item() == 6
    blob.put("data", torch.full((2, 2), 5.0, device=device))
    assert (blob.data == 5).all()


# --- weights ----------------------------------------------------------------------------------------------------------


def test_save_copy_and_share(net: caffe.Net, tmp_path: Path) -> None:
    weights = tmp_path / "weights.caffemodel"
    net.save(str(weights))
    copy, shared = (caffe.Net(TEXT, caffe.TEST) for _ in range(2))
    copy.copy_from(str(weights))
    shared.share_with(net)
    net.params["ip"][1].data[0] = 42
    assert shared.params["ip"][1].data[0] == 42 and copy.params["ip"][1].data[0] != 42
    np.testing.assert_array_equal(copy.params["conv"][0].data, net.params["conv"][0].data)


@pytest.mark.parametrize("name", ["weights.caffemodel.h5", "weights.bin", "weights", "weights.pt"])
def test_hdf5_weights(net: caffe.Net, tmp_path: Path, name: str) -> None:
    """Under any name, as in Caffe; and ``save`` writes binary under any."""
    pytest.importorskip("h5py")
    net.save_hdf5(str(tmp_path / name))
    assert (tmp_path / name).read_bytes().startswith(b"\x89HDF")
    other = caffe.Net(TEXT, caffe.TEST)
    other.load_hdf5(str(tmp_path / name))
    np.testing.assert_array_equal(other.params["conv"][0].data, net.params["conv"][0].data)
    net.save(str(tmp_path / name))
    message = NetParameter.FromString((tmp_path / name).read_bytes())
    assert [layer.name for layer in message.layer] == list(net._layer_names)
    with pytest.raises(WeightsError, match="HDF5"):
        other.load_hdf5(str(tmp_path / name))


def test_parameters_that_share_memory_do_so_after_a_move(net: caffe.Net) -> None:
    """Other memory stands for another device."""
    shared, again, alone = (caffe.Net(TEXT, caffe.TEST) for _ in range(3))
    shared.share_with(net)
    again.share_with(shared)
    nets = [net, shared, again, alone]
    before = [each.params["ip"][0].data for each in nets]
    move_together([each._net for each in nets], torch.clone)
    after = [each.params["ip"][0].data for each in nets]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)
        assert not np.shares_memory(old, new)
    assert [np.shares_memory(after[0], each) for each in after] == [True, True, True, False]
    again.params["conv"][1].data[0] = 42
    assert net.params["conv"][1].data[0] == 42 and not net.blobs["conv"].diff.any()


def test_nets_that_share_parameters_move_together(net: caffe.Net, monkeypatch: pytest.MonkeyPatch) -> None:
    """Directly or through a third net; with a solver's net they stay where it is."""
    shared, again, alone = (caffe.Net(TEXT, caffe.TEST) for _ in range(3))
    shared.share_with(net)
    again.share_with(shared)
    moves: list[tuple[set[caffe.Net], str]] = []
    monkeypatch.setattr(face_net, "_move", lambda nets, device: moves.append((set(nets), device.type)))
    monkeypatch.setattr(face_net, "current_device", lambda: torch.device("meta"))
    net._follow_mode()
    alone._follow_mode()
    assert moves == [({net, shared, again}, "meta"), ({alone}, "meta")]
    of_solver = caffe.Net.of(alone._net)
    again.share_with(of_solver)
    assert moves[2] == ({net, shared, again, of_solver}, "cpu")
    net._follow_mode()
    assert len(moves) == 3
    elsewhere = caffe.Net.of(again._net)
    monkeypatch.setattr(elsewhere, "_net", SimpleNamespace(_like=torch.empty(0, device="meta")))
    with pytest.raises(RuntimeError, match="nets of solvers on different devices cannot share: .*meta"):
        net.share_with(elsewhere)


def test_sharing_across_devices_on_a_gpu(net: caffe.Net) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU, or PyTorch was built without CUDA")
    expected = net.forward()["prob"].copy()
    shared = caffe.Net(TEXT, caffe.TEST)
    caffe.set_device(0)
    caffe.set_mode_gpu()
    try:
        net.forward()
        shared.share_with(net)
        inputs_of_net = {name: net.blobs[name].data for name in net.inputs}
        np.testing.assert_allclose(shared.forward(**inputs_of_net)["prob"], expected, rtol=1e-3)
    finally:
        caffe.set_mode_cpu()
    net.params["ip"][0].data[...] *= 2
    np.testing.assert_array_equal(shared.forward()["prob"], net.forward()["prob"])


def test_memory_data_takes_arrays() -> None:
    memory = 'layer { name: "data" type: "MemoryData" top: "data" top: "label" memory_data_param '
    net = caffe.Net(memory + "{ batch_size: 2 channels: 1 height: 2 width: 3 } }", caffe.TEST)
    data, labels = np.arange(24, dtype=np.float32).reshape(4, 1, 2, 3), np.arange(4, dtype=np.float32)
    net.set_input_arrays(data, labels)
    for rows in (slice(0, 2), slice(2, 4), slice(0, 2)):
        out = net.forward()
        np.testing.assert_array_equal(out["data"], data[rows])
        np.testing.assert_array_equal(out["label"], labels[rows])


# --- the rest ---------------------------------------------------------------------------------------------------------


def test_mode_and_layer_types() -> None:
    assert "Convolution" in caffe.layer_type_list() and (caffe.TRAIN, caffe.TEST) == (0, 1)
    caffe.set_mode_cpu()
    if not torch.cuda.is_available():
        for call in (caffe.set_mode_gpu, lambda: caffe.set_device(0)):
            with pytest.raises(RuntimeError, match="^set_(mode_gpu|device): no CUDA device"):
                call()


def test_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ValueError, match="set_device: expected a GPU number below 2, got 2"):
        caffe.set_device(2)


def test_a_net_follows_the_mode(net: caffe.Net) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU, or PyTorch was built without CUDA")
    expected = net.forward()["prob"].copy()
    caffe.set_device(0)
    caffe.set_mode_gpu()
    try:
        np.testing.assert_allclose(net.forward()["prob"], expected, rtol=1e-3)
    finally:
        caffe.set_mode_cpu()


def test_random_seed() -> None:
    caffe.set_random_seed(5)
    one = caffe.Net(TEXT, caffe.TEST).params["conv"][0].data.copy()
    caffe.set_random_seed(5)
    np.testing.assert_array_equal(caffe.Net(TEXT, caffe.TEST).params["conv"][0].data, one)
