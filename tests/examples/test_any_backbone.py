"""The examples for other backbones: they learn, in every mode, and their ResNet takes torchvision's weights."""

from __future__ import annotations

import functools
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_data import confusion, make_tiny_data
from torch import nn

from caffe_compat import LabelNoiseLoss

ROOT = Path(__file__).parents[2]
MODULES = ("resnet", "common", "resnet_two_nets", "shared_trunk")
CLASSES, SIZE, RECORDS = 4, 32, 24
FLAGS = "--pretrain_iterations 2 --iterations 12 --batch_size 24 --lr 0.02".split()
FLAGS += "--width 4 --display 1 --device cpu --seed 3".split()
LINE = re.compile(r"(.+), iteration (\d+), loss = ([\d.]+) \((.*)\)")


@pytest.fixture(scope="module")
def examples() -> Iterator[SimpleNamespace]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "examples"))
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})
    for name in MODULES:
        del sys.modules[name]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_tiny_data(tmp_path_factory.mktemp("tiny") / "data", CLASSES, SIZE, RECORDS))


def losses_in(output: str) -> dict[str, list[float]]:
    """Stage -> its losses, iteration by iteration."""
    found: dict[str, list[float]] = {}
    for line in output.splitlines():
        if match := LINE.fullmatch(line):
            stage = found.setdefault(match[1], [])
            assert int(match[2]) == len(stage)
            stage.append(float(match[3]))
            each = [float(part.split(" = ")[1]) for part in match[4].split(", ")]
            assert sum(each) == pytest.approx(stage[-1], abs=1e-3)
    return found


def run(script: ModuleType, data: str, capsys: pytest.CaptureFixture[str], *flags: str) -> dict[str, list[float]]:
    assert script.main(["--data", data, *FLAGS, *flags]) == 0
    output = capsys.readouterr().out
    assert re.search(
        r"test accuracy: clean labels only [\d.]+\n(.*\n)+test accuracy: with the noise model [\d.]+\n$", output
    )
    return losses_in(output)


@pytest.mark.parametrize("option", ["--display", "--iterations", "--pretrain_iterations", "--batch_size", "--width"])
def test_numbers_that_have_to_be_above_0(
    examples: SimpleNamespace, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    assert examples.shared_trunk.main([option, "0"]) == 2
    assert f"argument {option}: expected a number above 0, got 0" in capsys.readouterr().err


def check_fall(losses: list[float]) -> None:
    assert np.mean(losses[-4:]) < 0.8 * np.mean(losses[:4])


STAGES = {
    "resnet_two_nets": {"p(y|x)": 2, "p(z|x)": 2, "together": 12},
    "shared_trunk": {"clean labels": 2, "together": 12},
}


@pytest.mark.parametrize("flags", [(), ("--amp",), ("--normalization", "labelled")], ids=["plain", "amp", "labelled"])
@pytest.mark.parametrize("name", STAGES)
def test_the_loss_falls(
    name: str, flags: tuple[str, ...], examples: SimpleNamespace, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    losses = run(getattr(examples, name), data, capsys, *flags)
    assert {stage: len(values) for stage, values in losses.items()} == STAGES[name]
    check_fall(losses["together"])


def test_the_nets_run_in_bfloat16_and_the_losses_in_float32(
    examples: SimpleNamespace, data: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    as_float, seen = examples.common.as_float, set()

    def spy(scores: object) -> object:
        result = as_float(scores)
        seen.update((before.dtype, after.dtype) for before, after in zip(scores, result, strict=True))
        return result

    monkeypatch.setattr(examples.common, "as_float", spy)
    run(examples.shared_trunk, data, capsys, "--amp", "--iterations", "2")
    assert seen == {(torch.bfloat16, torch.float32)}


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", STAGES)
def test_compiled_in_one_graph_each_as_in_eager_mode(
    name: str,
    examples: SimpleNamespace,
    data: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the backend that needs no C++ compiler; the script asks for ``fullgraph``."""
    torch.compiler.reset()
    flags = ("--iterations", "3")
    script = getattr(examples, name)
    eager = run(script, data, capsys, *flags)
    graphs = []

    def compiler(function: object, fullgraph: bool = False) -> object:
        graphs.append(fullgraph)
        return torch_compile(function, fullgraph=fullgraph, backend="aot_eager")

    torch_compile = torch.compile
    monkeypatch.setattr(torch, "compile", compiler)
    compiled = run(script, data, capsys, *flags, "--compile")
    torch.compiler.reset()
    assert graphs == [True] * 2 * len(STAGES[name])
    assert compiled.keys() == eager.keys()
    for stage, losses in eager.items():
        assert compiled[stage] == pytest.approx(losses, rel=1e-3)


@pytest.mark.filterwarnings("default")
def test_a_resnet_with_its_loss_in_one_graph(examples: SimpleNamespace) -> None:
    torch.compiler.reset()
    torch.manual_seed(0)
    net = examples.shared_trunk.SharedTrunk(CLASSES, (1, 1, 1, 1), 4)
    loss = LabelNoiseLoss(confusion(CLASSES)[0, 0])

    def step(images: torch.Tensor, noisy: torch.Tensor) -> torch.Tensor:
        return loss(*net(images), noisy)

    images, noisy = torch.randn(6, 3, SIZE, SIZE), torch.tensor([0, -1, 3, 2, 1, 1])
    results = []
    for function in (step, torch.compile(step, fullgraph=True, backend="aot_eager")):
        net.zero_grad()
        value = function(images, noisy)
        value.backward()
        results.append((value.detach(), [param.grad.clone() for param in net.parameters()]))
    torch.compiler.reset()
    torch.testing.assert_close(results[1], results[0], rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_under_torchrun_two_processes_do_as_one(examples: SimpleNamespace, data: str) -> None:
    """The first batch's loss, before anything was learned, is the same up to batch normalisation's statistics."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    flags = ["--data", data, *FLAGS, "--normalization", "labelled"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    script = str(ROOT / "examples" / "shared_trunk.py")
    result = subprocess.run([*command, script, *flags], capture_output=True, text=True, env=environment, timeout=500)
    assert result.returncode == 0, result.stderr
    losses = losses_in(result.stdout)
    assert {stage: len(values) for stage, values in losses.items()} == STAGES["shared_trunk"], "rank 0 alone prints"
    check_fall(losses["together"])


def test_batches_of_two_ranks_are_those_of_one(examples: SimpleNamespace, data: str) -> None:
    mixed = examples.common.MixedDataset(data)
    options = examples.common.parser("").parse_args(["--batch_size", "8", "--device", "cpu"])

    def first(rank: int, ranks: int) -> list[torch.Tensor]:
        batches = examples.common.batches(mixed, examples.common.Run(options, torch.device("cpu"), rank, ranks))
        return [next(batches)[0] for _ in range(2 * len(mixed) // 8)]  # into the second round

    whole = [batch.flatten(1).tolist() for batch in first(0, 1)]
    halves = [first(rank, 2) for rank in range(2)]
    for number, batch in enumerate(whole):
        both = torch.cat([half[number] for half in halves]).flatten(1).tolist()
        assert len(batch) == 8 and sorted(both) == sorted(batch)


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--data", "nowhere"], "nowhere/mixed_images_lmdb: no LMDB database there"),
        (["--batch_size", "1000"], "expected at least one batch, 1000 records, got"),
        (["--normalization", "valid"], "invalid choice"),
    ],
)
def test_wrong_usage(
    flags: list[str], problem: str, examples: SimpleNamespace, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert examples.shared_trunk.main(["--data", data, *flags]) == 2
    assert problem in capsys.readouterr().err


def test_p_z_starts_from_the_convolutions_of_p_y(examples: SimpleNamespace) -> None:
    nets = examples.resnet_two_nets.TwoNets(CLASSES, (1, 1, 1, 1), 4)
    last = nets.noise_type.fc.weight.clone()
    nets.start_noise_type()
    assert torch.equal(nets.noise_type.layer4[0].conv2.weight, nets.true_label.layer4[0].conv2.weight)
    assert torch.equal(nets.noise_type.fc.weight, last) and last.shape == (3, 32)


# torchvision.models.resnet18().state_dict().keys()
TORCHVISION_KEYS = """
conv1.weight bn1.weight bn1.bias bn1.running_mean bn1.running_var bn1.num_batches_tracked
layer1.0.conv1.weight
layer1.0.bn1.weight layer1.0.bn1.bias
layer1.0.bn1.running_mean layer1.0.bn1.running_var layer1.0.bn1.num_batches_tracked
layer1.0.conv2.weight
layer1.0.bn2.weight layer1.0.bn2.bias
layer1.0.bn2.running_mean layer1.0.bn2.running_var layer1.0.bn2.num_batches_tracked
layer1.1.conv1.weight
layer1.1.bn1.weight layer1.1.bn1.bias
layer1.1.bn1.running_mean layer1.1.bn1.running_var layer1.1.bn1.num_batches_tracked
layer1.1.conv2.weight
layer1.1.bn2.weight layer1.1.bn2.bias
layer1.1.bn2.running_mean layer1.1.bn2.running_var layer1.1.bn2.num_batches_tracked
layer2.0.conv1.weight
layer2.0.bn1.weight layer2.0.bn1.bias
layer2.0.bn1.running_mean layer2.0.bn1.running_var layer2.0.bn1.num_batches_tracked
layer2.0.conv2.weight
layer2.0.bn2.weight layer2.0.bn2.bias
layer2.0.bn2.running_mean layer2.0.bn2.running_var layer2.0.bn2.num_batches_tracked
layer2.0.downsample.0.weight layer2.0.downsample.1.weight layer2.0.downsample.1.bias
layer2.0.downsample.1.running_mean layer2.0.downsample.1.running_var layer2.0.downsample.1.num_batches_tracked
layer2.1.conv1.weight
layer2.1.bn1.weight layer2.1.bn1.bias
layer2.1.bn1.running_mean layer2.1.bn1.running_var layer2.1.bn1.num_batches_tracked
layer2.1.conv2.weight
layer2.1.bn2.weight layer2.1.bn2.bias
layer2.1.bn2.running_mean layer2.1.bn2.running_var layer2.1.bn2.num_batches_tracked
layer3.0.conv1.weight
layer3.0.bn1.weight layer3.0.bn1.bias
layer3.0.bn1.running_mean layer3.0.bn1.running_var layer3.0.bn1.num_batches_tracked
layer3.0.conv2.weight
layer3.0.bn2.weight layer3.0.bn2.bias
layer3.0.bn2.running_mean layer3.0.bn2.running_var layer3.0.bn2.num_batches_tracked
layer3.0.downsample.0.weight layer3.0.downsample.1.weight layer3.0.downsample.1.bias
layer3.0.downsample.1.running_mean layer3.0.downsample.1.running_var layer3.0.downsample.1.num_batches_tracked
layer3.1.conv1.weight
layer3.1.bn1.weight layer3.1.bn1.bias
layer3.1.bn1.running_mean layer3.1.bn1.running_var layer3.1.bn1.num_batches_tracked
layer3.1.conv2.weight
layer3.1.bn2.weight layer3.1.bn2.bias
layer3.1.bn2.running_mean layer3.1.bn2.running_var layer3.1.bn2.num_batches_tracked
layer4.0.conv1.weight
layer4.0.bn1.weight layer4.0.bn1.bias
layer4.0.bn1.running_mean layer4.0.bn1.running_var layer4.0.bn1.num_batches_tracked
layer4.0.conv2.weight
layer4.0.bn2.weight layer4.0.bn2.bias
layer4.0.bn2.running_mean layer4.0.bn2.running_var layer4.0.bn2.num_batches_tracked
layer4.0.downsample.0.weight layer4.0.downsample.1.weight layer4.0.downsample.1.bias
layer4.0.downsample.1.running_mean layer4.0.downsample.1.running_var layer4.0.downsample.1.num_batches_tracked
layer4.1.conv1.weight
layer4.1.bn1.weight layer4.1.bn1.bias
layer4.1.bn1.running_mean layer4.1.bn1.running_var layer4.1.bn1.num_batches_tracked
layer4.1.conv2.weight
layer4.1.bn2.weight layer4.1.bn2.bias
layer4.1.bn2.running_mean layer4.1.bn2.running_var layer4.1.bn2.num_batches_tracked
fc.weight fc.bias
"""


def test_resnet18_has_torchvision_s_keys_and_shapes(examples: SimpleNamespace) -> None:
    net = examples.resnet.ResNet(1000)
    state = net.state_dict()
    assert list(state) == TORCHVISION_KEYS.split() and len(state) == 122
    assert sum(param.numel() for param in net.parameters()) == 11_689_512, "as torchvision's documentation says"
    shapes = {
        "conv1.weight": (64, 3, 7, 7),
        "layer1.0.conv1.weight": (64, 64, 3, 3),
        "layer2.0.downsample.0.weight": (128, 64, 1, 1),
        "layer4.0.conv1.weight": (512, 256, 3, 3),
        "layer4.1.bn2.running_var": (512,),
        "fc.weight": (1000, 512),
    }
    assert {name: tuple(state[name].shape) for name in shapes} == shapes
    sizes = []
    for stage in (net.layer1, net.layer4):
        stage.register_forward_hook(lambda module, inputs, output: sizes.append(tuple(output.shape)))
    assert net.eval()(torch.zeros(1, 3, 224, 224)).shape == (1, 1000)
    assert sizes == [(1, 64, 56, 56), (1, 512, 7, 7)]


def test_a_basic_block_is_a_residual_of_two_convolutions(examples: SimpleNamespace) -> None:
    block = examples.resnet.BasicBlock(2, 5, stride=2).eval()
    x = torch.randn(3, 2, 8, 6)
    for norm in (block.bn1, block.bn2, block.downsample[1]):
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    convolve = functools.partial(torch.nn.functional.conv2d, padding=1)

    def scaled(norm: nn.BatchNorm2d, x: torch.Tensor) -> torch.Tensor:
        return x / (1 + norm.eps) ** 0.5 * norm.weight[:, None, None] + norm.bias[:, None, None]

    inner = scaled(block.bn1, convolve(x, block.conv1.weight, stride=2)).clamp(min=0)
    residual = scaled(block.bn2, convolve(inner, block.conv2.weight))
    short_cut = scaled(block.downsample[1], torch.nn.functional.conv2d(x, block.downsample[0].weight, stride=2))
    torch.testing.assert_close(block(x), (residual + short_cut).clamp(min=0), rtol=1e-4, atol=1e-5)
