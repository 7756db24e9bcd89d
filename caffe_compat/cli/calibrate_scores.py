"""tools/calibrate_scores.py: p(wrong) of label scores made a probability, by a few hundred labels looked at."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from caffe_compat.cli.common import DONE, Parser, command, make_folders_of, refuse_existing
from caffe_compat.datasets import layout
from caffe_compat.datasets.class_names import read_names
from caffe_compat.datasets.pairs import Pair
from caffe_compat.errors import DataError, expected_got
from caffe_compat.evaluation.label_quality.calibration import Calibration
from caffe_compat.evaluation.label_quality.decisions import read_decisions, rows_skipped
from caffe_compat.evaluation.label_quality.looked_at import looked_at, with_known_truth
from caffe_compat.evaluation.label_quality.ranked_lists import RANDOM_SAMPLE
from caffe_compat.evaluation.label_quality.scores_file import read_scores, write_calibrated

logger = logging.getLogger("caffe_compat")


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    refuse_existing([args.out, args.csv], args.force, [args.scores, args.by, args.sample])
    scores = read_scores(args.scores)
    if args.sample:
        labels = looked_at(scores, _decisions(args.sample, scores.info.class_names), str(args.sample))
    else:
        labels = with_known_truth(read_scores(args.by), scores)
    calibration = labels.calibration()
    make_folders_of([args.out, args.csv])
    write_calibrated(scores, calibration, labels.truth, args.out, args.csv)
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
        "can, from the top, some hundred at least, and skip none. Decisions of other lists, or of the report, will "
        "not do: they are of labels that looked wrong.",
    )
    parser.add_argument("--scores", metavar="PARQUET", required=True, help="of score_labels, to be calibrated")
    by = parser.add_mutually_exclusive_group(required=True)
    by.add_argument(
        "--sample", metavar="LIST", type=Path, help=f"{RANDOM_SAMPLE} with decisions in it, or the folder it is in"
    )
    by.add_argument(
        "--by", metavar="PARQUET", help="scores by the same net of images whose truth it does not know: validation"
    )
    parser.add_argument("--out", metavar="PARQUET", type=Path, required=True, help="the scores, calibrated")
    parser.add_argument("--csv", metavar="CSV", type=Path, help="the same as CSV")
    parser.add_argument("--force", action="store_true", help="overwrite files that exist")
    args = parser.parse_args(argv)
    if args.sample is not None and args.sample.is_dir():
        args.sample /= RANDOM_SAMPLE
    return args


def _decisions(path: Path, class_names: Sequence[str]) -> list[Pair]:
    """Raises: DataError as ``read_decisions``, and where the names beside the list are not those of the scores."""
    beside = path.parent / layout.NAMES
    if beside.is_file() and (names := read_names(beside)) != list(class_names):
        raise DataError(
            expected_got(f"the classes of the scores, {', '.join(class_names)}", ", ".join(names)), path=str(beside)
        )
    if skipped := rows_skipped(path):
        text = "%s: %d row(s) skipped before the last decision: without what is hard to tell it is no random sample"
        logger.warning(text, path, skipped)
    return read_decisions([path], class_names)


def _summary(found: Calibration) -> str:
    return (
        f"by {found.images} labels, {found.wrong} of them wrong, where p(wrong) expected {found.expected_before:.0f}: "
        f"mean squared error {found.error_before:.4f} before, {found.error_after:.4f} after (of labels that the fit "
        "did not see)"
    )
