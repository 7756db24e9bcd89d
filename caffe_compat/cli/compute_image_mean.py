"""compute_image_mean: the mean image of a database."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from caffe_compat.cli.common import DONE, Parser, command
from caffe_compat.data.database import BACKENDS, backend_of
from caffe_compat.data.mean import channel_means, mean_image
from caffe_compat.errors import DataError, expected_got
from caffe_compat.glog import number
from caffe_compat.weights import write_blobproto_file

logger = logging.getLogger("caffe_compat")


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(prog="compute_image_mean", description="Compute the mean image of a database.")
    parser.add_argument("database", metavar="INPUT_DB")
    parser.add_argument("output", metavar="OUTPUT_FILE", nargs="?", help="where the mean goes (.binaryproto)")
    parser.add_argument("--backend", default="lmdb", choices=BACKENDS, help="the kind of database")
    args = parser.parse_args(argv)

    kind = backend_of(args.database)
    if kind not in (None, args.backend):
        raise DataError(f"{expected_got(f'a database of kind {args.backend}', kind)}; give --backend {kind}",
                        path=args.database)  # fmt: skip
    mean = mean_image(args.database, args.backend)
    if args.output:
        logger.info("Write to %s", args.output)
        write_blobproto_file(args.output, mean)
    logger.info("Number of channels: %d", len(mean))
    for channel, value in enumerate(channel_means(mean)):
        logger.info("mean_value channel [%d]: %s", channel, number(value))
    return DONE
