"""How much an image tells of the type of its label's noise: the log loss that a noise type net could hope for.

The images with both labels, their noise types, and a net of p(noisy | x) that has seen neither of them (the stage
``noisy_only`` of reproduce_table). Logistic regression over what that net thinks of an image, over its true class, and
over both; five-fold cross-validation. A noise type net whose held-out loss is above the constant's has learned nothing.

    python scripts/noise_type_limit.py data/cifar10n/seed_1 --run out/cifar10n/seed_1/noisy_only --out limit.json
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from caffe_compat import Net
from caffe_compat.data.lmdb_store import LmdbReader
from caffe_compat.data.record_keys import path_of_key
from caffe_compat.datasets import layout
from caffe_compat.datasets.pairs import read_all_pairs, read_noise_types
from caffe_compat.errors import CaffeCompatError, expected_got
from caffe_compat.evaluation.metrics import auroc
from caffe_compat.files import atomic_path
from caffe_compat.machine import machine, versions
from caffe_compat.prototxt import read_net

FOLDS, DECAYS = 5, (1e-3, 1e-2, 1e-1)  # the decay that is best in cross-validation: in favour of the image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="data folder of one seed")
    parser.add_argument("--run", type=Path, required=True, help="folder of the finished stage noisy_only")
    parser.add_argument("--scores", default="ip2", help="blob of its class scores")
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    args = parser.parse_args()
    torch.manual_seed(0)

    paths = image_paths(args.data / layout.CLEAN_TRAIN)
    pairs, noise_types = read_all_pairs(args.data / layout.PAIRS), read_noise_types(args.data / layout.NOISE_TYPES)
    has_type = torch.tensor([path in noise_types for path in paths])
    known = [path for path in paths if path in noise_types]
    types = torch.tensor([noise_types[path] for path in known])
    classes = torch.tensor([pairs[path][0] for path in known])
    opinion = opinion_of_net(args, len(paths))[has_type]
    of_class = F.one_hot(classes).float()

    results = {}
    for name, features in (
        ("nothing but the frequencies", torch.zeros(len(types), 1)),
        ("the image, through the net", opinion),
        ("the true class", of_class),
        ("both", torch.cat([opinion, of_class], 1)),
    ):
        scores = min((held_out_scores(features, types, decay) for decay in DECAYS), key=lambda s: log_loss(s, types))
        loss, area = log_loss(scores, types), auroc(1 - scores.softmax(1)[:, 0].numpy(), (types > 0).numpy())
        results[name] = {"log_loss": round(loss, 4), "auroc_of_wrong": round(area, 4)}
        print(f"{name:27} log loss {loss:.4f} nats, AUROC of 'the label is wrong' {area:.3f}", flush=True)
    report = {"images": len(types), "known": results, "machine": machine(), "versions": versions()}
    with atomic_path(args.out) as part:
        part.write_text(json.dumps(report, indent=1) + "\n")


def image_paths(database: Path) -> list[str]:
    reader = LmdbReader(database)
    paths = [path_of_key(key) for key in reader.keys()]  # noqa: SIM118, no dict
    reader.close()
    return paths


@torch.no_grad()
def opinion_of_net(args: argparse.Namespace, images: int) -> torch.Tensor:
    """p(noisy | x) of the clean images, by class and by rank, and its entropy: (N, 2L + 1)."""
    param, _ = read_net(args.run / "train_val.prototxt")
    for layer in param.layer:
        if Path(layer.data_param.source).name == layout.TEST:
            layer.data_param.source = str(args.data / layout.CLEAN_TRAIN)
    files = sorted(args.run.glob("*_iter_*.caffemodel"), key=lambda path: int(path.stem.rpartition("_")[2]))
    if not files:
        raise CaffeCompatError("expected the weights of a finished training, found none", path=str(args.run))
    net = Net(param, phase="TEST", weights=str(files[-1]))
    if args.scores not in net.blob_shapes:
        wanted = expected_got(f"one of {', '.join(net.blob_shapes)}", repr(args.scores))
        raise CaffeCompatError(f"--scores: {wanted}", path=str(args.run / "train_val.prototxt"))
    rows: list[torch.Tensor] = []
    while sum(map(len, rows)) < images:
        net()
        rows.append(net.blobs[args.scores].softmax(1))
        if sys.stderr.isatty():
            print(f"\r{sum(map(len, rows))}/{images} images", end="", file=sys.stderr)
    p = torch.cat(rows)[:images]
    entropy = -(p * p.clamp_min(1e-30).log()).sum(1, keepdim=True)
    return torch.cat([p, p.sort(1).values, entropy], 1)


def held_out_scores(features: torch.Tensor, types: torch.Tensor, decay: float) -> torch.Tensor:
    """(N, 3): each fold's scores from a logistic regression on the others."""
    scores = torch.empty(len(types), 3)
    for fold in np.array_split(torch.randperm(len(types), generator=torch.Generator().manual_seed(0)), FOLDS):
        others = torch.ones(len(types), dtype=torch.bool)
        others[fold] = False
        scale = features[others].std(0).clamp_min(1e-6)
        scaled = (features - features[others].mean(0)) / scale
        weight, bias = logistic_regression(scaled[others], types[others], decay)
        scores[fold] = scaled[fold] @ weight + bias
    return scores


def logistic_regression(x: torch.Tensor, types: torch.Tensor, decay: float) -> tuple[torch.Tensor, torch.Tensor]:
    weight, bias = torch.zeros(x.shape[1], 3, requires_grad=True), torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

    def objective() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(x @ weight + bias, types) + decay * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(objective)
    return weight.detach(), bias.detach()


def log_loss(scores: torch.Tensor, types: torch.Tensor) -> float:
    return float(F.cross_entropy(scores, types))


if __name__ == "__main__":
    try:
        main()
    except (CaffeCompatError, FileNotFoundError) as problem:
        raise SystemExit(str(problem)) from None
