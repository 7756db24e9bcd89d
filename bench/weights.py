"""Loading a ``.caffemodel`` into parameters that are there already: time and memory.

The file, of ``--megabytes`` (millions of bytes), has CaffeNet's layers, which are 244, and then fc7 again and again;
VGG-16's has 553. Ours against what is usually done: protobuf parses the whole file, numpy converts the numbers of each
blob, torch copies them. Every load has a process of its own, the two sides take turns, and the file is in the page
cache. Memory, in MiB, is how far the process's peak rises above what it held before; pages of the mapped file count.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from caffe_compat.proto.caffe_pb2 import NetParameter
from caffe_compat.weights import StoredBlob, StoredLayer, copy_weights, write_layers

SHAPES = {
    "conv1": (96, 3, 11, 11),
    "conv2": (256, 48, 5, 5),
    "conv3": (384, 256, 3, 3),
    "conv4": (384, 192, 3, 3),
    "conv5": (256, 192, 3, 3),
    "fc6": (4096, 9216),
    "fc7": (4096, 4096),
    "fc8": (1000, 4096),
}
SIDES = ("ours", "protobuf")


def shapes_of(megabytes: int) -> dict[str, tuple[int, ...]]:
    """CaffeNet's layers, then fc7 once more as ``more1``, ``more2``, ..., the last with fewer outputs: so many bytes.

    Raises: SystemExit for less than CaffeNet.
    """
    shapes: dict[str, tuple[int, ...]] = dict(SHAPES)
    outputs, inputs = SHAPES["fc7"]
    missing = megabytes * 1_000_000 - sum(4 * (math.prod(shape) + shape[0]) for shape in shapes.values())
    if missing < 0:
        raise SystemExit(f"--megabytes: expected at least CaffeNet's 244, got {megabytes}")
    while missing >= 4 * (inputs + 1):
        rows = min(outputs, missing // (4 * (inputs + 1)))
        shapes[f"more{len(shapes) - len(SHAPES) + 1}"] = (rows, inputs)
        missing -= 4 * rows * (inputs + 1)
    return shapes


def write_file(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """With the legacy shapes that bvlc_reference_caffenet.caffemodel has."""
    random = np.random.default_rng(0)
    layers = []
    for name, shape in shapes.items():
        arrays = random.standard_normal(shape, np.float32), random.standard_normal(shape[0], np.float32)
        legacy = [StoredBlob(array.reshape((1,) * (4 - array.ndim) + array.shape), True) for array in arrays]
        layers.append(StoredLayer(name, "Convolution" if len(shape) == 4 else "InnerProduct", dict(enumerate(legacy))))
    write_layers(path, "CaffeNet", layers)


class Layer(SimpleNamespace):
    """What ``copy_weights`` needs of a layer."""

    is_loss = False

    def shaped_blobs(self) -> list[torch.Tensor]:
        return self.blobs

    def blobs_loaded(self) -> None:
        pass


def load_ours(path: Path, layers: dict[str, Layer]) -> None:
    copy_weights(SimpleNamespace(proto=NetParameter(), layers=layers), path)


def load_with_protobuf(path: Path, layers: dict[str, Layer]) -> None:
    for layer in NetParameter.FromString(path.read_bytes()).layer:
        for blob, target in zip(layer.blobs, layers[layer.name].blobs, strict=True):
            target.copy_(torch.from_numpy(np.array(blob.data, np.float32)).view(target.shape))


def measure(side: str, path: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """In a process of its own: print seconds and bytes."""
    layers = {name: Layer(blobs=[torch.ones(shape), torch.ones(shape[0])]) for name, shape in shapes.items()}
    before, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    (load_ours if side == "ours" else load_with_protobuf)(path, layers)
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    checksum = sum(blob.double().sum().item() for layer in layers.values() for blob in layer.blobs)
    print(json.dumps({"seconds": seconds, "megabytes": peak / 1024, "checksum": checksum}))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--megabytes", type=int, default=600, help="size of the file (default: %(default)s)")
    parser.add_argument("--out", help="write the result here as JSON")
    parser.add_argument("--measure", nargs=2, metavar=("SIDE", "FILE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    shapes = shapes_of(args.megabytes)
    if args.measure:
        measure(args.measure[0], Path(args.measure[1]), shapes)
        return 0
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.caffemodel"
        write_file(path, shapes)
        for number in range(args.rounds):
            for side in sorted(SIDES, reverse=bool(number % 2)):
                command = [sys.executable, __file__, "--measure", side, str(path), "--megabytes", str(args.megabytes)]
                found[side].append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
    if len({each["checksum"] for side in SIDES for each in found[side]}) > 1:
        raise SystemExit("the two sides do not load the same numbers")
    result = summary(found, args.megabytes)
    print(json.dumps(result, indent=2))
    if args.out:
        Path(args.out).write_text(json.dumps(result, indent=2) + "\n")
    return 0


def summary(found: dict[str, list[dict[str, float]]], megabytes: int) -> dict[str, object]:
    result: dict[str, object] = {
        "name": f"weights: load {megabytes} MB, ours / protobuf",
        "rounds": len(found["ours"]),
    }
    for what, digits in (("seconds", 3), ("megabytes", 0)):
        values = {side: [each[what] for each in found[side]] for side in SIDES}
        ratios = [ours / theirs for ours, theirs in zip(values["ours"], values["protobuf"], strict=True)]
        quartiles = statistics.quantiles(ratios, n=4)
        result[what] = {
            **{side: round(statistics.median(values[side]), digits) for side in SIDES},
            "ratio": round(statistics.median(ratios), 3),
            "ratio_quartiles": [round(quartiles[0], 3), round(quartiles[2], 3)],
            "wanted": "< 1",
        }
    return result


if __name__ == "__main__":
    sys.exit(main())
