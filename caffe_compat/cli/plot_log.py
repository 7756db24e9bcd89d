"""plot_log: curves of one or more training logs."""

from __future__ import annotations

from collections.abc import Sequence

from caffe_compat.cli.common import DONE, Parser, command
from caffe_compat.evaluation.log_plot import plot_series, read_series


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="plot_log",
        description="Plot the losses and the test outputs of training logs against the iteration, all logs in one "
        "picture. A run that was resumed in the same file is one curve.",
    )
    parser.add_argument("logs", metavar="LOG", nargs="+", help="logs of caffe train, old or new")
    parser.add_argument("--out", required=True, metavar="PLOT", help="the picture to write: .png, .svg or .pdf")
    args = parser.parse_args(argv)
    plot_series(read_series(args.logs), args.out)
    return DONE
