#!/usr/bin/env python3
"""The label noise model at half the cost: one trunk, two heads, p(y|x) and p(z|x).

    python examples/shared_trunk.py --data data/demo
    torchrun --nproc_per_node 2 examples/shared_trunk.py --device cpu

The paper has two nets; here the noise type is told from the features that tell the class. 1. Both heads learn from the
records with clean labels. 2. Everything learns from the mixed set, with three losses. The test is of p(y|x) alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import common
from common import Labels, Losses, cross_entropy
from resnet import ResNet
from torch import Tensor, nn

from caffe_compat import LabelNoiseLoss
from caffe_compat.cli.common import DONE, command


class SharedTrunk(nn.Module):
    """Images (B, 3, H, W) -> scores of the true label (B, L) and of the noise type (B, 3)."""

    def __init__(self, num_classes: int, blocks: Sequence[int], width: int) -> None:
        super().__init__()
        self.trunk = ResNet(num_classes, blocks, width)
        features = self.trunk.fc.in_features
        self.trunk.fc = nn.Identity()
        self.true_label, self.noise_type = nn.Linear(features, num_classes), nn.Linear(features, 3)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.trunk(images)
        return self.true_label(features), self.noise_type(features)


@command
def main(argv: Sequence[str] | None = None) -> int:
    options = common.parser(__doc__.splitlines()[0]).parse_args(argv)
    mixed, known, test, confusion = common.read_data(options.data)
    run = common.start(options)
    net = SharedTrunk(len(confusion), common.BLOCKS[options.depth], options.width).to(run.device)
    classifier = nn.Sequential(net.trunk, net.true_label)
    noisy_loss = LabelNoiseLoss(confusion, reduction="sum").to(run.device)

    def two_losses(scores: tuple[Tensor, Tensor], labels: Labels) -> Losses:
        return {"clean": cross_entropy(scores[0], labels[0]), "noise type": cross_entropy(scores[1], labels[2])}

    def three_losses(scores: tuple[Tensor, Tensor], labels: Labels) -> Losses:
        return two_losses(scores, labels) | {"noisy": (noisy_loss(*scores, labels[1]), labels[1])}

    common.train("clean labels", net, two_losses, known, options.pretrain_iterations, run)
    run.print(f"test accuracy: clean labels only {common.accuracy(classifier, test, run):.2f}")
    common.train("together", net, three_losses, mixed, options.iterations, run)
    run.print(f"test accuracy: with the noise model {common.accuracy(classifier, test, run):.2f}")
    common.end()
    return DONE


if __name__ == "__main__":
    raise SystemExit(main())
