"""The nets and losses of prototxt/cifar10/ against scripts/plain_cifar10.py, which writes them again in plain PyTorch.

In float64 both take the same steps from the same weights. (In float32 rounding grows to percents of the first layer's
weights, which start at 1e-4, within some fifty iterations on CIFAR-10.)
"""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

from caffe_compat import Net
from caffe_compat.evaluation.experiments.catalogue import RECIPES
from caffe_compat.evaluation.experiments.jobs import recipe_messages, replace_root
from caffe_compat.prototxt.deploy import with_inputs
from caffe_compat.repository import REPOSITORY
from caffe_compat.solver.updater import Updater

BATCH, ITERATIONS = 12, 12
LAYERS = ("conv1", "conv2", "conv3", "ip1", "ip2")


@pytest.fixture(scope="module")
def plain() -> ModuleType:
    spec = importlib.util.spec_from_file_location("plain_cifar10", REPOSITORY / "scripts/plain_cifar10.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fed_net(stage: str, folder: Path, *labels: str) -> Net:
    """The stage's TRAIN net in float64, without its Data layers."""
    net = recipe_messages(RECIPES["cifar10"].stage(stage))[1]
    replace_root(net, RECIPES["cifar10"].data_root, str(folder))
    kept = [layer for layer in net.layer if layer.type not in ("Data", "Accuracy")]
    del net.layer[:]
    net.layer.extend(kept)
    shapes = {"data": (BATCH, 3, 32, 32), **dict.fromkeys(labels, (BATCH,))}
    return Net(with_inputs(net, shapes), phase="TRAIN").double()


@torch.no_grad()
def copy(net: Net, plain_net: torch.nn.Module, suffix: str) -> None:
    for name in LAYERS:
        layer, (weight, bias) = getattr(plain_net, name), net.params[name + suffix]
        layer.weight.copy_(weight.reshape(layer.weight.shape))
        layer.bias.copy_(bias.reshape(layer.bias.shape))


def difference(net: Net, plain_net: torch.nn.Module, suffix: str) -> float:
    """The largest, over the largest weight of its layer."""
    return max(
        float((getattr(plain_net, name).weight.flatten() - weight.flatten()).detach().abs().max() / weight.abs().max())
        for name in LAYERS
        for weight in [net.params[name + suffix][0].detach()]
    )


def optimizer_of(net: Net, *suffixes: str) -> torch.optim.Optimizer:
    groups = [
        {"params": [blob], "lr": 1e-3 * (1 + is_bias)}
        for suffix in suffixes
        for name in LAYERS
        for is_bias, blob in enumerate(net.params[name + suffix])
    ]
    return torch.optim.SGD(groups, momentum=0.9, weight_decay=0.004)


def plain_optimizer(groups: list[dict]) -> torch.optim.Optimizer:
    for group in groups:
        group["lr"] = 1e-3 * group["lr_mult"]
    return torch.optim.SGD(groups, momentum=0.9, weight_decay=0.004)


def step(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def images(generator: torch.Generator) -> torch.Tensor:
    """With flat parts, as pictures have them."""
    pixels = torch.randint(-128, 128, (BATCH, 3, 32, 32), generator=generator, dtype=torch.float64)
    pixels[:, :, :10] = 7
    return pixels


def test_clean_net(plain: ModuleType, tiny_data) -> None:
    torch.manual_seed(1)
    net, other = fed_net("clean", tiny_data("cifar", classes=10, size=32), "label_clean"), plain.Quick(10).double()
    copy(net, other, "")
    ours, theirs = optimizer_of(net, ""), plain_optimizer(plain.groups(other))
    generator = torch.Generator().manual_seed(2)
    for _ in range(ITERATIONS):
        x, y = images(generator), torch.randint(10, (BATCH,), generator=generator)
        net(data=x, label_clean=y.double())
        step(ours, net.loss)
        step(theirs, plain.cross_entropy(other(x), y))
    assert difference(net, other, "") < 1e-12


def test_it_starts_from_our_weights(plain: ModuleType, tiny_data, tmp_path: Path) -> None:
    net, other = fed_net("clean", tiny_data("cifar", classes=10, size=32), "label_clean"), plain.Quick(10)
    net.save_weights(tmp_path / "start.caffemodel")
    plain.start_from(other, tmp_path / "start.caffemodel")
    assert difference(net, other, "") < 1e-7
    assert all(bool((getattr(other, name).bias == 0).all()) for name in LAYERS)


def test_the_solver_through_a_drop_of_the_rate(plain: ModuleType, tiny_data) -> None:
    """The solver's own updates, decay and multipliers, with Caffe's momentum; PyTorch's goes elsewhere at the drop."""
    torch.manual_seed(1)
    net = fed_net("clean", tiny_data("cifar", classes=10, size=32), "label_clean")
    nets = {caffe: plain.Quick(10).double() for caffe in (True, False)}
    optimizers = {caffe: plain_optimizer(plain.groups(other)) for caffe, other in nets.items()}
    for other in nets.values():
        copy(net, other, "")
    updater = Updater(net.learnable_params, recipe_messages(RECIPES["cifar10"].stage("clean"))[0])
    generator = torch.Generator().manual_seed(2)
    for iteration in range(ITERATIONS):
        dropped = iteration >= ITERATIONS // 2
        x, y = images(generator), torch.randint(10, (BATCH,), generator=generator)
        updater.clear_gradients()
        net(data=x, label_clean=y.double())
        net.loss.backward()
        updater.update(1e-4 if dropped else 1e-3, iteration)
        for caffe, other in nets.items():
            if iteration == ITERATIONS // 2:
                plain.drop_rate(optimizers[caffe], caffe)
            step(optimizers[caffe], plain.cross_entropy(other(x), y))
    assert difference(net, nets[True], "") < 1e-6  # a solver's message holds weight_decay and momentum in float32
    assert difference(net, nets[False], "") > 1e-4


def test_joint_net(plain: ModuleType, tiny_data) -> None:
    """Both nets and all three losses; -log S by autograd on one side, Eq. 5 and 7 on the other."""
    torch.manual_seed(1)
    names = ("label_clean", "label_noisy", "label_ntype")
    net = fed_net("ours", tiny_data("cifar", classes=10, size=32), *names)
    clean, types = plain.Quick(10).double(), plain.Quick(3).double()
    copy(net, clean, "_clean")
    copy(net, types, "_ntype")
    ours = optimizer_of(net, "_clean", "_ntype")
    theirs = plain_optimizer(plain.groups(clean, types))
    confusion = net.params["loss_noisy"][0].detach().reshape(10, 10)
    generator = torch.Generator().manual_seed(2)
    for _ in range(ITERATIONS):
        x = images(generator)
        labels = [torch.randint(-1, high, (BATCH,), generator=generator) for high in (10, 10, 3)]
        net(data=x, **{name: label.double() for name, label in zip(names, labels, strict=True)})
        step(ours, net.loss)
        a, b = clean(x), types(x)
        known = plain.cross_entropy(a, labels[0]) + plain.cross_entropy(b, labels[2])
        step(theirs, known + plain.noisy_loss(a, b, labels[1], confusion))
    assert difference(net, clean, "_clean") < 1e-12
    assert difference(net, types, "_ntype") < 1e-12


def test_the_folder_of_the_results_is_made_before_the_first_training(
    plain: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(folder: Path) -> None:
        assert (tmp_path / "new/folder").is_dir()
        raise KeyboardInterrupt

    monkeypatch.setattr(plain, "Data", opened)
    monkeypatch.setattr("sys.argv", ["plain_cifar10", str(tmp_path), "--out", str(tmp_path / "new/folder/a.json")])
    with pytest.raises(KeyboardInterrupt):
        plain.main()
