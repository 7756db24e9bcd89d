"""parse_log: the numbers of a training log as two CSV files, LOG.train and LOG.test.

Source: tools/extra/parse_log.py.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

from caffe_compat.cli.common import DONE, Parser, command
from caffe_compat.errors import DataError
from caffe_compat.files import atomic_path
from caffe_compat.solver.log_parser import Row, Run, parse_log, table


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="parse_log",
        description="Write the numbers of a training log to OUTPUT_DIR/LOG.train and OUTPUT_DIR/LOG.test (and "
        "LOG.test_1 ... where several nets are tested). Rows of all runs in the log follow each other.",
    )
    parser.add_argument("logfile_path", metavar="LOG", help="the log of caffe train, old or new")
    parser.add_argument("output_dir", metavar="OUTPUT_DIR", help="the folder for the CSV files")
    parser.add_argument("--verbose", action="store_true", help="print which files are written")
    parser.add_argument("--delimiter", default=",", help="what stands between columns")
    args = parser.parse_args(argv)
    if len(args.delimiter) != 1:
        parser.error("--delimiter: expected one character")

    tables = {kind: rows for kind, rows in _rows_by_kind(parse_log(args.logfile_path)).items() if rows}
    if not tables:
        raise DataError("no outputs of a net in it: not a log of caffe train?", path=args.logfile_path)
    for kind, rows in tables.items():
        path = Path(args.output_dir) / f"{Path(args.logfile_path).name}.{kind}"
        write_csv(path, table(rows), args.delimiter)
        if args.verbose:
            print(f"Wrote {path}")
    return DONE


def _rows_by_kind(runs: Sequence[Run]) -> dict[str, list[Row]]:
    """What goes to which file. The first test net's has no number, as there is only one in almost all logs."""
    kinds = {"train": [row for run in runs for row in run.train]}
    for net in sorted({net for run in runs for net in run.tests}):
        kinds[f"test_{net}" if net else "test"] = [row for run in runs for row in run.tests.get(net, [])]
    return kinds


def write_csv(path: str | os.PathLike[str], records: Sequence[dict[str, float]], delimiter: str) -> None:
    """One line a record; a column for every name in any of them, in order of appearance."""
    names = list(dict.fromkeys(name for record in records for name in record))
    with atomic_path(path) as part, open(part, "w", newline="") as file:
        writer = csv.DictWriter(file, names, delimiter=delimiter)
        writer.writeheader()
        writer.writerows(records)
