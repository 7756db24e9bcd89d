"""tools/calibrate_scores.py: p(wrong) of label scores made a probability, by a few hundred labels looked at."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Sequence
from pathlib import Path

from caffe_compat.cli.common import DONE, Parser, command, refuse_existing
from caffe_compat.evaluation.label_quality.calibration import Calibration
from caffe_compat.evaluation.label_quality.decisions import read_decisions
from caffe_compat.evaluation.label_quality.looked_at import looked_at, with_known_truth
from caffe_compat.evaluation.label_quality.ranked_lists import RANDOM_SAMPLE
from caffe_compat.evaluation.label_quality.scores_file import read_scores, write_calibrated
from caffe_compat.files import atomic_path


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    refuse_existing([args.out, args.csv], args.force, [args.scores, args.by, args.names, *args.sample])
    scores = read_scores(args.scores)
    if args.sample:
        labels = looked_at(scores, read_decisions(args.sample, args.names))
    else:
        labels = with_known_truth(read_scores(args.by))
    calibration = labels.calibration()
    for path in filter(None, (args.out, args.csv)):
        path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as files:
        parquet, csv = (files.enter_context(atomic_path(path)) if path else None for path in (args.out, args.csv))
        assert parquet is not None
        write_calibrated(scores, calibration, labels.truth, parquet, csv)
    print(_summary(calibration))
    for path in filter(None, (args.out, args.csv)):
        print(f"wrote {path}: {scores.num_rows} records")
    return DONE


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="calibrate_scores",
        description="Make p(wrong) of label scores mean what it says, by labels that somebody looked at. The order of "
        "the labels stays as it is.",
        epilog=f"score_labels --lists writes {RANDOM_SAMPLE}, images drawn at random: decide as many of them as you "
        "can, from the top, some hundred at least. Decisions of other lists, or of the report, will not do: they are "
        "of labels that looked wrong.",
    )
    parser.add_argument("--scores", metavar="PARQUET", required=True, help="of score_labels, to be calibrated")
    by = parser.add_mutually_exclusive_group(required=True)
    by.add_argument(
        "--sample", metavar="LIST", type=Path, nargs="+", default=[], help=f"{RANDOM_SAMPLE}, with decisions in it"
    )
    by.add_argument(
        "--by", metavar="PARQUET", help="scores by the same net of images whose truth it does not know: validation"
    )
    parser.add_argument("--names", type=Path, help="class names, one a line (default: names.txt beside each list)")
    parser.add_argument("--out", metavar="PARQUET", type=Path, required=True, help="the scores, calibrated")
    parser.add_argument("--csv", metavar="CSV", type=Path, help="the same as CSV")
    parser.add_argument("--force", action="store_true", help="overwrite files that exist")
    args = parser.parse_args(argv)
    if args.names is not None and not args.sample:
        parser.error("--names is of --sample")
    return args


def _summary(found: Calibration) -> str:
    return (
        f"by {found.images} labels, {found.wrong} of them wrong: calibration error {100 * found.error_before:.1f} "
        f"points before, {100 * found.error_after:.1f} after (of labels that the fit did not see)"
    )
