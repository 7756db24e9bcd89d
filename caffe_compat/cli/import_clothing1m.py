"""tools/import_clothing1m.py: Clothing1M to the databases of the nets in prototxt/ and prototxt/release/."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from caffe_compat.cli.common import DONE, Parser, command
from caffe_compat.cli.dataset_options import add_output_options, add_recipe_options, chosen_recipe
from caffe_compat.data.imageset import ImageFormat, image_datum
from caffe_compat.datasets import layout
from caffe_compat.datasets.clothing1m.building import RECIPES, build
from caffe_compat.datasets.clothing1m.checking import usable
from caffe_compat.datasets.clothing1m.lists import image_file, read_lists
from caffe_compat.datasets.clothing1m.problems import report
from caffe_compat.datasets.contents import write_contents
from caffe_compat.datasets.output_folder import output_folder
from caffe_compat.datasets.samples import NO_LABEL
from caffe_compat.datasets.truth import write_truth

SIZE = (256, 256)


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    image_path = _image_path(args)
    form = ImageFormat(size=SIZE, encoding="jpg" if args.encoded else "")
    with output_folder(args.out, args.force) as folder:
        read, bad_lines = read_lists(args.root, args.noisy_list)
        lists, bad_keys = usable(read, image_path)
        report([*bad_lines, *bad_keys], str(args.root), args.skip_unusable)
        contents = build(lists, chosen_recipe(args, RECIPES), args.seed)
        val = contents.labelled[layout.VAL]
        write_truth(folder / layout.TRUTH, zip(val.paths, val.clean.tolist(), strict=True))
        write_contents(folder, contents, lambda key: image_datum(image_path(key), NO_LABEL, form)[0], args.materialise)
    print(f"wrote {args.out}; the nets under prototxt/ and prototxt/release/ read data/clothing1m")
    return DONE


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="import_clothing1m",
        description="Make the databases of the paper's experiment from Clothing1M, images resized to 256 x 256.",
        epilog="Raw pixels take 197 kB an image, 206 GB for all; --encoded about a tenth. The paper's recipe: C from "
        "the training images, clean ratio 0.5, noisy labels of clean images kept. The release's: C from training and "
        "validation images, clean ratio 1, noisy labels of clean images set to -1. The nets look for OUT in "
        "data/clothing1m.",
    )
    parser.add_argument("root", metavar="ROOT", type=Path, help="the data set's folder, with its .txt files")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder to make")
    parser.add_argument("--images", type=Path, help="the folder that holds 0 ... 9 (default: ROOT/images)")
    parser.add_argument(
        "--noisy_list", type=Path, metavar="FILE",
        help="the noisy training images, instead of ROOT's list: what remove_near_duplicates has left of it",
    )  # fmt: skip
    parser.add_argument("--encoded", action="store_true", help="store JPEG files instead of pixels")
    parser.add_argument(
        "--skip_unusable", action="store_true",
        help="leave out keys without label or image, and noisy keys that are clean ones too, instead of stopping",
    )  # fmt: skip
    add_recipe_options(parser, default="paper")
    parser.add_argument(
        "--confusion_from_val", action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS,
        help="estimate C from validation images too (default: the recipe's)",
    )  # fmt: skip
    add_output_options(parser)
    return parser.parse_args(argv)


def _image_path(args: argparse.Namespace) -> Callable[[str], Path]:
    return partial(image_file, args.images or args.root / "images")
