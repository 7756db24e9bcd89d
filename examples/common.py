"""What the examples for other backbones share: options, processes, reading, the training loop, the test."""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from resnet import RESNET10, RESNET18
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset, DistributedSampler, Subset

from caffe_compat.cli.common import Parser, not_negative, positive, real_number
from caffe_compat.datasets import layout
from caffe_compat.datasets.torch_datasets import LabelledDataset, MixedDataset
from caffe_compat.errors import CaffeCompatError, DataError
from caffe_compat.label_noise import mean_over_ranks
from caffe_compat.weights import read_blobproto_file

BLOCKS = {10: RESNET10, 18: RESNET18}
_UNTIMED = 5  # steps: compiling, first allocations

Labels = tuple[Tensor, Tensor, Tensor]  # clean, noisy, noise type, each (B,)
Losses = dict[str, tuple[Tensor, Tensor]]  # name -> sum over the rows that have a label, the labels


def parser(description: str) -> Parser:
    """Options that both examples have."""
    options = Parser(description=description)
    options.add_argument(
        "--data", type=Path, default=Path("data/demo"), help="a data folder, e.g. of tools/make_demo_data.py"
    )
    options.add_argument("--pretrain_iterations", type=positive, default=250, help="of each stage before the last")
    options.add_argument("--iterations", type=positive, default=450, help="of the last stage: all losses together")
    options.add_argument("--batch_size", type=positive, default=100, help="images a step, on all ranks together")
    options.add_argument("--lr", type=_rate, default=0.05, help="highest rate of the one-cycle schedule")
    options.add_argument("--normalization", choices=("batch", "labelled"), default="batch", help="divisor of a loss")
    options.add_argument("--depth", type=int, choices=tuple(BLOCKS), default=10, help="layers of the ResNet")
    options.add_argument("--width", type=positive, default=16, help="channels of its first stage; a true ResNet has 64")
    options.add_argument("--amp", action="store_true", help="the nets in bfloat16")
    options.add_argument("--compile", action="store_true", help="torch.compile the nets and the losses")
    options.add_argument("--device", type=_device, default="cuda" if torch.cuda.is_available() else "cpu")
    options.add_argument("--workers", type=not_negative, default=0, help="processes that read images")
    options.add_argument("--display", type=positive, default=50, help="iterations from one line to the next")
    options.add_argument("--seed", type=int, default=1)
    return options


def _rate(text: str) -> float:
    """An argparse type."""
    return real_number(text, lambda value: 0 < value < float("inf"), "a number above 0")


def _device(text: str) -> torch.device:
    """An argparse type."""
    try:
        return torch.device(text)
    except RuntimeError:
        raise argparse.ArgumentTypeError(f"expected a device such as cpu, cuda or cuda:1, got {text}") from None


@dataclass(frozen=True)
class Run:
    """The options, and this process's place among those that torchrun started."""

    options: Any
    device: torch.device
    rank: int = 0
    ranks: int = 1

    def print(self, text: str) -> None:
        if self.rank == 0:
            print(text, flush=True)


def start(options: Any) -> Run:
    """Seed, and join the other processes if torchrun started this one: NCCL on GPUs, Gloo on CPUs."""
    torch.manual_seed(options.seed)
    device: torch.device = options.device
    if device.type == "cuda" and not torch.cuda.is_available():
        raise CaffeCompatError("no CUDA device can be used here", field="--device")
    if "LOCAL_RANK" not in os.environ:
        return Run(options, device)
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return Run(options, device, distributed.get_rank(), distributed.get_world_size())


def end() -> None:
    """Leave the other processes."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


class Data(NamedTuple):
    """A data folder: the mixed set, its records with a clean label, the test set, C as (L, L)."""

    mixed: MixedDataset
    known: Subset[Any]
    test: LabelledDataset
    confusion: np.ndarray


def read_data(folder: Path) -> Data:
    """Open the data sets, with the crops that they are trained and tested on."""
    mixed = MixedDataset(folder, Crop(random=True))
    known = Subset(mixed, np.flatnonzero(mixed.clean >= 0).tolist())
    test = LabelledDataset(folder / layout.TEST, Crop(random=False))
    return Data(mixed, known, test, read_blobproto_file(folder / layout.CONFUSION)[0, 0])


class Crop:
    """A transform: 7/8 of height and width (224 of 256), at random and mirrored, or the centre; about [-2, 2]."""

    def __init__(self, random: bool) -> None:
        self.random = random

    def __call__(self, image: Tensor) -> Tensor:
        height, width = (side * 7 // 8 for side in image.shape[1:])
        spare = image.shape[1] - height, image.shape[2] - width
        top, left = ([int(torch.randint(n + 1, ())) for n in spare]) if self.random else (n // 2 for n in spare)
        image = image[:, top : top + height, left : left + width].float().sub(128).div(64)
        return image.flip(2) if self.random and torch.rand(()) < 0.5 else image


def train(
    stage: str,
    model: nn.Module,
    losses_of: Callable[[Any, Labels], Losses],
    dataset: Dataset[Any],
    iterations: int,
    run: Run,
) -> float:
    """SGD on the sum of the losses; returns the seconds of a step, reading included.

    Args:
        losses_of: from the model's scores, in float32, and the labels.
        dataset: of ``MixedRecord``.
    """
    options = run.options
    optimizer = torch.optim.SGD(model.parameters(), options.lr, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.lr, total_steps=iterations)
    model.train()
    if options.compile:  # inside DistributedDataParallel: no graph breaks
        model = torch.compile(model, fullgraph=True)
        losses_of = torch.compile(losses_of, fullgraph=True)
    if run.ranks > 1:
        model = DistributedDataParallel(model)
    started = time.perf_counter()
    for step, (images, *labels) in enumerate(itertools.islice(batches(dataset, run), iterations)):
        with torch.autocast(run.device.type, torch.bfloat16, enabled=options.amp):
            scores = model(images)
        losses = means(losses_of(as_float(scores), tuple(labels)), options.normalization)
        loss = torch.stack(list(losses.values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % options.display == 0 or step == iterations - 1:
            each = ", ".join(f"{name} = {value.item():.4f}" for name, value in losses.items())
            run.print(f"{stage}, iteration {step}, loss = {loss.item():.4f} ({each})")
        if step + 1 == min(_UNTIMED, iterations - 1):
            started = time.perf_counter()
    seconds = (time.perf_counter() - started) / max(1, iterations - _UNTIMED)
    run.print(f"{stage}: {seconds:.3f} s a step")
    return seconds


def batches(dataset: Dataset[Any], run: Run) -> Iterator[tuple[Tensor, ...]]:
    """This rank's part of each batch, for ever: images and the three labels, on the device."""
    if len(dataset) < run.options.batch_size:
        raise DataError(f"expected at least one batch, {run.options.batch_size} records, got {len(dataset)}")
    if run.options.batch_size % run.ranks:
        raise DataError(f"batch_size: expected a multiple of the number of ranks {run.ranks}")
    sampler = DistributedSampler(dataset, run.ranks, run.rank, seed=run.options.seed, drop_last=True)
    size = run.options.batch_size // run.ranks
    loader = DataLoader(dataset, size, sampler=sampler, num_workers=run.options.workers, drop_last=True)
    for epoch in itertools.count():
        sampler.set_epoch(epoch)
        for *tensors, _ in loader:  # all but the keys
            yield tuple(tensor.to(run.device, non_blocking=True) for tensor in tensors)


def cross_entropy(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Summed over the rows that have a label, with the labels."""
    return F.cross_entropy(scores, labels, ignore_index=-1, reduction="sum"), labels


def means(losses: Losses, normalization: str) -> dict[str, Tensor]:
    """The mean of each loss over the batch of all ranks.

    "batch" is Caffe's ``normalize: false``, which the paper's nets have: every loss is divided by the size of the
    batch, rows without a label included, so that each label weighs the same in whatever company it comes; as a third
    of the records have a clean label, the clean loss is a third of what it is among these. "labelled" (Caffe's
    default) divides by the rows that have a label: with few clean records in a batch, each weighs more.
    """
    totals = torch.stack([total for total, _ in losses.values()])
    rows = [labels.numel() if normalization == "batch" else (labels >= 0).sum() for _, labels in losses.values()]
    counts = torch.tensor(rows, device=totals.device) if normalization == "batch" else torch.stack(rows)
    return dict(zip(losses, mean_over_ranks(totals, counts), strict=True))


def as_float(scores: Any) -> Any:
    """Scores of bfloat16 nets in float32: the losses shall not be rounded, too."""
    return scores.float() if isinstance(scores, Tensor) else tuple(one.float() for one in scores)


@torch.no_grad()
def accuracy(model: nn.Module, dataset: Dataset[Any], run: Run) -> float:
    """Test accuracy in percent; the model gives scores of the true label, each rank reads its share of the images."""
    model.eval()
    share = Subset(dataset, range(run.rank, len(dataset), run.ranks))
    right = torch.zeros((), dtype=torch.int64, device=run.device)
    for images, labels, _ in DataLoader(share, run.options.batch_size, num_workers=run.options.workers):
        with torch.autocast(run.device.type, torch.bfloat16, enabled=run.options.amp):
            scores = model(images.to(run.device))
        right += (scores.argmax(1) == labels.to(run.device)).sum()
    if run.ranks > 1:
        distributed.all_reduce(right)
    return 100 * int(right) / len(dataset)
