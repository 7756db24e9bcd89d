"""tools/compare_with_cleanlab.py: how well wrong labels are found, by our posterior and by cleanlab."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from caffe_compat.cli.common import DONE, Parser, command, refuse_existing
from caffe_compat.evaluation.label_quality.cleanlab_comparison import compare_with_cleanlab
from caffe_compat.evaluation.label_quality.scores_file import read_scores
from caffe_compat.files import atomic_path
from caffe_compat.machine import machine, versions


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="compare_with_cleanlab",
        description="Find wrong labels by the noise model's posterior and by cleanlab, from the same p(y|x) and the "
        "same records: those whose truth is known and whose clean label the net was not trained with.",
    )
    parser.add_argument("--scores", required=True, help="the file of score_labels --full --truth")
    parser.add_argument("--out", metavar="JSON", type=Path, help="write the numbers there, too")
    parser.add_argument("--force", action="store_true", help="overwrite what exists")
    args = parser.parse_args(argv)
    refuse_existing([args.out], args.force, [args.scores])
    result = compare_with_cleanlab(read_scores(args.scores))
    print("\n".join(_table(result)))
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(args.out) as part:
            made = {"machine": machine(), "versions": versions("cleanlab", "pyarrow")}
            part.write_text(json.dumps(result | made, indent=1) + "\n", encoding="utf-8")
        print(f"wrote {args.out}")
    return DONE


def _table(result: dict[str, Any]) -> Iterator[str]:
    left_out = ", ".join(f"{count} {why}" for why, count in result["left out"].items() if count)
    yield f"{result['records']} records, {result['wrong labels']} labels wrong" + (
        f"; left out: {left_out}" * bool(left_out)
    )
    yield f"{'ranking':<32} {'average precision':>17} {'AUROC':>7}"
    for name, row in result["rankings"].items():
        yield f"{name:<32} {row['average precision']:17.4f} {row['AUROC']:7.4f}"
    yield f"{'answer':<32} {'found':>7} {'precision':>9} {'recall':>7}  precision of as many by our ranking"
    for name, row in result["answers"].items():
        yield (
            f"{name:<32} {row['found']:7d} {row['precision']:9.4f} {row['recall']:7.4f} "
            f"{row['precision of as many by our ranking']:9.4f}"
        )
    for title in ("calibration error", "right labels"):
        yield f"{title}: " + ", ".join(f"{name} {value:.4f}" for name, value in result[title].items())
