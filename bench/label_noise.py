"""Forward + backward of the label noise loss: ours against the same loss written in PyTorch, in turns in one run.

A ratio above 1 means that ours is faster.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from caffe_compat import LabelNoiseLoss

LEAST_RATIOS = {(128, 14): 3.5, (256, 1000): 3.0, (65536, 14): 6.0}  # (B, L) -> wanted


def in_pytorch(scores_y: Tensor, scores_z: Tensor, noisy: Tensor, C: Tensor) -> Tensor:
    """-log p(noisy label | x) as a PyTorch user writes it; it underflows where ours does not."""
    p, t = scores_y.softmax(1), scores_z.softmax(1)
    own = p.gather(1, noisy[:, None])[:, 0]
    s = own * t[:, 0] + (1 - own) / (len(C) - 1) * t[:, 1] + (p * C[noisy]).sum(1) * t[:, 2]
    return -s.log().mean()


def measure(batch_size: int, num_classes: int, rounds: int) -> dict[str, float]:
    """Medians in milliseconds, and the median and quartiles of the ratio, round by round."""
    torch.manual_seed(0)
    C = torch.rand(num_classes, num_classes).fill_diagonal_(0)
    C /= C.sum(0)
    scores = [torch.randn(batch_size, size, requires_grad=True) for size in (num_classes, 3)]
    noisy = torch.randint(num_classes, (batch_size,))
    loss = LabelNoiseLoss(C)
    repeats = max(1, 200_000 // (batch_size * num_classes))

    def ours() -> Tensor:
        return loss(*scores, noisy)

    def theirs() -> Tensor:
        return in_pytorch(*scores, noisy, C)

    times = [(run(theirs, scores, repeats), run(ours, scores, repeats)) for _ in range(rounds + 3)][3:]
    ratios = [slow / fast for slow, fast in times]
    low, middle, high = statistics.quantiles(ratios, n=4)
    pytorch_ms, ours_ms = (statistics.median(column) * 1e3 for column in zip(*times, strict=True))
    return {"pytorch_ms": pytorch_ms, "ours_ms": ours_ms, "ratio": middle, "ratio_q1": low, "ratio_q3": high}


def run(function: Callable[[], Tensor], scores: list[Tensor], repeats: int) -> float:
    """Seconds of one forward and backward."""
    start = time.perf_counter()
    for _ in range(repeats):
        for score in scores:
            score.grad = None
        function().backward()
    return (time.perf_counter() - start) / repeats


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25, help="counted rounds; each measures both sides once")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    print(f"label noise loss, forward + backward, {torch.get_num_threads()} threads, {arguments.rounds} rounds")
    results = {}
    for (batch_size, num_classes), wanted in LEAST_RATIOS.items():
        result = results[f"{batch_size}x{num_classes}"] = measure(batch_size, num_classes, arguments.rounds)
        print(
            f"  ({batch_size}, {num_classes}): PyTorch {result['pytorch_ms']:.3f} ms, ours {result['ours_ms']:.3f} ms, "
            f"ratio {result['ratio']:.2f} ({result['ratio_q1']:.2f} to {result['ratio_q3']:.2f}), wanted {wanted}"
        )
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
