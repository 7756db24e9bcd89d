""".caffemodel files: real Caffe's read, copied into nets by Caffe's rules, and written as Caffe writes them."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from caffe_compat import Net
from caffe_compat.errors import PrototxtError, WeightsError
from caffe_compat.proto.caffe_pb2 import LayerParameter, NetParameter
from caffe_compat.weights import copy_weights, read_caffemodel, save_caffemodel, write_blob

GOLDEN = Path(__file__).parents[1] / "golden"
V1 = GOLDEN / "upgrade" / "v1.caffemodel"
SNAPSHOT = GOLDEN / "run" / "snap_BINARYPROTO_iter_10.caffemodel"

V1_NET = """
name: "v1_shapes"
layer { name: "input" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 12 dim: 12 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 8 kernel_size: 3 stride: 2 } }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: AVE kernel_size: 2 stride: 2 } }
layer { name: "ip" type: "InnerProduct" bottom: "pool1" top: "ip" inner_product_param { num_output: 5 } }
layer { name: "new" type: "InnerProduct" bottom: "ip" top: "new"
  inner_product_param { num_output: 2 weight_filler { value: 7 } } }
"""


def small_net(*layers: str) -> Net:
    """A net over an input of shape (1, 3) with these layers (``name: options of InnerProduct``) side by side."""
    text = 'name: "small" layer { name: "input" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 } } } '
    for layer in layers:
        name, _, options = layer.partition(":")
        text += f'layer {{ name: "{name}" type: "InnerProduct" bottom: "x" top: "{name}" {options} }} '
    return Net(text)


def write_model(path: Path, **layers: list[np.ndarray]) -> Path:
    message = NetParameter(name="written")
    for name, arrays in layers.items():
        message.layer.add(name=name, type="InnerProduct", blobs=[write_blob(array) for array in arrays])
    path.write_bytes(message.SerializeToString())
    return path


IP = "inner_product_param { num_output: 2 }"
WEIGHT, BIAS = np.arange(6, dtype=np.float32).reshape(2, 3), np.array([7, 8], np.float32)


# --- reading --------------------------------------------------------------------------------------------------


def test_a_v1_file_of_caffes_is_read_and_logged_as_caffe_does(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "caffe_compat")
    blobs = read_caffemodel(V1)
    with np.load(GOLDEN / "upgrade" / "v1_blobs.npz") as expected:
        assert {f"{name}/{i}" for name, arrays in blobs.items() for i in range(len(arrays))} == set(expected.files)
        for key in expected.files:
            name, index = key.rsplit("/", 1)
            np.testing.assert_array_equal(blobs[name][int(index)], expected[key])
    log = (GOLDEN / "upgrade" / "v1.log").read_text().splitlines()
    lines = [line.partition("] ")[2] for line in log if "upgrade_proto.cpp" in line][-2:]
    assert caplog.messages == [line.replace("v1.caffemodel", str(V1)) for line in lines]


def test_weights_of_v0_layers_are_found(tmp_path: Path) -> None:
    old = NetParameter(layers=[{"layer": {"name": "conv1", "type": "conv", "blobs": [write_blob(BIAS, legacy=True)]}}])
    (tmp_path / "v0.caffemodel").write_bytes(old.SerializeToString())
    np.testing.assert_array_equal(read_caffemodel(tmp_path / "v0.caffemodel")["conv1"][0], BIAS.reshape(1, 1, 1, 2))


def test_an_old_files_input_fields_do_no_harm(tmp_path: Path) -> None:
    old = NetParameter(input=["data"], layer=[{"name": "ip", "blobs": [write_blob(BIAS)]}])
    (tmp_path / "old.caffemodel").write_bytes(old.SerializeToString())
    assert list(read_caffemodel(tmp_path / "old.caffemodel")) == ["ip"]


FOREIGN = {
    "empty": (b"", "the file is empty"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(99), "an HDF5 file"),
    "prototxt": (b'name: "net"\nlayer { }\n', "not a (binary NetParameter|caffemodel)"),
    "mean": ((GOLDEN / "run" / "mean.binaryproto").read_bytes(), "not a (binary NetParameter|caffemodel)"),
    "solverstate": (SNAPSHOT.with_suffix(".solverstate").read_bytes(), "not a (binary NetParameter|caffemodel)"),
    "zip": (b"PK\x03\x04" + bytes(range(200)), "not a (binary NetParameter|caffemodel)"),
    "zeros": (bytes(1000), "not a (binary NetParameter|caffemodel)"),
    "cut short": (SNAPSHOT.read_bytes()[:-1], r"cut short \(7638 bytes\)"),
    "cut in half": (SNAPSHOT.read_bytes()[:3800], "cut short"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_files_that_are_something_else(kind: str, tmp_path: Path) -> None:
    content, pattern = FOREIGN[kind]
    path = tmp_path / "x.caffemodel"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=pattern) as caught:
        read_caffemodel(path)
    assert caught.value.path == str(path)


def test_a_blob_that_does_not_add_up_is_named(tmp_path: Path) -> None:
    message = NetParameter(layer=[{"name": "ip", "type": "InnerProduct", "blobs": [write_blob(BIAS)]}])
    message.layer[0].blobs[0].shape.dim[0] = 3
    (tmp_path / "x.caffemodel").write_bytes(message.SerializeToString())
    with pytest.raises(WeightsError, match=r'layer "ip" \(InnerProduct\): a blob of shape \(3,\) holds 2') as caught:
        read_caffemodel(tmp_path / "x.caffemodel")
    assert caught.value.layer == "ip"


# --- copying into a net ---------------------------------------------------------------------------------------


def test_legacy_shapes_go_into_the_current_ones(caplog: pytest.LogCaptureFixture) -> None:
    net = Net(V1_NET)
    caplog.set_level(logging.INFO, "caffe_compat")
    caplog.clear()
    copy_weights(net, V1)
    with np.load(GOLDEN / "upgrade" / "v1_blobs.npz") as expected:
        for key in expected.files:
            name, index = key.rsplit("/", 1)
            ours = net.params[name][int(index)].detach().numpy()
            np.testing.assert_array_equal(ours, expected[key].reshape(ours.shape))
    assert (net.params["new"][0] == 7).all(), "a layer the file lacks keeps its fillers"
    ignored = [line for line in caplog.messages if line.startswith("Ignoring")]
    missing = ["data", "data", "relu1", "norm1", "drop", "acc", "loss"]
    assert ignored == [f"Ignoring source layer {name}" for name in missing]


def test_shapes_that_differ_are_refused_in_caffes_words(tmp_path: Path) -> None:
    net = small_net(f"ip: {IP}")
    path = write_model(tmp_path / "x.caffemodel", ip=[WEIGHT.T, BIAS])
    with pytest.raises(WeightsError) as caught:
        copy_weights(net, path)
    assert caught.value.problem == (
        "Cannot copy param 0 weights from layer 'ip'; shape mismatch.  Source param shape is 3 2 (6); target param "
        "shape is 2 3 (6). To learn this layer's parameters from scratch rather than copying from a saved net, rename "
        "the layer."
    )
    assert (caught.value.path, caught.value.layer) == (str(path), "ip")


@pytest.mark.parametrize("blobs", [[], [WEIGHT], [WEIGHT, BIAS, BIAS]])
def test_another_number_of_blobs_is_refused(blobs: list[np.ndarray], tmp_path: Path) -> None:
    path = write_model(tmp_path / "x.caffemodel", ip=blobs)
    with pytest.raises(WeightsError, match=f"Incompatible number of blobs for layer ip: expected 2, got {len(blobs)}"):
        copy_weights(small_net(f"ip: {IP}"), path)


def test_nothing_is_copied_from_a_file_that_does_not_fit(tmp_path: Path) -> None:
    net = small_net(f"good: {IP}", f"bad: {IP}")
    path = write_model(tmp_path / "x.caffemodel", good=[WEIGHT, BIAS], bad=[WEIGHT, BIAS[:1]])
    with pytest.raises(WeightsError, match="Cannot copy param 1 weights from layer 'bad'"):
        copy_weights(net, path)
    assert not net.params["good"][0].any()


def test_a_file_without_any_of_the_nets_layers_is_worth_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    net = small_net(f"ip: {IP}")
    copy_weights(net, write_model(tmp_path / "x.caffemodel", other=[WEIGHT, BIAS]))
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        f"{tmp_path / 'x.caffemodel'}: no layer of this net is in it, nothing was copied"
    ]


def test_of_two_layers_with_one_name_the_last_counts(tmp_path: Path) -> None:
    message = NetParameter()
    for factor in (1, 2):
        message.layer.add(name="ip", blobs=[write_blob(WEIGHT * factor), write_blob(BIAS * factor)])
    (tmp_path / "x.caffemodel").write_bytes(message.SerializeToString())
    net = small_net(f"ip: {IP}")
    copy_weights(net, tmp_path / "x.caffemodel")
    np.testing.assert_array_equal(net.params["ip"][0].detach(), WEIGHT * 2)
    np.testing.assert_array_equal(read_caffemodel(tmp_path / "x.caffemodel")["ip"][1], BIAS * 2)


def test_doubles_go_into_float_nets_and_floats_into_double_nets(tmp_path: Path) -> None:
    layer = LayerParameter(name="ip", type="InnerProduct")
    thirds = WEIGHT.astype(np.float64) / 3
    layer.blobs.add(double_data=thirds.ravel()).shape.dim.extend([2, 3])
    layer.blobs.append(write_blob(BIAS))
    (tmp_path / "x.caffemodel").write_bytes(NetParameter(layer=[layer]).SerializeToString())
    net = small_net(f"ip: {IP}").double()
    copy_weights(net, tmp_path / "x.caffemodel")
    np.testing.assert_array_equal(net.params["ip"][0].detach(), thirds)
    float_net = small_net(f"ip: {IP}")
    copy_weights(float_net, tmp_path / "x.caffemodel")
    np.testing.assert_array_equal(float_net.params["ip"][0].detach(), thirds.astype(np.float32))


def test_a_net_of_half_precision_is_filled_too(tmp_path: Path) -> None:
    path = write_model(tmp_path / "x.caffemodel", ip=[WEIGHT, BIAS])
    net = small_net(f"ip: {IP}").to(torch.bfloat16)
    copy_weights(net, path)
    assert net.params["ip"][0].tolist() == WEIGHT.tolist()


def test_autograd_notices_that_weights_were_loaded(tmp_path: Path) -> None:
    """Between forward and backward: torch's own in-place operations are noticed, and so shall this be."""
    net = small_net(f"ip: {IP}")
    x = torch.ones(1, 3, requires_grad=True)
    total = net(x=x)["ip"].sum()
    copy_weights(net, write_model(tmp_path / "x.caffemodel", ip=[WEIGHT, BIAS]))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


def test_a_parameter_shared_permissively_takes_the_sharers_shape(tmp_path: Path) -> None:
    share = 'param { name: "w" share_mode: PERMISSIVE }'
    net = small_net(f"owner: {share} {IP}", f"sharer: {share} inner_product_param {{ num_output: 2 transpose: true }}")
    assert net.params["sharer"][0].shape == (3, 2)
    path = write_model(tmp_path / "x.caffemodel", sharer=[WEIGHT.reshape(3, 2), BIAS])
    copy_weights(net, path)
    np.testing.assert_array_equal(net.params["owner"][0].detach(), WEIGHT)
    save_caffemodel(net, tmp_path / "again.caffemodel")
    saved = read_caffemodel(tmp_path / "again.caffemodel")
    assert [saved[name][0].shape for name in ("owner", "sharer")] == [(2, 3), (3, 2)]


def test_layers_are_told_that_their_blobs_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = small_net(f"ip: {IP}", f"other: {IP}")
    told = []
    for name, layer in net.layers.items():
        tell = lambda name=name, blobs=layer.blobs: told.append((name, blobs[1][0].item()))  # noqa: E731
        monkeypatch.setattr(layer, "blobs_loaded", tell)
    path = write_model(tmp_path / "x.caffemodel", ip=[WEIGHT, BIAS])
    copy_weights(net, path)
    assert told == [("ip", 7.0)]

    def refuse() -> None:
        raise PrototxtError("columns do not sum to 1", layer="ip")

    monkeypatch.setattr(net.layers["ip"], "blobs_loaded", refuse)
    with pytest.raises(WeightsError, match=r'loaded from .*x.caffemodel: layer "ip": columns do not sum to 1'):
        copy_weights(net, path)


# --- writing --------------------------------------------------------------------------------------------------


def test_a_net_is_written_as_caffe_wrote_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The net of real Caffe's run with its snapshot's weights, saved again: the same message field by field."""
    monkeypatch.chdir(GOLDEN / "run")
    net = Net("train_val.prototxt", "TRAIN", weights=SNAPSHOT.name, stages=[""])
    path = tmp_path / "again.caffemodel"
    net.save_weights(path)
    ours, caffes = NetParameter.FromString(path.read_bytes()), NetParameter.FromString(SNAPSHOT.read_bytes())
    assert ours.name == caffes.name
    for our_layer, caffes_layer in zip(ours.layer, caffes.layer, strict=True):
        assert our_layer == caffes_layer
    assert path.read_bytes() == SNAPSHOT.read_bytes()


def test_split_layers_and_shared_blobs_are_written_too(tmp_path: Path) -> None:
    share = 'param { name: "w" } param { name: "b" }'
    net = small_net(f"first: {share} {IP}", f"second: {share} {IP}")
    save_caffemodel(net, tmp_path / "x.caffemodel")
    saved = NetParameter.FromString((tmp_path / "x.caffemodel").read_bytes())
    assert [(layer.name, layer.type, len(layer.blobs)) for layer in saved.layer] == [
        ("input", "Input", 0),
        ("x_input_0_split", "Split", 0),
        ("first", "InnerProduct", 2),
        ("second", "InnerProduct", 2),
    ]
    assert all(layer.phase == 1 and layer.HasField("phase") for layer in saved.layer)


def namesakes(*values: float, relu: str = "") -> Net:
    """Layers called "ip" one after the other, InnerProduct of weights and biases of these values; perhaps a ReLU."""
    text, bottom = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 } } } ', "x"
    for index, value in enumerate(values):
        fillers = f"weight_filler {{ value: {value} }} bias_filler {{ value: {value} }}"
        text += f'layer {{ name: "ip" type: "InnerProduct" bottom: "{bottom}" top: "{index}" '
        text += f"inner_product_param {{ num_output: 3 {fillers} }} }} "
        bottom = str(index)
    return Net(text + (f'layer {{ name: "ip" type: "ReLU" bottom: "{bottom}" top: "relu" }}' if relu else ""))


def ends(net: Net) -> list[list[float]]:
    """The first and the last number of each layer's blobs, layer by layer."""
    return [[blob.view(-1)[end].item() for blob in layer.blobs for end in (0, -1)] for layer in net.layers_in_order]


def test_layers_of_one_name_are_saved_each_with_its_own_blobs(tmp_path: Path) -> None:
    save_caffemodel(namesakes(1, 5, relu="too"), tmp_path / "x.caffemodel")
    saved = NetParameter.FromString((tmp_path / "x.caffemodel").read_bytes())
    assert [(layer.name, layer.type) for layer in saved.layer[1:]] == [
        ("ip", "InnerProduct"), ("ip", "InnerProduct"), ("ip", "ReLU"),
    ]  # fmt: skip
    assert [[set(blob.data) for blob in layer.blobs] for layer in saved.layer[1:]] == [[{1}, {1}], [{5}, {5}], []]


def test_layers_of_one_name_are_loaded_into_the_first(tmp_path: Path) -> None:
    """As Caffe does: the file's layers one after the other, so that the last counts; each must fit."""
    net = namesakes(7, 8, relu="too")
    save_caffemodel(namesakes(1, 5), tmp_path / "x.caffemodel")
    copy_weights(net, tmp_path / "x.caffemodel")
    assert ends(net) == [[], [5] * 4, [8] * 4, []]
    save_caffemodel(namesakes(1, 5, relu="too"), tmp_path / "relu.caffemodel")
    with pytest.raises(WeightsError, match="Incompatible number of blobs for layer ip: expected 2, got 0"):
        copy_weights(net, tmp_path / "relu.caffemodel")


def test_blobs_given_in_the_description_are_not_written_twice(tmp_path: Path) -> None:
    given = "blobs { shape { dim: 2 dim: 3 } " + "data: 1 " * 6 + "} blobs { shape { dim: 2 } data: 2 data: 2 }"
    net = small_net(f"ip: {IP} {given}")
    net.params["ip"][0].data.zero_()
    save_caffemodel(net, tmp_path / "x.caffemodel")
    weight, bias = read_caffemodel(tmp_path / "x.caffemodel")["ip"]
    assert (weight.sum(), bias.sum()) == (0, 4)


@pytest.mark.parametrize("kind", ["float", "double"])
def test_what_is_saved_is_loaded(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    first, second = (Net(V1_NET) for _ in range(2))
    if kind == "double":
        first.double(), second.double()
    for param in first.parameters():
        param.data.normal_()
    first.save_weights(tmp_path / "x.caffemodel")
    saved = [array for arrays in read_caffemodel(tmp_path / "x.caffemodel").values() for array in arrays]
    assert {array.dtype for array in saved} == {np.dtype(np.float32)}
    second.load_weights(tmp_path / "x.caffemodel")
    for name, blobs in first.params.items():
        for ours, theirs in zip(blobs, second.params[name], strict=True):
            torch.testing.assert_close(ours.float(), theirs.float(), rtol=0, atol=0)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, path = small_net(f"ip: {IP}"), tmp_path / "x.caffemodel"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_caffemodel(net, path)
    assert [file.name for file in tmp_path.iterdir()] == ["x.caffemodel"]
    assert path.read_bytes() == b"old"
