"""convert_imageset: the images of a list to a database of datums."""

from __future__ import annotations

import argparse
import logging
import random
from collections.abc import Sequence

from caffe_compat.cli.common import DONE, Parser, command, not_negative
from caffe_compat.data.database import BACKENDS, create_database
from caffe_compat.data.group import describe, side_file, write_group
from caffe_compat.data.image_list import Entry, read_list
from caffe_compat.data.imageset import ImageFormat, ImageRecords

logger = logging.getLogger("caffe_compat")


def _parser() -> Parser:
    parser = Parser(prog="convert_imageset", description="Convert a list of images to an LMDB or LevelDB database.")
    parser.add_argument("root", metavar="ROOTFOLDER/", help="put before every path as it is: end a folder with /")
    parser.add_argument("list", metavar="LISTFILE", help='one "path label" a line; the label follows the last space')
    parser.add_argument("database", metavar="DB_NAME", help="the folder to make")
    for flag, text in (
        ("--gray", "treat images as greyscale ones"),
        ("--shuffle", "shuffle the images and their labels (to go with label databases, shuffle the lists instead)"),
        ("--check_size", "check that all images have the same size"),
        ("--encoded", "store encoded images, of --encode_type or else of the type in each file's name"),
        ("--skip_unreadable", "leave out images that cannot be read, instead of stopping at the first"),
    ):
        parser.add_argument(flag, action="store_true", help=text)
    parser.add_argument("--encode_type", default="", help="store images as files of this type (png, jpg, ...)")
    parser.add_argument("--resize_width", type=not_negative, default=0, help="width of all images; 0 keeps it")
    parser.add_argument("--resize_height", type=not_negative, default=0, help="height of all images; 0 keeps it")
    parser.add_argument("--seed", type=int, help="seed of --shuffle; drawn if not given")
    parser.add_argument("--backend", default="lmdb", choices=BACKENDS, help="the kind of database")
    parser.add_argument("--group", help="id of the databases made together: nets then check that they match")
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = _parser()
    args = parser.parse_args(argv)
    if (args.resize_width > 0) != (args.resize_height > 0):
        parser.error("--resize_width and --resize_height go together")
    records = _records(args)
    logger.info("A total of %d images.", len(records.entries))
    create_database(args.database, records, args.backend)
    if args.group:
        write_group(side_file(args.database), describe(args.group, (entry.path for entry in records.kept)))
    if records.dropped:
        _report_dropped(records.dropped, args.list)
    return DONE


def _records(args: argparse.Namespace) -> ImageRecords:
    entries = read_list(args.list)
    if args.shuffle:
        logger.info("Shuffling data")
        random.Random(args.seed).shuffle(entries)
        entries = [entry._replace(number=number) for number, entry in enumerate(entries)]
    if args.encode_type and not args.encoded:
        logger.info("encode_type specified, assuming encoded=true.")
    size = (args.resize_height, args.resize_width) if args.resize_height else None
    return ImageRecords(
        args.root,
        entries,
        args.list,
        ImageFormat(args.gray, size, args.encode_type),
        guess_encoding=args.encoded and not args.encode_type,
        check_size=args.check_size,
        skip_unreadable=args.skip_unreadable,
    )


def _report_dropped(dropped: Sequence[Entry], list_path: str) -> None:
    """Say what was left out, and how to leave it out of the lists of the label databases too."""
    lines = sorted(entry.line for entry in dropped)
    print(f"left out {len(lines)} unreadable image(s) of {list_path}, line(s) {', '.join(map(str, lines))}")
    print("label databases are joined with this one by position; take the same lines out of every list before")
    print("converting it (LIST: each list of these images, in this order):")
    print("    sed -i.bak '" + ";".join(f"{line}d" for line in lines) + "' LIST")
