"""A training step of the label noise model: two ResNets against one trunk with two heads, in turns in one run.

The step is that of the examples, all three losses, without reading images. A ratio above 1 means that the shared trunk
is faster.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
from common import BLOCKS, cross_entropy  # noqa: E402
from resnet_two_nets import TwoNets  # noqa: E402
from shared_trunk import SharedTrunk  # noqa: E402

from caffe_compat import LabelNoiseLoss  # noqa: E402

NUM_CLASSES = 14
CROP = {10: 56, 18: 224}  # the demo's pictures; Clothing1M's


class Step:
    """Forward, the three losses, backward, and SGD."""

    def __init__(self, model: nn.Module, images: Tensor, labels: Tensor) -> None:
        self.model, self.images, self.labels = model, images, labels
        self.optimizer = torch.optim.SGD(model.parameters(), 1e-4, momentum=0.9)
        confusion = torch.ones(NUM_CLASSES, NUM_CLASSES).fill_diagonal_(0) / (NUM_CLASSES - 1)
        self.noisy_loss = LabelNoiseLoss(confusion, reduction="sum")

    def seconds(self) -> tuple[float, float]:
        """By the clock, and of this process's processor time."""
        start = time.perf_counter(), time.process_time()
        scores_y, scores_z = self.model(self.images)
        loss = cross_entropy(scores_y, self.labels)[0] + cross_entropy(scores_z, self.labels % 3)[0]
        loss = loss + self.noisy_loss(scores_y, scores_z, self.labels)
        self.optimizer.zero_grad()
        (loss / len(self.images)).backward()
        self.optimizer.step()
        return time.perf_counter() - start[0], time.process_time() - start[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="counted rounds; each measures both sides once")
    parser.add_argument("--depth", type=int, choices=tuple(BLOCKS), default=10, help="layers of the ResNet")
    parser.add_argument("--width", type=int, default=16, help="channels of its first stage")
    parser.add_argument("--batch_size", type=int, default=100)
    args = parser.parse_args()
    torch.manual_seed(0)
    crop = CROP[args.depth]
    images = torch.randn(args.batch_size, 3, crop, crop)
    labels = torch.randint(NUM_CLASSES, (args.batch_size,))
    models = [model(NUM_CLASSES, BLOCKS[args.depth], args.width) for model in (TwoNets, SharedTrunk)]
    two_nets, shared_trunk = (Step(model, images, labels) for model in models)
    rounds = [(two_nets.seconds(), shared_trunk.seconds()) for _ in range(args.rounds + 2)][2:]
    print(
        f"a step of ResNet-{args.depth}, width {args.width}, {args.batch_size} images of {crop} x {crop}, "
        f"{torch.get_num_threads()} threads, {args.rounds} rounds"
    )
    for clock, name in enumerate(("by the clock", "processor time")):
        pairs = [(two[clock], one[clock]) for two, one in rounds]
        low, middle, high = statistics.quantiles((two / one for two, one in pairs), n=4)
        two_ms, one_ms = (statistics.median(column) * 1e3 for column in zip(*pairs, strict=True))
        print(
            f"  {name}: two nets {two_ms:.0f} ms, shared {one_ms:.0f} ms, ratio {middle:.2f} ({low:.2f} to {high:.2f})"
        )


if __name__ == "__main__":
    main()
