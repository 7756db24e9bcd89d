#!/usr/bin/env python3
"""The paper's system with any backbone: two ResNets, p(y|x) and p(z|x), that share the image and nothing else.

    python examples/resnet_two_nets.py --data data/demo
    torchrun --nproc_per_node 2 examples/resnet_two_nets.py --device cpu

1. p(y|x) learns from the clean labels. 2. p(z|x), the type of the label noise, starts from its convolutions and learns
from the noise types. 3. Both learn together from the mixed set, with three losses. The test is of p(y|x) alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import common
from common import Labels, Losses, cross_entropy
from resnet import ResNet
from torch import Tensor, nn

from caffe_compat import LabelNoiseLoss
from caffe_compat.cli.common import DONE, command


class TwoNets(nn.Module):
    """Images (B, 3, H, W) -> scores of the true label (B, L) and of the noise type (B, 3)."""

    def __init__(self, num_classes: int, blocks: Sequence[int], width: int) -> None:
        super().__init__()
        self.true_label = ResNet(num_classes, blocks, width)
        self.noise_type = ResNet(3, blocks, width)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.true_label(images), self.noise_type(images)

    def start_noise_type(self) -> None:
        """p(z|x) becomes p(y|x) but for its last layer."""
        weights = self.true_label.state_dict()
        last_layer = {name: value for name, value in self.noise_type.state_dict().items() if name.startswith("fc.")}
        self.noise_type.load_state_dict(weights | last_layer)


@command
def main(argv: Sequence[str] | None = None) -> int:
    options = common.parser(__doc__.splitlines()[0]).parse_args(argv)
    mixed, known, test, confusion = common.read_data(options.data)
    run = common.start(options)
    nets = TwoNets(len(confusion), common.BLOCKS[options.depth], options.width).to(run.device)
    noisy_loss = LabelNoiseLoss(confusion, reduction="sum").to(run.device)

    def clean_loss(scores_y: Tensor, labels: Labels) -> Losses:
        return {"clean": cross_entropy(scores_y, labels[0])}

    def type_loss(scores_z: Tensor, labels: Labels) -> Losses:
        return {"noise type": cross_entropy(scores_z, labels[2])}

    def three_losses(scores: tuple[Tensor, Tensor], labels: Labels) -> Losses:
        noisy = {"noisy": (noisy_loss(*scores, labels[1]), labels[1])}
        return clean_loss(scores[0], labels) | type_loss(scores[1], labels) | noisy

    common.train("p(y|x)", nets.true_label, clean_loss, known, options.pretrain_iterations, run)
    run.print(f"test accuracy: clean labels only {common.accuracy(nets.true_label, test, run):.2f}")
    nets.start_noise_type()
    common.train("p(z|x)", nets.noise_type, type_loss, known, options.pretrain_iterations, run)
    common.train("together", nets, three_losses, mixed, options.iterations, run)
    run.print(f"test accuracy: with the noise model {common.accuracy(nets.true_label, test, run):.2f}")
    common.end()
    return DONE


if __name__ == "__main__":
    raise SystemExit(main())
