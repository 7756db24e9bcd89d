"""The authors' CIFAR-10 experiment in plain PyTorch: an independent witness of `reproduce_table.py --recipe cifar10`.

Nothing of caffe_compat is used but the data folder and the message classes in it: the net, its initialisation, the loss
of the label noise model (autograd through log S), torch.optim.SGD and the loop are written here again, in the fewest
lines. The records are read in the order in which Caffe reads them: from the first to the last, for ever.

    python scripts/plain_cifar10.py data/cifar10/seed_1 --seed 1 --out plain_seed_1.json

``--start W.caffemodel`` gives the first net the weights another began with (``solver.net.save`` in pycaffe); without it
the weights are drawn here.

Caffe's momentum holds steps, PyTorch's gradients: where the rate drops, Caffe goes on for a while with steps of the old
size. ``--momentum pytorch`` leaves torch.optim.SGD as it is.
"""

import argparse
import json
import platform
import time
from pathlib import Path

import lmdb
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from caffe_compat.proto import caffe_pb2

BATCH = 100
# base rate, iterations at it, iterations in all (then a tenth of the rate); weight decay 0.004, momentum 0.9
SCHEDULES = {"clean": (1e-3, 4000, 5000), "joint": (1e-3, 4000, 6000), "ntype": (1e-4, 1000, 1500)}


def records(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 3, 32, 32) uint8 (empty for label databases) and labels (N,) in key order."""
    images, labels, datum = [], [], caffe_pb2.Datum()
    with lmdb.open(str(folder), readonly=True, lock=False) as database, database.begin() as transaction:
        for _, value in transaction.cursor():
            datum.ParseFromString(value)
            if datum.data:
                images.append(np.frombuffer(datum.data, np.uint8).reshape(3, 32, 32))
            labels.append(datum.float_data[0] if datum.float_data else datum.label)
    return np.stack(images) if images else np.empty(0), np.array(labels, dtype=np.int64)


class Quick(nn.Module):
    """Caffe's cifar10_quick without a ReLU after the first linear layer, as the authors have it."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 32, 5, padding=2), nn.Conv2d(32, 32, 5, padding=2)
        self.conv3 = nn.Conv2d(32, 64, 5, padding=2)
        self.ip1, self.ip2 = nn.Linear(64 * 4 * 4, 64), nn.Linear(64, outputs)
        for layer, deviation in zip(self.children(), (1e-4, 0.01, 0.01, 0.1, 0.1), strict=True):
            nn.init.normal_(layer.weight, std=deviation)
            nn.init.zeros_(layer.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(F.max_pool2d(self.conv1(x), 3, 2, ceil_mode=True))
        x = F.avg_pool2d(F.relu(self.conv2(x)), 3, 2, ceil_mode=True)
        x = F.avg_pool2d(F.relu(self.conv3(x)), 3, 2, ceil_mode=True)
        return self.ip2(self.ip1(x.flatten(1)))


@torch.no_grad()
def start_from(net: Quick, file: Path) -> None:
    """Take the weights of a .caffemodel with the layers' names."""
    for layer in caffe_pb2.NetParameter.FromString(file.read_bytes()).layer:
        for blob, parameter in zip(layer.blobs, getattr(net, layer.name, nn.Module()).parameters(), strict=False):
            parameter.copy_(torch.tensor(blob.data).reshape(parameter.shape))


class Data:
    def __init__(self, folder: Path) -> None:
        blob = caffe_pb2.BlobProto.FromString((folder / "mean.binaryproto").read_bytes())
        mean = torch.tensor(blob.data, dtype=torch.float32).reshape(1, 3, 32, 32)
        self._images = lambda name: torch.from_numpy(records(folder / name)[0]).float() - mean
        self._labels = lambda name: torch.from_numpy(records(folder / name)[1])
        index = torch.from_numpy(np.load(folder / "mixed_index.npy"))
        self.mixed = self._images("mixed_images_lmdb")[index]
        self.mixed_labels = {
            name: self._labels(f"mixed_{name}_labels_lmdb") for name in ("clean", "noisy", "ntype", "truth")
        }
        confusion = caffe_pb2.BlobProto.FromString((folder / "confusion.binaryproto").read_bytes()).data
        self.confusion = torch.tensor(confusion).reshape(10, 10)

    def labelled(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        return self._images(name), self._labels(name)


def cross_entropy(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Summed over the labelled rows, divided by the whole batch (`normalize: false`)."""
    return F.cross_entropy(scores, labels, ignore_index=-1, reduction="sum") / len(labels)


def noisy_loss(a: torch.Tensor, b: torch.Tensor, noisy: torch.Tensor, confusion: torch.Tensor) -> torch.Tensor:
    """-log S of the rows with a noisy label, divided by the whole batch; its gradient is Eq. 7."""
    rows = noisy >= 0
    if not rows.any():
        return a.sum() * 0
    p, t, noisy = a[rows].softmax(1), b[rows].softmax(1), noisy[rows]
    own = p.gather(1, noisy[:, None])[:, 0]
    evidence = t[:, 0] * own + t[:, 1] * (1 - own) / 9 + t[:, 2] * (confusion[noisy] * p).sum(1)
    return -evidence.clamp_min(1e-30).log().sum() / len(rows)


def drop_rate(optimizer: torch.optim.SGD, caffe: bool) -> None:
    """A tenth of the rate from now on; as ``caffe`` does it, the steps in the momentum stay as large as they are."""
    for group in optimizer.param_groups:
        group["lr"] *= 0.1
        for each in group["params"] if caffe else ():
            optimizer.state[each]["momentum_buffer"] *= 10


def train(parameters: list[dict], schedule: str, loss_of, count: int, name: str, caffe: bool) -> float:
    """SGD; ``loss_of(rows)`` is the loss of the records at these positions. Returns seconds an iteration."""
    rate, drop, iterations = SCHEDULES[schedule]
    optimizer = torch.optim.SGD(parameters, lr=rate, momentum=0.9, weight_decay=0.004)
    for group in optimizer.param_groups:
        group["lr"] = rate * group["lr_mult"]
    began, shown = time.monotonic(), 0.0
    for iteration in range(iterations):
        if iteration == drop:
            drop_rate(optimizer, caffe)
        rows = torch.arange(iteration * BATCH, (iteration + 1) * BATCH) % count
        optimizer.zero_grad()
        loss = loss_of(rows)
        loss.backward()
        optimizer.step()
        shown += loss.item()
        if iteration % 500 == 499:
            print(f"{name} {iteration + 1}/{iterations} loss {shown / 500:.4f}", flush=True)
            shown = 0.0
    return (time.monotonic() - began) / iterations


def groups(*nets: nn.Module, ten_times: nn.Module | None = None) -> list[dict]:
    """Caffe's lr_mult: 1 for weights, 2 for biases, ``ten_times`` as much for a layer."""
    fast = {id(each) for each in ten_times.parameters()} if ten_times else set()
    return [
        {"params": [each], "lr_mult": (2.0 if name.endswith("bias") else 1.0) * (10 if id(each) in fast else 1)}
        for net in nets
        for name, each in net.named_parameters()
    ]


@torch.no_grad()
def accuracy(net: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    right = sum((net(x).argmax(1) == y).sum().item() for x, y in zip(images.split(500), labels.split(500), strict=True))
    return right / len(labels)


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def copy_of(net: Quick) -> Quick:
    other = Quick(10)
    other.load_state_dict(net.state_dict())
    return other


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="data folder of one seed, made by tools/import_cifar10n.py")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="JSON of the test accuracies")
    parser.add_argument("--start", type=Path, help="initial weights of the clean net, a .caffemodel")
    parser.add_argument("--momentum", choices=("caffe", "pytorch"), default="caffe", help="what it does at a drop")
    parser.add_argument("--clean_only", action="store_true", help="the first of the three trainings alone")
    args = parser.parse_args()
    if args.start is not None and not args.start.is_file():
        parser.error(f"--start: no such file: {args.start}")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    caffe = args.momentum == "caffe"
    torch.manual_seed(1000 + args.seed)
    data, results, seconds = Data(args.data), {}, {}
    test = data.labelled("test_lmdb")

    def note(name: str, net: nn.Module, per_iteration: float) -> None:
        results[name], seconds[name] = accuracy(net, *test), round(per_iteration, 4)
        print(f"{name}: test accuracy {results[name]:.4f}", flush=True)
        report = {
            "seed": args.seed,
            "momentum": args.momentum,
            "start": "given" if args.start else "drawn",
            "test_accuracy": results,
            "seconds_per_iteration": seconds,
        }
        versions = {"python": platform.python_version(), "torch": torch.__version__, "threads": torch.get_num_threads()}
        part = args.out.with_suffix(".part")
        report |= {"processor": processor(), "versions": versions}
        part.write_text(json.dumps(report, indent=1) + "\n")
        part.replace(args.out)

    clean = Quick(10)
    if args.start:
        start_from(clean, args.start)
    x, y = data.labelled("clean_train_lmdb")
    took = train(groups(clean), "clean", lambda rows: cross_entropy(clean(x[rows]), y[rows]), len(y), "clean", caffe)
    note("clean", clean, took)
    if args.clean_only:
        return

    mixed, labels = data.mixed, data.mixed_labels
    truth = copy_of(clean)
    took = train(
        groups(truth),
        "joint",
        lambda rows: cross_entropy(truth(mixed[rows]), labels["truth"][rows]),
        len(mixed),
        "noisy_as_truth",
        caffe,
    )
    note("noisy_as_truth", truth, took)

    types = Quick(3)
    for name in ("conv1", "conv2", "conv3"):
        getattr(types, name).load_state_dict(getattr(clean, name).state_dict())
    z, kind = data.labelled("ntype_train_lmdb")
    fast_last = groups(types, ten_times=types.ip2)
    train(fast_last, "ntype", lambda rows: cross_entropy(types(z[rows]), kind[rows]), len(kind), "ntype", caffe)

    ours = copy_of(clean)

    def joint(rows: torch.Tensor) -> torch.Tensor:
        a, b = ours(mixed[rows]), types(mixed[rows])
        known = cross_entropy(a, labels["clean"][rows]) + cross_entropy(b, labels["ntype"][rows])
        return known + noisy_loss(a, b, labels["noisy"][rows], data.confusion)

    took = train(groups(ours, types), "joint", joint, len(mixed), "ours", caffe)
    note("ours", ours, took)


if __name__ == "__main__":
    main()
