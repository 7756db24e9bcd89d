"""tools/import_cifar10n.py: CIFAR-10 and CIFAR-10N's human labels to the databases of prototxt/cifar10/."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from caffe_compat.cli.common import DONE, Parser, command, real_number
from caffe_compat.cli.dataset_options import add_output_options, add_recipe_options, chosen_recipe
from caffe_compat.datasets import layout
from caffe_compat.datasets.cifar10n.building import RECIPES, Options, build
from caffe_compat.datasets.cifar10n.reading import read_cifar10n
from caffe_compat.datasets.cifar10n.source import DEFAULT_LABELS, HUMAN_LABELS
from caffe_compat.datasets.contents import write_contents
from caffe_compat.datasets.output_folder import output_folder
from caffe_compat.datasets.truth import write_truth
from caffe_compat.weights import write_blobproto_file


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    with output_folder(args.out, args.force) as folder:
        source = read_cifar10n(args.root, args.jpeg_quality)
        built = build(source, _options(args))
        if built.transition is not None:
            np.save(folder / layout.SYNTHETIC_NOISE, built.transition)
        write_blobproto_file(folder / layout.CONFUSION_OF_ALL, built.confusion_of_all[np.newaxis, np.newaxis])
        write_truth(folder / layout.TRUTH, zip(source.train.paths, source.train.clean.tolist(), strict=True))
        write_contents(folder, built.contents, source.read_image, args.materialise)
    print(f"wrote {args.out}; the nets under prototxt/cifar10/ read data/cifar10n")
    return DONE


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="import_cifar10n",
        description="Make the databases of the authors' CIFAR-10 experiment, with CIFAR-10N's human labels as noise.",
        epilog="ROOT holds train.csv, test.csv and images/, or the original data_batch_1 ... data_batch_5 and "
        "test_batch (there or in cifar-10-batches-py/) and CIFAR-10_human.pt. The nets under prototxt/cifar10/ look "
        "for OUT in data/cifar10n. The release's recipe: each clean image once in the mixed set, without its noisy "
        "label. The paper's, which it has for Clothing1M: clean ratio 0.5, noisy labels of clean images kept.",
    )
    parser.add_argument("root", metavar="ROOT", type=Path, help="the data set's folder")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder to make")
    noise = parser.add_mutually_exclusive_group()
    noise.add_argument(
        "--labels", choices=HUMAN_LABELS, default=DEFAULT_LABELS, help="which human labels are the noisy ones"
    )
    noise.add_argument(
        "--synthetic_noise", metavar="LEVEL", type=_probability,
        help="draw the noisy labels, wrong with this probability (the authors: 0.3)",
    )  # fmt: skip
    parser.add_argument("--clean", metavar="N", type=int, default=10_000, help="images whose clean labels are used")
    parser.add_argument("--clean_split", choices=["first", "random"], default="first", help="which images these are")
    parser.add_argument(
        "--jpeg_quality", metavar="Q", type=_quality,
        help="pass the original pixels through JPEG, as the authors' went (75)",
    )  # fmt: skip
    add_recipe_options(parser, default="release")
    add_output_options(parser)
    return parser.parse_args(argv)


def _options(args: argparse.Namespace) -> Options:
    return Options(
        labels=args.labels,
        synthetic_noise=args.synthetic_noise,
        num_clean=args.clean,
        random_clean=args.clean_split == "random",
        recipe=chosen_recipe(args, RECIPES),
        seed=args.seed,
    )


def _probability(text: str) -> float:
    return real_number(text, lambda value: 0 <= value <= 1, "a number in [0, 1]")


def _quality(text: str) -> int:
    return int(real_number(text, lambda value: value in range(1, 101), "a whole number from 1 to 100"))
