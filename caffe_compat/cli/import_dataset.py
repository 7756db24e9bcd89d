"""tools/import_dataset.py: one's own images and lists to the databases that nets of a label noise model read."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from caffe_compat.cli.common import DONE, Parser, command, positive
from caffe_compat.cli.dataset_options import add_output_options, add_recipe_options, chosen_recipe
from caffe_compat.data.imageset import ImageFormat
from caffe_compat.datasets.contents import write_contents
from caffe_compat.datasets.databases import image_reader
from caffe_compat.datasets.image_files import ImageFiles
from caffe_compat.datasets.output_folder import output_folder
from caffe_compat.datasets.own_lists.building import RECIPES, build
from caffe_compat.datasets.own_lists.reading import FEWEST_PAIRS, Files, Lists, read_lists, without
from caffe_compat.errors import DataError, expected_got

logger = logging.getLogger("caffe_compat")


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    form = ImageFormat(size=tuple(args.size), encoding="jpg" if args.encoded else "")
    with output_folder(args.out, args.force) as folder:
        lists = read_lists(_files(args))
        lists = _with_files(lists, args.root, args.skip_missing)
        contents = build(lists, chosen_recipe(args, RECIPES), args.seed)
        write_contents(folder, contents, image_reader(args.root, form), args.materialise)
    print("\n".join(_summary(lists, args.out)))
    return DONE


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="import_dataset",
        description="Make the databases of the paper's experiment from your own images. Lists have one "
        '"path label" a line; labels count from 0 and follow the last space.',
        epilog="Images of CLEAN that are in NOISY too (or in --pairs) have both labels: C and the noise types come "
        "from them. Validation and test images in NOISY are left out of training; the noisy labels of the former are "
        "kept to measure by. tools/check_dataset.py --list finds "
        "unreadable files first; tools/make_nets.py makes nets for OUT.",
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="folder to make")
    parser.add_argument("--root", type=Path, required=True, help="the folder that the lists' paths are relative to")
    parser.add_argument("--clean", type=Path, required=True, metavar="LIST", help="training images, clean labels")
    parser.add_argument("--noisy", type=Path, required=True, metavar="LIST", help="training images, noisy labels")
    parser.add_argument("--test", type=Path, required=True, metavar="LIST", help="test images, clean labels")
    parser.add_argument("--val", type=Path, metavar="LIST", help="validation images, clean labels")
    parser.add_argument("--pairs", type=Path, metavar="CSV", help="key,clean,noisy: noisy labels of clean images")
    parser.add_argument(
        "--clean_additions", type=Path, metavar="CSV",
        help="key,clean,noisy of images in NOISY that are clean now (apply_decisions); C is not estimated from them",
    )  # fmt: skip
    parser.add_argument("--names", type=Path, metavar="FILE", help="class names, one a line (default: numbered)")
    parser.add_argument(
        "--size", type=positive, nargs=2, default=(256, 256), metavar=("HEIGHT", "WIDTH"),
        help="pixels that every image is resized to (default: 256 256)",
    )  # fmt: skip
    parser.add_argument("--encoded", action="store_true", help="store JPEG files instead of pixels")
    parser.add_argument("--skip_missing", action="store_true", help="leave out images without a file, not stop")
    add_recipe_options(parser, default="paper")
    add_output_options(parser)
    return parser.parse_args(argv)


def _files(args: argparse.Namespace) -> Files:
    return Files(args.clean, args.noisy, args.test, args.val, args.pairs, args.clean_additions, args.names)


def _with_files(lists: Lists, root: Path, skip: bool) -> Lists:
    """Raises: DataError if images have no file and are not to be skipped, or none has one."""
    files = ImageFiles(lambda path: root / path)
    images = list(lists.images())
    missing = {path for path in images if path not in files}
    if not missing:
        return lists
    first = next(path for path in images if path in missing)
    problem = f"{len(missing)} of {len(images)} listed images are not in it, the first {first!r}"
    if not skip or len(missing) == len(images):
        raise DataError(f"{problem} (the lists' paths are relative to --root)", path=str(root))
    logger.warning("%s: %s; left out", root, problem)
    left = without(lists, missing)
    parts = [("--clean", left.clean), ("--test", left.test), ("--noisy", left.noisy)]
    for name, labels in [*parts, *([("--val", left.val)] if lists.val else [])]:
        if not labels:
            raise DataError(f"no image of {name} is left", path=str(root))
    if (pairs := len(left.noisy_of_clean)) < FEWEST_PAIRS:
        wanted = f"{FEWEST_PAIRS} or more images with both labels to be left"
        raise DataError(expected_got(wanted, pairs), path=str(root))
    return left


def _summary(lists: Lists, out: Path) -> list[str]:
    parts = (
        (lists.clean, "clean"), (lists.noisy_of_clean, "of them with a noisy label"), (lists.noisy, "noisy"),
        (lists.val, "validation"), (lists.test, "test"),
    )  # fmt: skip
    counts = ", ".join(f"{len(labels)} {name}" for labels, name in parts if labels)
    return [f"wrote {out}: {len(lists.names)} classes; images: {counts}", f"next: tools/make_nets.py {out} NETS"]
