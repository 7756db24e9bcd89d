"""tools/check_dataset.py: whether a data set is fit to be trained on, and what is wrong with it."""

from __future__ import annotations

import argparse
import json
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from caffe_compat.cli.common import DONE, FAILED, Parser, command, positive
from caffe_compat.datasets.check.subjects import CLOTHING1M, LIST, MADE, TITLES, Subject
from caffe_compat.errors import CaffeCompatError, expected_got
from caffe_compat.machine import cores

if TYPE_CHECKING:
    from caffe_compat.evaluation.experiments.recipes import Recipe

logger = logging.getLogger("caffe_compat")


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    from caffe_compat.datasets.check.recognise import recognise  # here: worker processes import this file
    from caffe_compat.datasets.check.report import text_lines, write_report
    from caffe_compat.datasets.check.run import check

    kind = LIST if args.list else args.kind or recognise(args.folder)
    for option, only in (("recipe", MADE), ("nets", MADE), ("images", CLOTHING1M)):
        if getattr(args, option) is not None and kind != only:
            raise CaffeCompatError(expected_got(TITLES[only], TITLES[kind]), field=f"--{option}")
    recipe = _recipe(args)
    name = ", ".join(args.list) or str(args.folder)
    print(f"{name}: checked as {TITLES[kind]}{', images not read' if args.no_images else ''}", flush=True)
    began = time.monotonic()
    if recipe is None:
        findings = check(kind, _subject(args))
    else:
        from caffe_compat.evaluation.experiments.data_fit import absent_files, add_to_findings, misfits

        fit = absent_files(recipe, args.folder), misfits(recipe, args.folder)  # before hours of images
        findings = check(kind, _subject(args))
        add_to_findings(*fit, findings)
    seconds = round(time.monotonic() - began, 1)
    print("\n".join(text_lines(findings, args.examples)), flush=True)  # first: writing can fail
    if args.report:
        header = {
            "path": name, "kind": kind, "images_read": not args.no_images, "seconds": seconds,
            "recipe": args.recipe, "nets": None if args.nets is None else str(args.nets),
        }  # fmt: skip
        written = write_report(args.report, findings, header, args.examples)
        logger.info("wrote %s", " and ".join(map(str, written)))
    return FAILED if findings.problems else DONE


def _recipe(args: argparse.Namespace) -> Recipe | None:
    """The recipe that the folder is to be fit for. Raises: CaffeCompatError for one that is not known."""
    if args.nets is not None:
        from caffe_compat.evaluation.experiments.own_recipe import own_recipe

        return own_recipe(args.nets)
    if args.recipe is None:
        return None
    from caffe_compat.evaluation.experiments.catalogue import RECIPES

    if args.recipe not in RECIPES:
        raise CaffeCompatError(expected_got(f"one of {', '.join(sorted(RECIPES))}", args.recipe), field="--recipe")
    return RECIPES[args.recipe]


def _subject(args: argparse.Namespace) -> Subject:
    return Subject(
        folder=args.folder or Path("."),
        images=args.images,
        lists=args.list,
        root=args.root or "",
        num_classes=args.num_classes,
        read_images=not args.no_images,
        processes=args.processes,
    )


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="check_dataset",
        description="Check a data set before training: files, labels, splits, databases, C and noise types.",
        epilog="Exit code 0: usable, there may be warnings; 1: there are problems that would spoil a training; 2: it "
        "could not be checked. docs/checking.md lists what is looked for and describes the report.",
    )
    parser.add_argument("folder", metavar="DIR", type=Path, nargs="?",
                        help="a raw folder (as Clothing1M's, CIFAR-10N's tables) or a made data folder")  # fmt: skip
    folders = [kind for kind in TITLES if kind != LIST]
    parser.add_argument("--kind", choices=folders, help="what DIR is (default: told by its files)")
    parser.add_argument("--images", type=Path, help="the folder that holds 0 ... 9 (default: DIR/images)")
    parser.add_argument("--list", nargs="+", default=[], metavar="LIST",
                        help='instead of DIR: lists of one "path label" a line, splits of one data set')  # fmt: skip
    parser.add_argument("--root", help="put before every path of the lists as it is: end a folder with /")
    parser.add_argument(
        "--num_classes",
        type=positive,
        help="of the lists: labels have to be below it (default: only labels that occur count)",
    )
    fit = parser.add_mutually_exclusive_group()
    fit.add_argument("--recipe", help="also whether this recipe's nets can be trained on a made folder")
    fit.add_argument("--nets", type=Path, help="the same of your own nets, of tools/make_nets.py")
    parser.add_argument("--no_images", action="store_true", help="do not decode images or compare pixels")
    parser.add_argument("--processes", type=positive, default=cores(), help="that read images")
    parser.add_argument("--report", type=Path, help="JSON file to write, for programs")
    parser.add_argument("--examples", type=positive, default=5, help="places to show of each kind")
    args = parser.parse_args(argv)
    if (args.folder is None) == (not args.list):
        parser.error("expected DIR or --list, one of the two")
    if bool(args.list) != (args.root is not None):
        parser.error("--list and --root go together")
    if args.list and args.kind is not None:
        parser.error("--kind says what DIR is, and there is none")
    if not args.list and args.num_classes is not None:
        parser.error("--num_classes is of lists; DIR tells its classes itself")
    if len({os.path.realpath(path) for path in args.list}) < len(args.list):
        parser.error("--list: a list is given twice")
    if args.report is not None and args.report.is_file() and not _is_report(args.report):
        parser.error(f"--report: expected a new file or an earlier report, got {args.report}")
    if args.report is not None and (args.report.is_dir() or not args.report.parent.is_dir()):
        parser.error(f"--report: expected a file in a folder that is there, got {args.report}")
    return args


def _is_report(path: Path) -> bool:
    from caffe_compat.datasets.check.report import FORMAT

    try:
        return bool(json.loads(path.read_text(encoding="utf-8"))["format"] == FORMAT)
    except (OSError, ValueError, TypeError, KeyError):
        return False
