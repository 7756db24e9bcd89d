"""Reading and decoding 256 x 256 JPEG records: the Data layer against a PyTorch DataLoader over the same files.

Both sides use 2 worker processes, the same decoder (OpenCV), crop (227, random), mirror and mean, and batches of 128.
Each round starts both afresh, one after the other, and times the batches after the first.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from caffe_compat.data.datum import encoded_datum
from caffe_compat.data.lmdb_store import write_database
from caffe_compat.data.loader import set_num_workers
from caffe_compat.layers import BuildContext, create_layer
from caffe_compat.proto import caffe_pb2
from caffe_compat.weights import write_blobproto_file

IMAGES, SIZE, CROP, BATCH, WORKERS = 1024, 256, 227, 128, 2


def draw_images(folder: Path) -> list[Path]:
    """JPEG files of noise upon smooth colour, 40 kB each: as heavy as photographs of this size get."""
    random = np.random.default_rng(0)
    paths = []
    for number in range(IMAGES):
        coarse = random.integers(0, 256, (SIZE // 8, SIZE // 8, 3)).astype(np.uint8)
        fine = random.normal(0, 6, (SIZE, SIZE, 3))
        image = np.clip(cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC) + fine, 0, 255)
        paths.append(folder / f"{number:05d}.jpg")
        cv2.imwrite(str(paths[-1]), image.astype(np.uint8))
    return paths


class JpegFiles(Dataset[tuple[torch.Tensor, int]]):
    """The usual PyTorch data set: one file an item; a thousand times over, so that no epoch ends in a round."""

    def __init__(self, paths: list[Path], mean: np.ndarray) -> None:
        self.paths, self.mean = paths, mean

    def __len__(self) -> int:
        return 1000 * len(self.paths)

    def __getitem__(self, item: int) -> tuple[torch.Tensor, int]:
        image = cv2.imread(str(self.paths[item % len(self.paths)]), cv2.IMREAD_UNCHANGED)
        top, left = (int(torch.randint(SIZE - CROP + 1, ())) for _ in "hw")
        window = (slice(top, top + CROP), slice(left, left + CROP))
        pixels = image[window].transpose(2, 0, 1) - self.mean[(slice(None), *window)]
        if torch.rand(()) < 0.5:
            pixels = pixels[:, :, ::-1]
        return torch.from_numpy(np.ascontiguousarray(pixels)), item % 14


def _single_thread(_: int) -> None:
    cv2.setNumThreads(0)


def pytorch_batches(paths: list[Path], mean: np.ndarray) -> Iterator[object]:
    files = JpegFiles(paths, mean)
    yield from DataLoader(files, BATCH, num_workers=WORKERS, worker_init_fn=_single_thread, prefetch_factor=2)


def layer_batches(database: Path, mean: Path) -> Iterator[object]:
    param = caffe_pb2.LayerParameter(name="data", type="Data", top=["data", "label"])
    param.transform_param.crop_size, param.transform_param.mirror = CROP, True
    param.transform_param.mean_file = str(mean)
    param.data_param.source, param.data_param.batch_size = str(database), BATCH
    param.data_param.backend = caffe_pb2.DataParameter.LMDB
    set_num_workers(WORKERS)
    layer = create_layer(param, [], BuildContext(phase=caffe_pb2.TRAIN, seed=0))
    while True:
        yield layer()


def images_per_second(start: Callable[[], Iterator[object]], batches: int) -> float:
    iterator = start()
    next(iterator)  # the workers have started
    begin = time.perf_counter()
    for _ in range(batches):
        next(iterator)
    return batches * BATCH / (time.perf_counter() - begin)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--batches", type=int, default=16, help="batches timed in a round")
    parser.add_argument("--out", help="write the result here as JSON")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = draw_images(folder)
        records = ((path.name.encode(), encoded_datum(path.read_bytes(), n % 14)) for n, path in enumerate(paths))
        write_database(folder / "lmdb", records)
        mean = np.full((3, SIZE, SIZE), 100, np.float32)
        write_blobproto_file(folder / "mean.binaryproto", mean[None])
        sides = {
            "layer": lambda: layer_batches(folder / "lmdb", folder / "mean.binaryproto"),
            "dataloader": lambda: pytorch_batches(paths, mean),
        }
        speeds: dict[str, list[float]] = {side: [] for side in sides}
        for number in range(args.rounds):
            for side in sorted(sides, reverse=bool(number % 2)):
                speeds[side].append(images_per_second(sides[side], args.batches))
    result = summary(speeds)
    print(json.dumps(result, indent=2))
    if args.out:
        Path(args.out).write_text(json.dumps(result, indent=2) + "\n")
    return 0


def summary(speeds: dict[str, list[float]]) -> dict[str, object]:
    ratios = [ours / theirs for ours, theirs in zip(speeds["layer"], speeds["dataloader"], strict=True)]
    quartiles = statistics.quantiles(ratios, n=4)
    return {
        "name": "data: 256 x 256 JPEG, 2 workers, Data layer / PyTorch DataLoader",
        "unit": "images/s",
        "rounds": len(ratios),
        **{side: round(statistics.median(values)) for side, values in speeds.items()},
        "ratio": round(statistics.median(ratios), 3),
        "ratio_quartiles": [round(quartiles[0], 3), round(quartiles[2], 3)],
        "wanted": ">= 1",
    }


if __name__ == "__main__":
    sys.exit(main())
