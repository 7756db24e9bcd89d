"""Score a net on its test data: ``caffe test``."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence

from caffe_compat.cli.common import DONE, Parser, command, positive
from caffe_compat.cli.net_flags import add_net_flags, build_net, device_of_flags
from caffe_compat.cli.python_layers import let_python_layers_import_caffe
from caffe_compat.glog import number
from caffe_compat.net import Net
from caffe_compat.solver.nets import weights_files
from caffe_compat.solver.report import output_lines, output_names
from caffe_compat.solver.scores import MeanScores

log = logging.getLogger("caffe_compat")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument("--model", required=True, help="the net's prototxt file")
    parser.add_argument("--weights", required=True, help="the trained weights; several files separated by ','")
    parser.add_argument("--iterations", type=positive, default=50, help="batches to run")
    add_net_flags(parser)
    return parser.parse_args(argv)


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = parse(argv)
    let_python_layers_import_caffe()
    net = build_net(args, "TEST", device_of_flags(args))
    for file in weights_files(args.weights):
        net.load_weights(file)
    score(net, args.iterations)
    return DONE


def score(net: Net, iterations: int) -> None:
    """Run ``iterations`` batches; log each one's outputs, then the mean loss and the mean outputs."""
    log.info("Running for %d iterations.", iterations)
    scores = MeanScores(net)
    for batch in range(iterations):
        values = scores.add_batch().tolist()
        for name, value in zip(output_names(net), values, strict=True):
            log.info("Batch %d, %s = %s", batch, name, number(value))
    log.info("Loss: %s", number(scores.mean_loss))
    for line in output_lines(net, scores.mean):
        log.info("%s", line)
