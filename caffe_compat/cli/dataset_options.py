"""Options that the tools which make data folders share."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from dataclasses import fields, replace

from caffe_compat.cli.common import Parser, real_number
from caffe_compat.datasets.mix_recipe import MixRecipe


def ratio(text: str) -> float:
    """A clean ratio: a number >= 0, or ``none`` for 0."""
    if text.lower() == "none":
        return 0.0
    return real_number(text, lambda value: 0 <= value < math.inf, "a number >= 0 or none")


def add_output_options(parser: Parser) -> None:
    """--materialise, --seed, --force."""
    parser.add_argument(
        "--materialise", action="store_true",
        help="write the mixed images in reading order, copies included, for programs that know no index",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of everything that is drawn or shuffled")
    parser.add_argument("--force", action="store_true", help="replace the data files in an existing output folder")


def add_recipe_options(parser: Parser, default: str) -> None:
    """--recipe and its single choices; a choice not given is absent: see :func:`chosen_recipe`."""
    parser.add_argument("--recipe", choices=["paper", "release"], default=default, help="whose choices to take")
    parser.add_argument(
        "--clean_ratio", type=ratio, default=argparse.SUPPRESS,
        help="clean records per noisy one, drawn with replacement; none: each clean image once (default: the recipe's)",
    )  # fmt: skip
    parser.add_argument(
        "--noisy_labels_of_clean", action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS,
        help="keep the noisy labels of clean images in the mixed set; otherwise -1 (default: the recipe's)",
    )  # fmt: skip


def chosen_recipe(args: argparse.Namespace, recipes: Mapping[str, MixRecipe]) -> MixRecipe:
    """The named recipe with the single choices of the command line."""
    given = {field.name: getattr(args, field.name) for field in fields(MixRecipe) if hasattr(args, field.name)}
    return replace(recipes[args.recipe], **given)
