"""convert_labelset: the labels of a list to an LMDB database of 1 x 1 x 1 float datums."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from caffe_compat.cli.common import DONE, Parser, command
from caffe_compat.data.datum import label_datum
from caffe_compat.data.group import describe
from caffe_compat.data.image_list import read_list
from caffe_compat.data.lmdb_store import write_database
from caffe_compat.data.record_keys import label_key

logger = logging.getLogger("caffe_compat")


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="convert_labelset",
        description="Convert the labels of a list to an LMDB database that a Data layer reads beside the images. "
        "-1 means: no label.",
    )
    parser.add_argument("list", metavar="LISTFILE", help='one "path label" a line, in the order of the images')
    parser.add_argument("database", metavar="DB_NAME", help="the folder to make")
    parser.add_argument("--backend", default="lmdb", choices=["lmdb"], help="the kind of database")
    parser.add_argument("--group", help="id of the databases made together: nets then check that they match")
    args = parser.parse_args(argv)

    entries = read_list(args.list)
    logger.info("A total of %d labels.", len(entries))
    group = describe(args.group, (entry.path for entry in entries)) if args.group else None
    write_database(args.database, ((label_key(entry.number), label_datum(entry.label)) for entry in entries), group)
    return DONE
