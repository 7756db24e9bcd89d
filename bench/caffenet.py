"""Forward + backward of CaffeNet: our Net against one nn.Module of the same layers, in turns in one run.

The module is timed in both memory formats and the faster one counts. A ratio above 1 means that the Net is faster.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from caffe_compat import Net
from caffe_compat.prototxt import read_net

NET = "prototxt/bvlc_reference_caffenet/train_val.prototxt"
NUM_CLASSES = 1000
LEAST_RATIO = 0.97


class PlainCaffeNet(nn.Sequential):
    """CaffeNet as a PyTorch user writes it: (B, 3, 227, 227) -> (B, 1000)."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 96, 11, stride=4),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75),
            nn.Conv2d(96, 256, 5, padding=2, groups=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75),
            nn.Conv2d(256, 384, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 384, 3, padding=1, groups=2),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, 3, padding=1, groups=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.Flatten(),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
            nn.Linear(4096, NUM_CLASSES),
        )


def caffenet(batch_size: int) -> Net:
    """The committed prototxt with its Data layers replaced by inputs."""
    message, _ = read_net(NET)
    layers = [layer for layer in message.layer if layer.type not in ("Data", "Accuracy")]
    del message.layer[:]
    for name, shape in (("data", [batch_size, 3, 227, 227]), ("label", [batch_size])):
        message.layer.add(name=name, type="Input", top=[name]).input_param.shape.add(dim=shape)
    message.layer.extend(layers)
    net = Net(message, phase="TRAIN")
    _draw_weights(net)
    return net


def _draw_weights(net: nn.Module) -> None:
    """Activations of a sensible size in both: Caffe's start (std 0.01) and torch's differ."""
    for parameter in net.parameters():
        if parameter.dim() > 1:
            nn.init.kaiming_normal_(parameter)


def caffe_step(net: Net, data: Tensor, label: Tensor) -> None:
    net.zero_grad(set_to_none=True)
    net(data=data, label=label)
    net.loss.backward()


def plain_step(module: nn.Module, data: Tensor, label: Tensor) -> None:
    module.zero_grad(set_to_none=True)
    nn.functional.cross_entropy(module(data), label).backward()


def time_in_turns(steps: dict[str, Callable[[], None]], repeats: int, device: str) -> dict[str, float]:
    """Median seconds of each step; one of each per round, so that a busy moment hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(repeats + 2):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if device != "cpu":
                torch.cuda.synchronize()
            if turn >= 2:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(2)
    torch.manual_seed(0)
    data = torch.randn(options.batch, 3, 227, 227, device=options.device) * 60
    label = torch.randint(NUM_CLASSES, (options.batch,), device=options.device)
    net = caffenet(options.batch).to(options.device)
    plain, plain_last = PlainCaffeNet().to(options.device), PlainCaffeNet().to(options.device)
    for module in (plain, plain_last):
        _draw_weights(module)
    plain_last.to(memory_format=torch.channels_last)
    last_data = data.contiguous(memory_format=torch.channels_last)
    times = time_in_turns(
        {
            "caffe_compat.Net": lambda: caffe_step(net, data, label),
            "nn.Module, contiguous": lambda: plain_step(plain, data, label),
            "nn.Module, channels_last": lambda: plain_step(plain_last, last_data, label),
        },
        options.repeats,
        options.device,
    )
    ours, *theirs = times.values()
    ratio = min(theirs) / ours
    print(f"CaffeNet forward + backward, batch {options.batch}, {options.device}, median of {options.repeats}")
    for name, seconds in times.items():
        print(f"  {name:26s} {seconds * 1e3:9.1f} ms")
    print(f"  ratio {ratio:.2f} (wanted: at least {LEAST_RATIO})")
    return 0 if ratio >= LEAST_RATIO else 1


if __name__ == "__main__":
    raise SystemExit(main())
