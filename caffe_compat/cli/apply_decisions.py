"""tools/apply_decisions.py: what a person decided in the lists of score_labels, as clean labels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from caffe_compat.cli.common import DONE, Parser, command, refuse_existing
from caffe_compat.datasets.pairs import write_pairs
from caffe_compat.errors import DataError
from caffe_compat.evaluation.label_quality.decisions import list_files, read_decisions
from caffe_compat.files import atomic_path


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="apply_decisions",
        description="Collect the decisions in lists of score_labels --lists, or downloaded from its --report: rows "
        "whose column `decision` has the right label, by number or by name. The result goes to import_dataset or "
        "mix_datasets --clean_additions, and has the form that estimate_confusion reads.",
        epilog="Do not estimate C from such pairs alone: they are the labels that looked wrong, so there is more "
        "noise among them than in the data. Labels of images drawn at random have no such bias.",
    )
    parser.add_argument("lists", metavar="LIST", nargs="+", help="lists, or folders of them")
    parser.add_argument("--names", type=Path, help="class names, one a line (default: names.txt beside each list)")
    parser.add_argument("--out", type=Path, required=True, metavar="CSV", help="key,clean,noisy of the decided images")
    parser.add_argument("--force", action="store_true", help="overwrite what exists")
    args = parser.parse_args(argv)
    files = list_files(args.lists)
    refuse_existing([args.out], args.force, [*files, args.names])
    if any(os.path.realpath(args.out.parent) == os.path.realpath(folder) for folder in args.lists):
        raise DataError("lies among the lists, where it would be read as one the next time", path=str(args.out))
    pairs = read_decisions(files, args.names)
    if not pairs:
        raise DataError(f"no decision in {len(files)} list(s): the column `decision` is empty", path=args.lists[0])
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(args.out) as part:
        write_pairs(part, pairs)
    changed = sum(clean != noisy for _, clean, noisy in pairs)
    print(f"wrote {args.out}: {len(pairs)} images, {changed} labels changed, {len(pairs) - changed} confirmed")
    print(f"next: the command that imported the data, with another OUT and --clean_additions {args.out}")
    return DONE
