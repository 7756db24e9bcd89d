"""extract_features: blobs of a trained net over its data, to databases. Source: tools/extract_features.cpp."""

from __future__ import annotations

import argparse
import functools
import logging
from collections.abc import Sequence
from pathlib import Path

import torch

from caffe_compat.cli.common import DONE, Parser, command, not_negative, positive
from caffe_compat.cli.python_layers import let_python_layers_import_caffe
from caffe_compat.data.database import BACKENDS, create_database
from caffe_compat.errors import CaffeCompatError, DataError, expected_got
from caffe_compat.evaluation.features import check_blobs, extract_features
from caffe_compat.net import Net

log = logging.getLogger("caffe_compat")


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    device = _device(args)
    for database in args.save_feature_dataset_names:
        if Path(database).exists():
            raise DataError("exists already; remove it or give another name", path=database)
    net = Net(args.feature_extraction_proto_file, "TEST", args.pretrained_net_param).to(device)
    blobs, databases = args.extract_feature_blob_names, args.save_feature_dataset_names
    check_blobs(net, blobs, args.feature_extraction_proto_file)
    for database in databases:
        log.info("Opening dataset %s", database)
    log.error("Extracting Features")
    write = functools.partial(create_database, backend=args.db_type)
    extract_features(net, blobs, databases, args.num_mini_batches, write)
    log.error("Successfully extracted the features!")
    return DONE


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="extract_features",
        description="Run a trained net over its data and write blobs of it to databases, one record an item.",
    )
    parser.add_argument("pretrained_net_param", help="the trained weights")
    parser.add_argument("feature_extraction_proto_file", help="the net's prototxt file, with a data layer")
    parser.add_argument("extract_feature_blob_names", type=_names, help="blobs, separated by ','")
    parser.add_argument("save_feature_dataset_names", type=_names, help="as many databases to make, separated by ','")
    parser.add_argument("num_mini_batches", type=positive, help="batches to run")
    parser.add_argument("db_type", choices=BACKENDS, help="the kind of database")
    parser.add_argument("mode", nargs="?", choices=["CPU", "GPU"], default="CPU", help="where to run")
    parser.add_argument("device_id", nargs="?", type=not_negative, default=0, help="number of the GPU")
    args = parser.parse_args(argv)
    let_python_layers_import_caffe()
    blobs, databases = args.extract_feature_blob_names, args.save_feature_dataset_names
    if len(blobs) != len(databases):
        parser.error(f"expected as many databases as blobs ({len(blobs)}), got {len(databases)}")
    if len(set(databases)) < len(databases):
        parser.error("a database is named twice")
    return args


def _names(text: str) -> list[str]:
    names = text.split(",")
    if "" in names:
        raise argparse.ArgumentTypeError(f"expected names separated by ',', got {text!r}")
    return names


def _device(args: argparse.Namespace) -> torch.device:
    if args.mode == "CPU":
        log.error("Using CPU")
        return torch.device("cpu")
    log.error("Using GPU")
    log.error("Using Device_id=%d", args.device_id)
    count = torch.cuda.device_count()
    if not count:
        raise CaffeCompatError("no CUDA device can be used here (write CPU instead)", field="mode GPU")
    if args.device_id >= count:
        raise CaffeCompatError(expected_got(f"a GPU's number below {count}", args.device_id), field="device_id")
    return torch.device("cuda", args.device_id)
