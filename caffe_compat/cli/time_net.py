"""Time a net, layer by layer: ``caffe time``."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Sequence

import torch

from caffe_compat.cli.common import DONE, Parser, command, positive
from caffe_compat.cli.net_flags import add_net_flags, build_net, device_of_flags
from caffe_compat.cli.python_layers import let_python_layers_import_caffe
from caffe_compat.glog import number
from caffe_compat.net import Net
from caffe_compat.proto.caffe_pb2 import Phase
from caffe_compat.solver.timing import LayerTimer

log = logging.getLogger("caffe_compat")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument("--model", required=True, help="the net's prototxt file")
    parser.add_argument("--iterations", type=positive, default=50, help="forward and backward passes to time")
    parser.add_argument("--phase", choices=Phase.keys(), default="TRAIN", help="the net's phase")
    add_net_flags(parser)
    return parser.parse_args(argv)


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = parse(argv)
    let_python_layers_import_caffe()
    device = device_of_flags(args)
    net = build_net(args, args.phase, device)
    warm_up(net)
    log.info("*** Benchmark begins ***")
    log.info("Testing for %d iterations.", args.iterations)
    timer = LayerTimer(net, device)
    for iteration in range(args.iterations):
        start = time.perf_counter()
        timer.run()
        log.info("Iteration: %d forward-backward time: %s ms.", iteration + 1, _ms(time.perf_counter() - start))
    report(timer, args.iterations)
    log.info("*** Benchmark ends ***")
    return DONE


def warm_up(net: Net) -> None:
    """A pass that is not timed: memory is allocated, data are on their way, PyTorch has imported what it needs."""
    log.info("Performing Forward")
    net.forward_unfed()
    log.info("Initial loss: %s", number(float(net.loss.detach())))
    log.info("Performing Backward")
    if net.loss.requires_grad:
        net.loss.backward(torch.ones_like(net.loss))  # given as LayerTimer gives it: PyTorch then imports sympy, once


def report(timer: LayerTimer, iterations: int) -> None:
    log.info("Average time per layer: ")
    for name in timer.forward:
        log.info("%10s\tforward: %s ms.", name, _ms(timer.forward[name] / iterations))
        log.info("%10s\tbackward: %s ms.", name, _ms(timer.backward[name] / iterations))
    forward, backward = sum(timer.forward.values()), sum(timer.backward.values())
    log.info("Average Forward pass: %s ms.", _ms(forward / iterations))
    log.info("Average Backward pass: %s ms.", _ms(backward / iterations))
    log.info("Average Forward-Backward: %s ms.", _ms((forward + backward) / iterations))
    log.info("Total Time: %s ms.", _ms(forward + backward))


def _ms(seconds: float) -> str:
    return number(1e3 * seconds)
