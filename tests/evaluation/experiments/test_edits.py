"""What a recipe changes in the parsed prototxts: each edit changes that and nothing else, or says what it lacks."""

from pathlib import Path

import pytest
import torch

from caffe_compat import Net
from caffe_compat.errors import CaffeCompatError, PrototxtError
from caffe_compat.evaluation.experiments import edits
from caffe_compat.evaluation.experiments.catalogue import RECIPES
from caffe_compat.evaluation.experiments.jobs import recipe_messages, replace_root
from caffe_compat.evaluation.experiments.simpler_types import constant_types, types_of_class
from caffe_compat.evaluation.experiments.switches import SWITCHES, with_switches
from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt import filter_net, read_net, read_solver
from caffe_compat.prototxt.deploy import NOISY_LABEL_LOSS
from caffe_compat.repository import REPOSITORY
from caffe_compat.weights import read_blobproto_file


def messages(name: str) -> tuple[caffe_pb2.SolverParameter, caffe_pb2.NetParameter]:
    solver, _ = read_solver(REPOSITORY / f"prototxt/{name}_solver.prototxt")
    return solver, read_net(REPOSITORY / solver.net)[0]


def changed(name: str, edit: edits.Edit) -> tuple[caffe_pb2.SolverParameter, caffe_pb2.NetParameter]:
    solver, net = messages(name)
    edit(solver, net)
    return solver, net


def layers(net: caffe_pb2.NetParameter) -> dict[str, caffe_pb2.LayerParameter]:
    return {layer.name: layer for layer in net.layer}


def names_changed(name: str, edit: edits.Edit) -> set[str]:
    before, after = layers(messages(name)[1]), layers(changed(name, edit)[1])
    return {each for each in before.keys() | after.keys() if before.get(each) != after.get(each)}


def test_noisy_labels_only():
    net = changed("cifar10/noisy_as_truth", edits.noisy_labels_only)[1]
    sources = [layer.data_param.source for layer in net.layer if layer.type == "Data"]
    assert "data/cifar10n/mixed_noisy_labels_lmdb" in sources and not any("truth" in source for source in sources)
    assert all(layer.loss_param.ignore_label == -1 for layer in net.layer if layer.type == "SoftmaxWithLoss")


def test_numbers_go_where_they_belong():
    noisy = layers(changed("cifar10/ours", edits.update_noise_lr(0.25))[1])["loss_noisy"]
    assert noisy.softmax_noisy_label_loss_param.update_noise_lr == 0.25
    weighted = layers(changed("cifar10/ours", edits.loss_weights(loss_clean=0.5, loss_ntype=0))[1])
    assert weighted["loss_clean"].loss_weight[:] == [0.5] and weighted["loss_ntype"].loss_weight[:] == [0]
    solver = changed("cifar10/clean", edits.schedule(0.5, 7, 9))[0]
    assert (solver.base_lr, solver.stepsize, solver.max_iter) == (0.5, 7, 9)
    assert solver.snapshot == messages("cifar10/clean")[0].snapshot
    assert changed("cifar10/clean", edits.schedule(0.5, 7, 9, snapshot=3))[0].snapshot == 3


def test_confusion_of_all_is_read_beside_the_other():
    net = changed("cifar10/ours", edits.confusion_of_all)[1]
    filler = layers(net)["loss_noisy"].softmax_noisy_label_loss_param.matrix_c_filler
    assert filler.source == "data/cifar10n/confusion_of_all.binaryproto"
    assert names_changed("cifar10/ours", edits.confusion_of_all) == {"loss_noisy"}


def test_rates_and_decay_of_the_noise_type_net_alone():
    before = layers(messages("cifar10/ours")[1])
    slow = layers(changed("cifar10/ours", edits.learning_rate_of("_ntype", 0.5))[1])
    for name, layer in before.items():
        factor = 0.5 if name.endswith("_ntype") else 1
        assert [param.lr_mult * factor for param in layer.param] == [param.lr_mult for param in slow[name].param]
    assert names_changed("demo/ours", edits.without_decay("_ntype")) == {
        "conv1_ntype", "conv2_ntype", "conv3_ntype", "ip1_ntype", "ip2_ntype",
    }  # fmt: skip


def test_labelled_mean_changes_the_two_losses():
    assert names_changed("cifar10/ours", edits.labelled_mean) == {"loss_clean", "loss_ntype"}
    loss = layers(changed("cifar10/ours", edits.labelled_mean)[1])["loss_clean"].loss_param
    assert loss.ignore_label == -1 and loss.normalization == caffe_pb2.LossParameter.VALID
    assert not loss.HasField("normalize")


def net_with(edit: edits.Edit, folder: Path) -> Net:
    """CIFAR-10's joint net, changed, over a small data folder; it also gives the posteriors."""
    param = changed("cifar10/ours", edit)[1]
    replace_root(param, "data/cifar10n", str(folder))
    next(layer for layer in param.layer if layer.type == NOISY_LABEL_LOSS).top.extend(["p_true", "p_type"])
    return Net(param, phase="TRAIN")


def test_constant_types_are_the_frequencies_for_every_image(tiny_data):
    folder: Path = tiny_data("cifar", classes=10, size=32)
    net = net_with(constant_types, folder)
    net().clear()
    assert not [name for name in net.params if name.endswith("_ntype") and name != "log_prior_ntype"]
    prior = read_blobproto_file(folder / "noise_type_log_prior.binaryproto").reshape(3)
    for row in net.blobs["ip2_ntype"].detach().numpy():
        assert (row == prior).all()
    net.loss.backward()
    assert net.params["conv1_clean"][0].grad.abs().sum() > 0
    assert all(param.grad is None or not param.grad.any() for param in net.params["log_prior_ntype"])


def test_types_of_the_class_begin_as_frequencies_and_learn_without_the_class_net(tiny_data):
    folder: Path = tiny_data("cifar", classes=10, size=32)
    net = net_with(types_of_class, folder)
    net().clear()
    assert [name for name in net.params if name.endswith("_ntype")] == ["of_class_ntype"]
    prior = read_blobproto_file(folder / "noise_type_log_prior.binaryproto").reshape(3)
    assert (net.blobs["ip2_ntype"].detach().numpy() == prior).all()
    net.blobs["loss_ntype"].sum().backward(retain_graph=True)
    weight, bias = net.params["of_class_ntype"]
    assert weight.grad.any() and bias.grad.any()
    assert all(param.grad is None or not param.grad.any() for param in net.params["ip2_clean"])

    with torch.no_grad():  # ten classes, each with types of its own
        weight.copy_(torch.arange(30.0).reshape(3, 10))
    net().clear()
    classes = net.blobs["ip2_clean"].softmax(1)
    torch.testing.assert_close(net.blobs["ip2_ntype"], classes @ weight.T + bias)


def test_both_splits_are_tested():
    solver, net = changed("cifar10/clean", edits.test_on(validation=(4, 5), test=(3, 7)))
    assert solver.test_iter[:] == [7, 5]
    for state, (file, batch) in zip(solver.test_state, (("test_lmdb", 3), ("val_lmdb", 4)), strict=True):
        phase = caffe_pb2.NetState(phase=caffe_pb2.TEST, stage=state.stage)
        data = [layer.data_param for layer in filter_net(net, phase).layer if layer.type == "Data"]
        assert [(each.source, each.batch_size) for each in data] == [(f"data/cifar10n/{file}", batch)]
    train = filter_net(net, caffe_pb2.NetState(phase=caffe_pb2.TRAIN)).layer
    assert len([layer for layer in train if layer.type == "Data"]) == 1
    assert names_changed("cifar10/ntype", edits.test_on(validation=(4, 5), test=(3, 7))) == set()


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        ("cifar10/ours", edits.noisy_labels_only),
        ("cifar10/clean", edits.update_noise_lr(0)),
        ("cifar10/clean", edits.confusion_of_all),
        ("cifar10/clean", edits.loss_weights(loss_ntype=1)),
        ("cifar10/clean", edits.learning_rate_of("_ntype", 0)),
        ("cifar10/clean", edits.num_output(fc7_ntype=1)),
        ("cifar10/clean", constant_types),
        ("cifar10/clean", types_of_class),
    ],
)
def test_an_edit_without_effect_is_an_error(name: str, edit: edits.Edit):
    with pytest.raises(PrototxtError, match='net "cifar10_.*": expected .*, found none'):
        changed(name, edit)


CLOTHING1M = ("clothing1m", "clothing1m_release")


def switched(
    recipe: str, number: str, choice: str
) -> dict[str, tuple[caffe_pb2.SolverParameter, caffe_pb2.NetParameter]]:
    """{stage: its messages} of the stages that the choice changes."""
    before = RECIPES[recipe]
    after = {stage.name: recipe_messages(stage) for stage in with_switches(before, {number: choice}).stages}
    return {name: made for name, made in after.items() if made != recipe_messages(before.stage(name))}


@pytest.mark.parametrize("number", [number for number, switch in SWITCHES.items() if switch.choices])
def test_each_choice_of_a_switch_can_be_made_and_what_a_recipe_is_changes_nothing(number: str):
    for choice, by_stage in SWITCHES[number].choices.items():
        for name, is_the in zip(CLOTHING1M, ("paper", "release"), strict=True):
            stages = {stage.name for stage in RECIPES[name].stages} & set(by_stage)
            if stages:
                assert set(switched(name, number, choice)) == (set() if choice == is_the else stages)


def test_release_with_the_papers_choices():
    """Stage by stage: what the release does in stage 1 differs from what it does in stage 2."""
    for stage, (_, net) in switched("clothing1m_release", "D2", "paper").items():
        assert layers(net)["loss_noisy"].softmax_noisy_label_loss_param.update_noise_lr == 1, stage
    weights = {
        stage: {layer.name: layer.loss_weight[:] for layer in net.layer if layer.loss_weight}
        for stage, (_, net) in switched("clothing1m_release", "D6", "paper").items()
    }
    assert weights["stage1"] == {"loss_clean": [1], "loss_noisy": [1]}
    assert weights["stage2"] == {"loss_clean": [1], "loss_noisy": [1], "loss_ntype": [1]}
    for stage, (_, net) in switched("clothing1m_release", "D9", "paper").items():
        assert layers(net)["fc7_ntype"].inner_product_param.num_output == 4096, stage
    assert set(switched("clothing1m_release", "D3", "no_decay")) == {"stage1"}, "where nothing else moves p(z|x)"


def test_another_schedule_keeps_the_snapshots():
    assert switched("clothing1m_release", "D7", "paper")["clean_pretrained"][0].snapshot == 5000
    assert switched("clothing1m", "D7", "release")["clean"][0].snapshot == 10_000


def test_the_table_of_a_switched_recipe_names_the_switches():
    title = with_switches(RECIPES["clothing1m_release"], {"D2": "paper", "D6": "paper"}).title
    assert title == f"{RECIPES['clothing1m_release'].title}, D2: paper, D6: paper"


@pytest.mark.parametrize(
    ("recipe", "number", "choice", "problem"),
    [
        ("clothing1m", "D99", "paper", "expected one of D2, .*, got D99"),
        ("clothing1m", "D2", "mine", "expected one of paper, release, got mine"),
        ("clothing1m", "D4", "release", "--clean_ratio"),
        ("clothing1m", "D3", "no_decay", "recipe clothing1m has none of the stages stage1"),
        ("demo", "D7", "paper", "expected a recipe of clothing1m, clothing1m_release, got demo"),
        ("cifar10n", "D7", "release", "expected a recipe of clothing1m, clothing1m_release, got cifar10n"),
    ],
)
def test_wrong_switches(recipe: str, number: str, choice: str, problem: str):
    with pytest.raises(CaffeCompatError, match=problem):
        with_switches(RECIPES[recipe], {number: choice})
