"""Net: wiring, losses, shared parameters, where gradients stop, phases, memory, and the package around it."""

from __future__ import annotations

import copy
import weakref
from pathlib import Path

import pytest
import torch
from product_nets import DATA, LABEL, LOSS, SHARED, product

from caffe_compat import Net
from caffe_compat.proto import caffe_pb2


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(4, 3, generator=torch.Generator().manual_seed(0))


Y = torch.tensor([0, 2, 1, 1])


# --- building ---------------------------------------------------------------------------------------------------


def test_from_path_text_and_message(tmp_path: Path) -> None:
    text = DATA + product()
    (tmp_path / "net.prototxt").write_text(text)
    message = Net(text).proto
    for source in (text, str(tmp_path / "net.prototxt"), tmp_path / "net.prototxt", message):
        assert list(Net(source).params) == ["ip"]


def test_attributes() -> None:
    net = Net('name: "n"\n' + DATA + LABEL + product() + LOSS, phase="TRAIN")
    assert (net.name, net.phase, net.training) == ("n", caffe_pb2.TRAIN, True)
    assert list(net.layers) == ["data", "label", "ip", "loss"]
    assert (net.inputs, net.outputs) == (["data", "label"], ["loss"])
    assert net.blob_shapes == {"data": (4, 3), "label": (4,), "ip": (4, 3), "loss": ()}
    assert [tuple(blob.shape) for blob in net.params["ip"]] == [(3, 3), (3,)]
    assert net.blob_loss_weights["loss"] == 1 and net.blob_loss_weights["ip"] == 0


def test_phase_picks_layers_and_mode() -> None:
    text = DATA + product("a", extra="include { phase: TRAIN }") + product("b", extra="include { phase: TEST }")
    assert list(Net(text, phase="TRAIN").layers) == ["data", "a"]
    assert list(Net(text, phase="TEST").layers) == ["data", "b"]
    assert Net(text, phase=caffe_pb2.TRAIN).training and not Net(text).training
    with pytest.raises(ValueError, match='expected "TRAIN" or "TEST", got \'VAL\''):
        Net(text, phase="VAL")


def test_level_and_stages() -> None:
    text = DATA + product("a", extra="include { min_level: 2 }") + product("b", extra='include { stage: "deploy" }')
    assert list(Net(text).layers) == ["data"]
    assert list(Net(text, level=2).layers) == ["data", "a"]
    assert list(Net(text, stages=["deploy"]).layers) == ["data", "b"]
    own = 'state { level: 2 stage: "deploy" }\n' + text
    assert list(Net(own).layers) == ["data", "b"]  # the level is the argument's, 0
    assert list(Net(own, level=None).layers) == ["data", "data_data_0_split", "a", "b"]


def test_splits_are_inserted() -> None:
    net = Net(DATA + product("a") + product("b"))
    assert list(net.layers) == ["data", "data_data_0_split", "a", "b"]
    assert net.outputs == ["a", "b"]


def test_state_dict_round_trip(x: torch.Tensor) -> None:
    text = DATA + product("a.b/c") + product("items", bottom="a.b/c")
    torch.manual_seed(1)
    first, second = Net(text), Net(text)
    assert "layer.a_b/c.blobs.0" in first.state_dict()
    second.load_state_dict(first.state_dict())
    torch.testing.assert_close(first(data=x), second(data=x))


def test_deepcopy_is_independent(x: torch.Tensor) -> None:
    net = Net(DATA + LABEL + product() + LOSS, phase="TRAIN")
    twin = copy.deepcopy(net)
    assert twin.learnable_params[0].parameter is twin.params["ip"][0]
    with torch.no_grad():
        twin.params["ip"][0].zero_()
    assert net.params["ip"][0].abs().sum() > 0


def test_double_and_labels(x: torch.Tensor) -> None:
    net = Net(DATA + LABEL + product() + LOSS, phase="TRAIN").double()
    assert net(data=x, label=Y)["loss"].dtype == torch.float64
    net.float()
    assert net(data=x.double(), label=Y)["loss"].dtype == torch.float32


# --- running ----------------------------------------------------------------------------------------------------


def test_outputs_are_alphabetical(x: torch.Tensor) -> None:
    net = Net(DATA + product("zebra") + product("ant"))
    assert list(net(data=x)) == net.outputs == ["ant", "zebra"]


def test_inputs_are_checked(x: torch.Tensor) -> None:
    net = Net(DATA + LABEL + product() + LOSS)
    with pytest.raises(ValueError, match=r"missing \['label'\]"):
        net(data=x)
    with pytest.raises(ValueError, match=r"unknown \['image'\]"):
        net(data=x, label=Y, image=x)


def test_blobs_of_the_last_forward_are_freed_before_the_next_makes_its_own(x: torch.Tensor) -> None:
    net = Net(DATA + LABEL + product() + LOSS, phase="TRAIN")
    net(data=x, label=Y)
    old = weakref.ref(net.blobs["ip"])
    found = []
    net.layers["ip"].register_forward_pre_hook(lambda *_: found.append(old()))
    net(data=x, label=Y)
    assert found == [None]
    assert net.blobs["ip"].requires_grad


def test_in_place_layers_change_the_blob_for_later_readers(x: torch.Tensor) -> None:
    relu = 'layer { name: "relu" type: "ReLU" bottom: "a" top: "a" }\n'
    torch.manual_seed(0)
    net = Net(DATA + product("a") + relu + product("b", bottom="a"))
    net(data=x)
    weight, bias = net.params["a"]
    torch.testing.assert_close(net.blobs["a"], torch.relu(x @ weight.t() + bias))
    weight_b, bias_b = net.params["b"]
    torch.testing.assert_close(net.blobs["b"], net.blobs["a"] @ weight_b.t() + bias_b)


# --- losses -----------------------------------------------------------------------------------------------------


def test_loss_is_the_weighted_sum(x: torch.Tensor) -> None:
    text = DATA + LABEL + product(extra="loss_weight: 0.5") + LOSS.replace("top:", "loss_weight: 3 top:")
    net = Net(text, phase="TRAIN")
    net(data=x, label=Y)
    blobs = net.blobs
    torch.testing.assert_close(net.loss, 3 * blobs["loss"] + 0.5 * blobs["ip_ip_0_split_0"].sum())


def test_loss_layer_defaults_to_weight_one_for_its_first_top(x: torch.Tensor) -> None:
    net = Net(DATA + LABEL + product() + LOSS.replace('top: "loss"', 'top: "loss" top: "prob"'))
    net(data=x, label=Y)
    assert net.loss == net.blobs["loss"]
    assert net.blob_loss_weights["prob"] == 0


def test_single_weight_on_a_loss_layer_with_two_tops(x: torch.Tensor) -> None:
    """BVLC Caffe refuses this; there is only one thing it can mean."""
    net = Net(DATA + LABEL + product() + LOSS.replace('top: "loss"', 'top: "loss" top: "prob" loss_weight: 2'))
    net(data=x, label=Y)
    torch.testing.assert_close(net.loss, 2 * net.blobs["loss"])


def test_unnamed_loss_counts(x: torch.Tensor) -> None:
    named, unnamed = (Net(DATA + LABEL + product() + loss) for loss in (LOSS, LOSS.replace('top: "loss"', "")))
    unnamed.load_state_dict(named.state_dict())
    named(data=x, label=Y)
    assert unnamed(data=x, label=Y) == {}
    assert unnamed.loss == named.loss > 0


def test_net_without_loss(x: torch.Tensor) -> None:
    net = Net(DATA + product())
    net(data=x)
    assert net.loss == 0


def test_loss_has_a_graph_in_both_phases(x: torch.Tensor) -> None:
    for phase in ("TRAIN", "TEST"):
        net = Net(DATA + LABEL + product() + LOSS, phase=phase)
        net(data=x, label=Y)
        net.loss.backward()
        assert net.params["ip"][0].grad is not None


# --- parameters -------------------------------------------------------------------------------------------------


def test_learnable_params_in_caffes_order() -> None:
    net = Net(DATA + product("b", extra="param { lr_mult: 0.5 decay_mult: 2 }") + product("a", bottom="b"))
    found = [(p.layer, p.index, p.lr_mult, p.decay_mult) for p in net.learnable_params]
    assert found == [("b", 0, 0.5, 2), ("b", 1, 1, 1), ("a", 0, 1, 1), ("a", 1, 1, 1)]
    assert net.learnable_params[2].parameter is net.params["a"][0]


def test_lr_mult_zero_switches_the_gradient_off() -> None:
    text = DATA + product(extra="param { lr_mult: 0 } param { lr_mult: 2 }")
    assert [p.parameter.requires_grad for p in Net(text).learnable_params] == [False, True]
    assert all(p.parameter.requires_grad for p in Net("force_backward: true\n" + text).learnable_params)


def test_a_negative_lr_mult_learns(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "caffe_compat")
    negative = "param { lr_mult: -1 } param { lr_mult: -2 }"
    net = Net(DATA + LABEL + product(extra=negative) + LOSS, phase="TRAIN")
    assert all(p.parameter.requires_grad for p in net.learnable_params)
    assert "ip needs backward computation." in caplog.messages


def test_sharing_by_name(x: torch.Tensor) -> None:
    net = Net(DATA + product("a", extra=SHARED) + product("b", bottom="a", extra=SHARED))
    assert len(net.learnable_params) == 2
    assert net.params["a"][0] is net.params["b"][0]
    net(data=x)
    net.blobs["b"].sum().backward()
    once = Net(DATA + product("a") + product("b", bottom="a"))
    for layer in ("a", "b"):
        for mine, theirs in zip(once.params[layer], net.params[layer], strict=True):
            mine.data.copy_(theirs.data)
    once(data=x)
    once.blobs["b"].sum().backward()
    gradients = [once.params[layer][0].grad for layer in ("a", "b")]
    torch.testing.assert_close(net.params["a"][0].grad, gradients[0] + gradients[1])  # type: ignore[operator]


def test_permissive_sharing_keeps_each_layers_shape() -> None:
    """A convolution and the InnerProduct that does the same, one set of weights."""
    image = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 4 dim: 4 } } }\n'
    permissive = 'param { name: "w" share_mode: PERMISSIVE } param { name: "b" }'
    convolution = (
        f'layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv" {permissive} '
        'convolution_param { num_output: 5 kernel_size: 4 weight_filler { type: "xavier" } } }\n'
    )
    net = Net(image + convolution + product("ip", outputs=5, extra=permissive))
    assert [tuple(net.params[name][0].shape) for name in ("conv", "ip")] == [(5, 3, 4, 4), (5, 48)]
    net(data=torch.randn(2, 3, 4, 4))
    torch.testing.assert_close(net.blobs["conv"].flatten(1), net.blobs["ip"])
    with torch.no_grad():
        net.params["ip"][0].fill_(7)
    assert (net.params["conv"][0] == 7).all()


def test_sharing_takes_multipliers_from_whoever_gives_them() -> None:
    silent, outspoken = 'param { name: "w" }', 'param { name: "w" lr_mult: 3 }'
    net = Net(DATA + product("a", extra=silent) + product("b", "a", extra=outspoken))
    assert net.learnable_params[0].lr_mult == 3


def test_weights_in_the_description() -> None:
    blobs = "blobs { shape { dim: 1 dim: 3 } data: 1 data: 2 data: 3 } blobs { shape { dim: 1 } data: 4 }"
    net = Net(DATA + product(outputs=1, extra=blobs))
    assert net(data=torch.ones(4, 3))["ip"].tolist() == [[10]] * 4


def test_save_and_load(tmp_path: Path, x: torch.Tensor) -> None:
    text = DATA + product()
    net = Net(text)
    net.save_weights(tmp_path / "w.caffemodel")
    again = Net(text, weights=tmp_path / "w.caffemodel")
    torch.testing.assert_close(again(data=x), net(data=x), rtol=0, atol=0)


# --- where gradients go -----------------------------------------------------------------------------------------


def test_inputs_get_no_gradient_unless_forced(x: torch.Tensor) -> None:
    text = DATA + LABEL + product() + LOSS
    for force in (False, True):
        net = Net(f"force_backward: {str(force).lower()}\n{text}", phase="TRAIN")
        net(data=x, label=Y.float())
        net.loss.backward()
        assert (net.blobs["data"].grad is not None) == force
        assert net.blobs["label"].grad is None


def test_a_callers_own_gradient_flows(x: torch.Tensor) -> None:
    net = Net(DATA + LABEL + product() + LOSS)
    x.requires_grad_()
    net(data=x, label=Y)
    net.loss.backward()
    assert x.grad is not None


def test_propagate_down_false_stops_the_gradient(x: torch.Tensor) -> None:
    net = Net(DATA + product("a") + product("b", bottom="a", extra="propagate_down: false"))
    net(data=x)
    net.blobs["b"].sum().backward()
    assert net.params["a"][0].grad is None and net.params["b"][0].grad is not None


def test_propagate_down_true_forces_it(x: torch.Tensor) -> None:
    net = Net(DATA + product("a", extra="propagate_down: true"))
    net(data=x)
    net.blobs["a"].sum().backward()
    assert net.blobs["data"].grad is not None


def test_propagate_down_true_forces_nothing_where_nothing_learns(x: torch.Tensor) -> None:
    """Real Caffe's answer InfogainLoss.npz: a gradient of zero, for the layer's backward is not run."""
    net = Net(DATA + product("a", extra="propagate_down: true param { lr_mult: 0 } param { lr_mult: 0 }"))
    net(data=x)
    assert not net.blobs["a"].requires_grad


def test_forcing_a_gradient_below_an_in_place_layer(x: torch.Tensor) -> None:
    """Nothing goes below the copy, so the blob starts the graph: it cannot be overwritten."""
    copy = 'layer { name: "copy" type: "Concat" bottom: "data" top: "a" propagate_down: false }\n'
    relu = 'layer { name: "relu" type: "ReLU" bottom: "a" top: "a" }\n'
    net = Net(f"force_backward: true\n{DATA}{copy}{relu}")
    net(data=x)
    assert net.blobs["a"].requires_grad and net.blobs["a"].min() >= 0


def test_no_grad_is_respected(x: torch.Tensor) -> None:
    net = Net("force_backward: true\n" + DATA + product())
    with torch.no_grad():
        net(data=x)
    assert not net.blobs["ip"].requires_grad


def test_force_backward_wins_over_propagate_down() -> None:
    """Net::Init, "Handle force_backward if needed": what propagate_down cut off is joined again."""
    text = DATA + product().replace('type: "InnerProduct"', 'type: "InnerProduct" propagate_down: false')
    assert "propagate_down" in text
    for force, reached in ((False, False), (True, True)):
        net = Net(f"force_backward: {str(force).lower()}\n{text}")
        outputs = net(**{name: torch.ones(net.blob_shapes[name]) for name in net.inputs})
        sum(output.sum() for output in outputs.values()).backward()
        assert (net.blobs[net.inputs[0]].grad is not None) == reached


def test_channels_last_changes_nothing_but_memory() -> None:
    """Convolution, pooling, LRN, concat and InnerProduct give the same numbers in either format."""
    text = """
        layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 6 dim: 9 dim: 9 } } }
        layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param {
          num_output: 6 kernel_size: 3 group: 3 weight_filler { type: "msra" } } }
        layer { name: "p" type: "Pooling" bottom: "c" top: "p" pooling_param { kernel_size: 3 stride: 2 } }
        layer { name: "n" type: "LRN" bottom: "p" top: "n" lrn_param { alpha: 1 } }
        layer { name: "q" type: "Pooling" bottom: "c" top: "q" pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
        layer { name: "j" type: "Concat" bottom: "n" bottom: "q" top: "j" }
        layer { name: "ip" type: "InnerProduct" bottom: "j" top: "ip" inner_product_param {
          num_output: 4 weight_filler { type: "msra" } } }
    """
    torch.manual_seed(0)
    net = Net(text)
    plain = copy.deepcopy(net)
    for parameter in plain.parameters():
        parameter.data = parameter.data.contiguous()
    x = torch.randn(2, 6, 9, 9)
    for module in (net, plain):
        module(x=x)
        module.blobs["ip"].square().sum().backward()
    assert net.blobs["j"].is_contiguous(memory_format=torch.channels_last)
    assert plain.blobs["j"].is_contiguous()
    for name in ("c", "p", "n", "q", "j", "ip"):
        torch.testing.assert_close(net.blobs[name], plain.blobs[name])
    for mine, theirs in zip(net.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)
