"""What label scores cost as their rows grow: writing Parquet and CSV, ranked lists, the report; seconds and memory.

    python bench/label_scores_cost.py out/label_scores_cost

Each step in a process of its own. The scores are drawn (14 classes, keys as Clothing1M has them): no net runs. The
images, 4 x 4 pixels, are those of the report's grids.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from process_cost import process_cost

from caffe_compat.data.lmdb_store import write_database
from caffe_compat.evaluation.label_quality.label_scores import LabelScores
from caffe_compat.evaluation.label_quality.scores_file import ScoresInfo, ScoresWriter
from caffe_compat.machine import machine, versions
from caffe_compat.proto.caffe_pb2 import Datum

CLASSES, BATCH = 14, 256


def path(number: int) -> str:
    return f"images/{number % 10}/{number % 100:02d}/{number},{3 * number}.jpg"


def images(rows: int) -> Iterator[tuple[bytes, Datum]]:
    for number in range(rows):
        datum = Datum(channels=3, height=4, width=4, data=bytes(range(number % 200, number % 200 + 48)))
        yield b"%08d_%s" % (number, path(number).encode()), datum


def drawn(rows: int) -> Iterator[LabelScores]:
    rng = np.random.default_rng(0)
    for first in range(0, rows, BATCH):
        size = min(BATCH, rows - first)
        p_true, p_type, q_true, q_type = (
            rng.dirichlet(np.full(width, 0.3), size).astype(np.float32) for width in (CLASSES, 3, CLASSES, 3)
        )
        yield LabelScores(
            keys=[path(number) for number in range(first, first + size)],
            noisy=rng.integers(0, CLASSES, size),
            clean=np.full(size, -1),
            p_true=p_true,
            p_type=p_type,
            q_true=q_true,
            q_type=q_type,
        )


def write(folder: Path, rows: int) -> None:
    """The scores of so many records."""
    info = ScoresInfo(
        class_names=[f"class {label}" for label in range(CLASSES)],
        confusion=((1 - np.eye(CLASSES)) / (CLASSES - 1)).tolist(),
        model="none",
        weights="none",
        images=str(folder / "images_lmdb"),
    )
    with ScoresWriter(folder / "labels.parquet", folder / "labels.csv", info) as writer:
        for scores in drawn(rows):
            writer.write(scores)


def measured(command: list[str]) -> dict[str, float]:
    began = time.monotonic()
    cost = process_cost(command)
    return {"seconds": round(time.monotonic() - began, 1), **cost}


def steps(folder: Path, rows: int) -> dict[str, object]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_database(folder / "images_lmdb", images(rows))
    tool = ["tools/score_labels.py", "--scores", f"{folder}/labels.parquet"]
    result = {
        "rows": rows,
        "write": measured([__file__, str(folder), "--write", str(rows)]),
        "lists": measured([*tool, "--lists", f"{folder}/lists"]),
        "report": measured([*tool, "--report", f"{folder}/report.html"]),
    }
    shutil.rmtree(folder)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the files (2 GB for 2,000,000 rows) and result.json")
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000, 200_000, 2_000_000])
    parser.add_argument("--write", type=int, metavar="ROWS", help="only write the scores into this folder")
    args = parser.parse_args()
    if args.write:
        write(args.out, args.write)
        return 0
    runs = []
    for rows in args.rows:
        runs.append(steps(args.out / "scores", rows))
        print(json.dumps(runs[-1]), flush=True)
    result = {"runs": runs, "machine": machine(), "versions": versions()}
    (args.out / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
