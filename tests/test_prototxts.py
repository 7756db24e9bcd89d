"""Every net and solver of the repository: it parses, its parts agree with one another, it builds and takes a step."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from caffe_compat import Net
from caffe_compat.evaluation.experiments.jobs import replace_root
from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt import filter_net, read_net, read_solver

REPOSITORY = Path(__file__).resolve().parents[1]
PROTOTXT = REPOSITORY / "prototxt"
SOLVERS = sorted(PROTOTXT.rglob("*solver.prototxt"))
NETS = sorted(set(PROTOTXT.rglob("*.prototxt")) - set(SOLVERS))
NOT_TRUNK = ("Data", "Accuracy", "SoftmaxWithLoss", "SoftmaxWithNoisyLabelLoss")
SIZES = {"data/clothing1m": (14, 256), "data/cifar10n": (10, 32), "data/demo": (14, 64)}  # classes, pixels


def name_of(path: Path) -> str:
    return str(path.relative_to(PROTOTXT))


def layers_of(path: str, phase: int = caffe_pb2.TRAIN) -> dict[str, caffe_pb2.LayerParameter]:
    net = filter_net(read_net(PROTOTXT / path)[0], caffe_pb2.NetState(phase=phase))
    return {layer.name: layer for layer in net.layer}


def trunk(path: str, branch: str) -> list[caffe_pb2.LayerParameter]:
    """What lies between data and losses, of a two-branch net the branch's, with names as in a net that has no other."""
    suffix = f"_{branch}"
    layers = [layer for layer in layers_of(path).values() if layer.type not in NOT_TRUNK]
    if "ours" in path or "stage" in path:
        layers = [layer for layer in layers if layer.name.endswith(suffix)]
    for layer in layers:
        layer.ClearField("include")
        layer.name = layer.name.removesuffix(suffix)
        layer.bottom[:] = [blob.removesuffix(suffix) for blob in layer.bottom]
        layer.top[:] = [blob.removesuffix(suffix) for blob in layer.top]
    return layers


def test_there_are_nets_and_solvers():
    assert len(SOLVERS) >= 17 and len(NETS) >= 17


@pytest.mark.parametrize("path", SOLVERS, ids=name_of)
def test_solver_names_a_net_that_is_there(path):
    solver, _ = read_solver(path)
    assert (REPOSITORY / solver.net).is_file()
    assert solver.max_iter % solver.test_interval == 0, "the last iteration would not be tested"
    assert not solver.HasField("random_seed")


@pytest.mark.parametrize("path", SOLVERS, ids=name_of)
def test_solver_says_in_its_file_what_it_is_for(path):
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize("folder", ["", "cifar10/", "demo/"])
def test_clean_noisy_as_truth_and_ours_train_one_net(folder):
    clean, noisy, ours, bottom_up = (
        trunk(f"{folder}{name}_train_val.prototxt", "clean")
        for name in ("clean", "noisy_as_truth", "ours", "bottom_up")
    )
    assert len(clean) > 9
    assert clean == noisy == ours == bottom_up[: len(clean)]
    assert [layer.type for layer in bottom_up[len(clean) :]] == ["Softmax", "InnerProduct", "Log"]


@pytest.mark.parametrize(
    ("ntype", "joint"),
    [
        ("ntype", "ours"),
        ("release/ntype", "release/stage1"),
        ("release/ntype", "release/stage2"),
        ("cifar10/ntype", "cifar10/ours"),
        ("demo/ntype", "demo/ours"),
    ],
)
def test_joint_net_holds_the_noise_type_net(ntype, joint):
    pretrained, together = (trunk(f"{name}_train_val.prototxt", "ntype") for name in (ntype, joint))
    for layer in [*pretrained, *together]:
        layer.ClearField("param")  # the last layer's rates differ in pre-training
    assert len(pretrained) > 9
    assert pretrained == together


def test_only_the_clean_branch_is_tested():
    for path in ("ours_train_val.prototxt", "cifar10/ours_train_val.prototxt", "release/stage1_train_val.prototxt"):
        names = layers_of(path, caffe_pb2.TEST)
        assert not [name for name in names if "ntype" in name or "noisy" in name]
        assert {"accuracy", "loss_clean"} <= set(names)


def test_paper_scale_follows_the_papers_text():
    solver, _ = read_solver(PROTOTXT / "ours_solver.prototxt")
    assert (solver.base_lr, solver.stepsize, solver.lr_policy) == (pytest.approx(1e-3), 50_000, "step")
    assert (solver.gamma, solver.momentum) == (pytest.approx(0.1), pytest.approx(0.9))
    layers = layers_of("ours_train_val.prototxt")
    assert [list(layers[name].loss_weight) for name in ("loss_clean", "loss_ntype", "loss_noisy")] == [[1], [1], [1]]
    assert layers["loss_noisy"].softmax_noisy_label_loss_param.update_noise_lr == 1
    assert layers["data"].data_param.batch_size == 128 and layers["data"].transform_param.crop_size == 227


def test_release_stages():
    one, two = (layers_of(f"release/stage{stage}_train_val.prototxt") for stage in (1, 2))
    assert "loss_ntype" not in one and list(one["loss_clean"].loss_weight) == [pytest.approx(0.1)]
    assert one["loss_noisy"].softmax_noisy_label_loss_param.update_noise_lr == 0
    assert list(two["loss_ntype"].loss_weight) == [pytest.approx(0.1)] and list(two["loss_clean"].loss_weight) == [1]
    assert two["loss_noisy"].softmax_noisy_label_loss_param.update_noise_lr == pytest.approx(0.1)
    assert one["fc7_ntype"].inner_product_param.num_output == 1024


def test_demo_methods_get_the_same_iterations():
    methods = ("clean", "noisy_as_truth", "ours")
    solvers = [read_solver(PROTOTXT / f"demo/{method}_solver.prototxt")[0] for method in methods]
    assert len({(solver.max_iter, solver.base_lr, solver.stepsize, solver.weight_decay) for solver in solvers}) == 1


@pytest.mark.parametrize("path", [net for net in NETS if "bvlc" not in str(net)], ids=name_of)
def test_net_builds_and_every_parameter_learns(path: Path, tiny_data: Callable[..., Path]):
    net = small_batches(path, tiny_data)
    train = Net(net, phase="TRAIN", seed=1)
    train()
    train.loss.backward()
    assert torch.isfinite(train.loss) and train.loss > 0
    for learnable in train.learnable_params:
        gradient = learnable.parameter.grad
        if learnable.lr_mult:
            assert gradient is not None and gradient.isfinite().all(), learnable.layer
            assert gradient.any() != is_frozen(path, learnable.layer), learnable.layer
    outputs = Net(net, phase="TEST")()
    assert 0 <= float(outputs["accuracy"]) <= 1


def is_frozen(path: Path, layer: str) -> bool:
    """The release's first stage has update_noise_lr 0 and no noise-type loss: nothing reaches the p(z|x) net."""
    return "release/stage1" in str(path) and layer.endswith("_ntype")


def small_batches(path: Path, tiny_data: Callable[..., Path]) -> caffe_pb2.NetParameter:
    """The net on tiny data, four images at a time."""
    net, _ = read_net(path)
    for root, (classes, size) in SIZES.items():
        if root in path.read_text():
            replace_root(net, root, str(tiny_data(Path(root).name, classes=classes, size=size)))
    for layer in net.layer:
        if layer.type == "Data":
            layer.data_param.batch_size = 4
    return net


def test_reference_caffenet_trains(tmp_path: Path, tiny_data: Callable[..., Path]):
    folder = tiny_data("ilsvrc12", classes=1000, size=256)
    for ours, theirs in (("clean_train", "ilsvrc12_train"), ("val", "ilsvrc12_val")):
        (folder / f"{ours}_lmdb").rename(folder / f"{theirs}_lmdb")
    (folder / "mean.binaryproto").rename(folder / "imagenet_mean.binaryproto")
    net, _ = read_net(PROTOTXT / "bvlc_reference_caffenet/train_val.prototxt")
    replace_root(net, "data/ilsvrc12", str(folder))
    for layer in net.layer[:2]:
        layer.data_param.batch_size = 2
    torch.manual_seed(1)  # two images: the loss of a start varies by more than one
    train = Net(net, phase="TRAIN", seed=1)
    train()
    assert train.loss.item() == pytest.approx(6.9, abs=1.5)  # log(1000), before anything is learnt
    assert [tuple(blob.shape) for blob in train.params["fc6"]] == [(4096, 9216), (4096,)]


def test_reference_caffenet_predicts():
    net = Net(PROTOTXT / "bvlc_reference_caffenet/deploy.prototxt", phase="TEST")
    probabilities = net(data=torch.randn(10, 3, 227, 227))["prob"]
    assert probabilities.shape == (10, 1000)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(10))


# What the authors' nets do that is unusual, in a net of our own.
UNUSUAL = """
name: "unusual"
richness: 300  # of their fork
auto_insert_gathers: true
layer { name: "input" type: "Data" top: "data" include { phase: TRAIN }
  transform_param { mirror: false mean_file: "ROOT/mean.binaryproto" }
  data_param { source: "ROOT/mixed_images_lmdb" index: "ROOT/mixed_index.npy" batch_size: 12 backend: LMDB } }
layer { name: "label_clean" type: "Data" top: "label_clean" include { phase: TRAIN }
  data_param { source: "ROOT/mixed_clean_labels_lmdb" batch_size: 12 backend: LMDB } }
layer { name: "label_noisy" type: "Data" top: "label_noisy" include { phase: TRAIN }
  data_param { source: "ROOT/mixed_noisy_labels_lmdb" batch_size: 12 backend: LMDB } }
################ the same name and tops in the other phase ################
layer { name: "input" type: "Data" top: "data" top: "label_clean" include: { phase: TEST }
  transform_param { mean_file: "ROOT/mean.binaryproto" }
  data_param { source: "ROOT/test_lmdb" batch_size: 3 backend: LMDB } }
layer { name: "y" type: "InnerProduct" bottom: "data" top: "y" param { lr_mult: 1 } param { lr_mult: 2 }
  inner_product_param { num_output: 5
    weight_filler { type: "gaussian" std: 0.0001 } bias_filler { type: "constant" } } }
layer { name: "z" type: "InnerProduct" bottom: "data" top: "z" include: { phase: TRAIN }
  inner_product_param { num_output: 3 weight_filler { type: "gaussian" std: 0.0001 } } }
layer { name: "accuracy" type: "Accuracy" bottom: "y" bottom: "label_clean" top: "accuracy" include { phase: TEST } }
layer { name: "loss_clean" type: "SoftmaxWithLoss" bottom: "y" bottom: "label_clean" top: "loss_clean"
  loss_param { ignore_label: -1 normalize: false } loss_weight: 0.1 }
layer { name: "loss_noisy" type: "SoftmaxWithNoisyLabelLoss" bottom: "y" bottom: "z" bottom: "label_noisy"
  top: "loss_noisy" param { lr_mult: 0 decay_mult: 0 } loss_weight: 1
  softmax_noisy_label_loss_param { matrix_c_filler { type: "blob_proto" source: "ROOT/confusion.binaryproto" }
    update_noise_lr: 0 } include: { phase: TRAIN } }
"""


def test_net_with_the_constructs_of_the_authors_nets_learns(tiny_data: Callable[..., Path]):
    text = UNUSUAL.replace("ROOT", str(tiny_data("unusual", classes=5, size=8)))
    train = Net(text, phase="TRAIN", seed=1)
    losses = []
    for _ in range(8):
        train()
        losses.append(train.loss.item())
        gradients = torch.autograd.grad(train.loss, train.params["y"][0], retain_graph=True)
        with torch.no_grad():
            train.params["y"][0] -= 5e-6 * gradients[0]
    assert losses[-1] < 0.9 * losses[0]
    train.loss.backward()
    assert not train.params["z"][0].grad.any(), "update_noise_lr 0 gives p(z|x) no gradient"
    assert train.blobs["label_clean"].shape == (12, 1, 1, 1)
    assert list(Net(text, phase="TEST").layers) != list(train.layers)
    assert set(Net(text, phase="TEST")()) == {"accuracy", "loss_clean"}
