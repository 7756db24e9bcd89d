"""tools/remove_near_duplicates.py: a noisy list without the near duplicates of clean images."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from caffe_compat.cli.common import DONE, Parser, command, positive, real_number
from caffe_compat.datasets.near_duplicates.hashing import COARSE_BITS, FINE_BITS
from caffe_compat.datasets.near_duplicates.thresholds import Thresholds
from caffe_compat.machine import cores

_HASHES = "{out}.hashes"


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    # here: worker processes import this file
    from caffe_compat.datasets.near_duplicates.removal import SHEET, remove_near_duplicates
    from caffe_compat.datasets.near_duplicates.sides import clothing1m_sides, list_side

    if args.folder is not None:
        clean, noisy = clothing1m_sides(args.folder, args.images)
    else:
        clean = list_side("clean", args.clean, args.clean_root)
        noisy = list_side("noisy", [args.noisy], args.noisy_root)
    removal = remove_near_duplicates(
        clean,
        noisy,
        args.out,
        args.hashes or Path(_HASHES.format(out=args.out)),
        Thresholds(args.coarse, args.candidate, args.fine, args.correlation, args.least_correlation),
        args.processes,
        args.within_noisy,
        args.keep_same,
    )
    print(f"dropped {removal.dropped} of {len(noisy)} noisy images, {removal.report['groups']} groups; "
          f"{len(removal.report['unreadable'])} files cannot be read")  # fmt: skip
    print(f"wrote {args.out}; look at {args.out / SHEET}; {Path(noisy.lists[0]).name} in it takes the old one's place")
    return DONE


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="remove_near_duplicates",
        description="Find images of a noisy list that are near duplicates of clean images (training, validation and "
        "test) - saved anew, resized, brighter, cropped a little, marked, mirrored - and write the list without them.",
        epilog="No image and no list is changed or deleted. Clean lists are not compared with each other; for the near "
        "duplicates between train and test: --clean test.txt --noisy train.txt. Pairs are found exactly within "
        "--coarse; how well the defaults tell duplicates: docs/results/near_duplicates.md. Needs the packages "
        "ImageHash and faiss-cpu.",
    )
    parser.add_argument("folder", metavar="ROOT", type=Path, nargs="?", help="a folder laid out as Clothing1M is")
    parser.add_argument("--images", type=Path, help="the folder that holds 0 ... 9 (default: ROOT/images)")
    parser.add_argument("--clean", nargs="+", metavar="LIST", help='instead of ROOT: lists of "path label" a line')
    parser.add_argument("--clean_root", help="put before every clean path as it is: end a folder with /")
    parser.add_argument("--noisy", metavar="LIST", help="the list that loses the duplicates")
    parser.add_argument("--noisy_root", help="put before every noisy path as it is")
    parser.add_argument("--out", type=Path, required=True, help="folder to make")
    parser.add_argument("--hashes", type=Path, help=f"folder of kept hashes (default: {_HASHES.format(out='OUT')})")
    for name, bits, meaning in (
        ("coarse", COARSE_BITS, "that a candidate has at most"),
        ("candidate", FINE_BITS, "that a candidate has at most"),
        ("fine", FINE_BITS, "that make a candidate a duplicate"),
    ):
        parser.add_argument(
            f"--{name}", metavar="BITS", type=int, choices=range(bits + 1), default=getattr(Thresholds, name),
            help=f"differing bits of {bits} {meaning}",
        )  # fmt: skip
    parser.add_argument("--correlation", type=_correlation, default=Thresholds.correlation,
                        help="correlation, laid over each other, that makes a candidate one too")  # fmt: skip
    parser.add_argument("--least_correlation", type=_correlation, default=Thresholds.least_correlation,
                        help="correlation that a candidate near by --fine has to have at least")  # fmt: skip
    parser.add_argument("--keep_same", action="store_true",
                        help="noisy images that are clean ones, the very same file, stay: for tools/import_dataset.py, "
                        "which learns the noise from them")  # fmt: skip
    parser.add_argument("--within_noisy", action="store_true", help="also report clusters inside the noisy list")
    parser.add_argument("--processes", type=positive, default=cores(), help="that hash and compare")
    args = parser.parse_args(argv)
    if args.fine > args.candidate:
        parser.error(f"--fine: expected at most --candidate, {args.candidate}, got {args.fine}")
    lists = (args.clean, args.clean_root, args.noisy, args.noisy_root)
    if not (all(part is None for part in lists) if args.folder else all(part is not None for part in lists)):
        parser.error("expected ROOT, or --clean, --clean_root, --noisy and --noisy_root")
    return args


def _correlation(text: str) -> float:
    """An argparse type; what is above 1 no pair reaches."""
    return real_number(text, lambda value: value >= -1, "a number from -1")
