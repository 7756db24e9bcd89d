"""tools/mix_datasets.py: a clean list and a noisy list to the mixed training set of a two-branch net."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from caffe_compat.cli.common import DONE, Parser, command, not_negative
from caffe_compat.cli.dataset_options import add_output_options, ratio
from caffe_compat.data.image_list import read_classes
from caffe_compat.data.imageset import ImageFormat
from caffe_compat.datasets import layout
from caffe_compat.datasets.additions import move_to_clean
from caffe_compat.datasets.databases import image_reader
from caffe_compat.datasets.image_database import ImageDatabase
from caffe_compat.datasets.mix_recipe import MixRecipe
from caffe_compat.datasets.mixing import ALL_LABELS, Mix, mix, write_mix, write_mix_over
from caffe_compat.datasets.output_folder import output_folder
from caffe_compat.datasets.pairs import read_noise_types, read_noisy_labels
from caffe_compat.datasets.samples import NO_LABEL, Samples
from caffe_compat.errors import DataError

logger = logging.getLogger("caffe_compat")


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    labels = [name for name in ALL_LABELS if args.truth_labels or name != layout.MIXED_TRUTH_LABELS]
    recipe = MixRecipe(args.clean_ratio, noisy_labels_of_clean=args.noisy_labels_of_clean is not None)
    with output_folder(args.out, args.force, _replaced(args)) as folder:
        mixed = _mix(args, recipe)
        if args.image_root is not None:
            read_image = image_reader(args.image_root, _image_format(args))
            write_mix(folder, mixed, read_image, args.materialise, labels)
        elif args.materialise:
            write_mix(folder, mixed, ImageDatabase(args.image_db).read, True, labels)
        else:
            write_mix_over(folder, mixed, ImageDatabase(args.image_db), labels)
    print("\n".join(_how_to_read(args, len(mixed.order))))
    return DONE


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="mix_datasets",
        description="Mix few clean images, drawn again and again, with many noisy ones: an image database read "
        "through an index, and databases of clean labels, noisy labels and noise types in the same order.",
        epilog='Lists have one "path label" a line; the label follows the last space; blank lines are skipped.',
    )
    parser.add_argument("clean", metavar="CLEAN_LIST", help="images with clean labels")
    parser.add_argument("noisy", metavar="NOISY_LIST", help="images with noisy labels; none of the clean list's")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder to make")
    images = parser.add_mutually_exclusive_group(required=True)
    images.add_argument("--image_root", metavar="DIR", type=Path, help="the folder the lists' paths are relative to")
    images.add_argument("--image_db", metavar="DB", help="a database that has the images; its pixels are not copied")
    parser.add_argument("--resize_width", type=not_negative, default=0, help="with --image_root; 0 keeps the width")
    parser.add_argument("--resize_height", type=not_negative, default=0, help="with --image_root; 0 keeps the height")
    parser.add_argument("--encode_type", default="", help="with --image_root: store files of this type, not pixels")
    parser.add_argument("--noise_types", metavar="CSV", help="key,noise_type of clean images (estimate_confusion)")
    parser.add_argument(
        "--clean_ratio", type=ratio, default=0.5,
        help="clean records per noisy one, drawn with replacement; none: each clean image once",
    )  # fmt: skip
    parser.add_argument(
        "--noisy_labels_of_clean", metavar="PAIRS_CSV",
        help="key,clean,noisy: keep the noisy labels of clean images; otherwise -1, as in the authors' release",
    )  # fmt: skip
    parser.add_argument(
        "--clean_additions", metavar="PAIRS_CSV",
        help="key,clean,noisy of images in the noisy list that are clean now (apply_decisions); they change lists",
    )  # fmt: skip
    parser.add_argument("--truth_labels", action="store_true", help="also write the noisy-as-truth label database")
    add_output_options(parser)
    args = parser.parse_args(argv)
    if bool(args.resize_width) != bool(args.resize_height):
        parser.error("--resize_width and --resize_height go together")
    return args


def _replaced(args: argparse.Namespace) -> list[str]:
    """The old mixed set goes, but not the images that the new one is read from."""
    source = Path(args.image_db).resolve() if args.image_db and not args.materialise else None
    return [name for name in layout.MIXED_SET if (args.out / name).resolve() != source]


def _image_format(args: argparse.Namespace) -> ImageFormat:
    resized = (args.resize_height, args.resize_width) if args.resize_height else None
    return ImageFormat(size=resized, encoding=args.encode_type)


def _mix(args: argparse.Namespace, recipe: MixRecipe) -> Mix:
    clean, noisy = _samples(args)
    try:
        return mix(clean, noisy, recipe, np.random.default_rng(args.seed))
    except DataError as exc:
        raise DataError(exc.problem, path=f"{args.clean} and {args.noisy}") from exc


def _samples(args: argparse.Namespace) -> tuple[Samples, Samples]:
    clean, noisy = _clean_samples(args), _noisy_samples(args)
    if not args.clean_additions:
        return clean, noisy
    noise_types = read_noise_types(args.noise_types) if args.noise_types else {}
    return move_to_clean(clean, noisy, args.clean_additions, noise_types)


def _clean_samples(args: argparse.Namespace) -> Samples:
    paths, labels = _read(args.clean)
    noise_types = _look_up(paths, read_noise_types(args.noise_types), args.noise_types) if args.noise_types else None
    noisy = None
    if args.noisy_labels_of_clean:
        noisy = _look_up(paths, read_noisy_labels(args.noisy_labels_of_clean), args.noisy_labels_of_clean)
    return Samples.of(paths, labels, noisy, noise_types)


def _noisy_samples(args: argparse.Namespace) -> Samples:
    paths, labels = _read(args.noisy)
    return Samples.of(paths, None, labels)


def _read(path: str) -> tuple[list[str], list[int]]:
    entries = read_classes(path, skip_blank=True)
    return [entry.path for entry in entries], [entry.label for entry in entries]


def _look_up(paths: Sequence[str], labels: Mapping[str, int], path: str) -> list[int]:
    """The labels of the clean images, -1 where the CSV has none. Raises: DataError if it has none of them at all."""
    found = [labels.get(name, NO_LABEL) for name in paths]
    known = sum(label != NO_LABEL for label in found)
    if not known:
        raise DataError(f"none of its keys is in the clean list, e.g. {next(iter(labels), '(no key)')!r}", path=path)
    logger.info("%s: %d of %d clean images", path, known, len(paths))
    return found


def _how_to_read(args: argparse.Namespace, records: int) -> list[str]:
    own_images = args.materialise or not args.image_db
    source = args.out / layout.MIXED_IMAGES if own_images else args.image_db
    index = "" if args.materialise else f' index: "{args.out / layout.MIXED_INDEX}"'
    return [f"{records} records in {args.out}; read the images with", f'  data_param {{ source: "{source}"{index} }}']
