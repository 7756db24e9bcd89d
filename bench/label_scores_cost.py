"""What label scores cost as their records grow: scoring, ranked lists, the report; seconds and memory.

    python bench/label_scores_cost.py out/label_scores_cost

Each step is a command line of its own. 14 classes, keys as Clothing1M has them, images of 4 x 4 random pixels, random
labels, and a net that is one linear layer a branch, with random weights: what is left is the work around a net.
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

from caffe_compat import Net
from caffe_compat.data.datum import encode_datum, label_datum
from caffe_compat.data.lmdb_store import write_database
from caffe_compat.data.record_keys import image_key, label_key
from caffe_compat.machine import machine, versions
from caffe_compat.weights import write_blobproto_file

CLASSES = 14
NET = """
name: "linear"
layer { name: "images" type: "Input" top: "images" input_param { shape { dim: 1 dim: 3 dim: 4 dim: 4 } } }
layer { name: "noisy" type: "Input" top: "noisy" input_param { shape { dim: 1 } } }
layer {
  name: "true" type: "InnerProduct" bottom: "images" top: "true"
  inner_product_param { num_output: 14 weight_filler { type: "gaussian" std: 0.002 } }
}
layer {
  name: "ntype" type: "InnerProduct" bottom: "images" top: "ntype"
  inner_product_param { num_output: 3 weight_filler { type: "gaussian" std: 0.001 } }
}
layer {
  name: "loss" type: "SoftmaxWithNoisyLabelLoss" bottom: "true" bottom: "ntype" bottom: "noisy" top: "loss"
  softmax_noisy_label_loss_param { matrix_c_filler { type: "blob_proto" source: "CONFUSION" } }
}
"""


def images(rows: int) -> Iterator[tuple[bytes, bytes]]:
    rng = np.random.default_rng(0)
    for number in range(rows):
        path = f"images/{number % 10}/{number % 100:02d}/{number},{3 * number}.jpg"
        yield image_key(number, path), encode_datum(rng.integers(0, 256, (3, 4, 4), np.uint8))


def labels(rows: int) -> Iterator[tuple[bytes, bytes]]:
    drawn = np.random.default_rng(1).integers(0, CLASSES, rows)
    return ((label_key(number), label_datum(label)) for number, label in enumerate(drawn.tolist()))


def write_net(folder: Path) -> None:
    confusion = (1 - np.eye(CLASSES, dtype=np.float32)) / (CLASSES - 1)
    write_blobproto_file(folder / "confusion.binaryproto", confusion[None, None])
    net = folder / "net.prototxt"
    net.write_text(NET.replace("CONFUSION", str(folder / "confusion.binaryproto")))
    Net(net, "TRAIN").save_weights(folder / "net.caffemodel")


def measured(command: list[str]) -> dict[str, float]:
    began = time.monotonic()
    cost = process_cost(command)
    return {"seconds": round(time.monotonic() - began, 1), **cost}


def steps(folder: Path, rows: int) -> dict[str, object]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_database(folder / "images_lmdb", images(rows))
    write_database(folder / "labels_lmdb", labels(rows))
    write_net(folder)
    net = ["--model", f"{folder}/net.prototxt", "--weights", f"{folder}/net.caffemodel"]
    data = ["--images", f"{folder}/images_lmdb", "--labels", f"{folder}/labels_lmdb"]
    made = ["--out", f"{folder}/labels.parquet", "--csv", f"{folder}/labels.csv"]
    tool = ["tools/score_labels.py", "--scores", f"{folder}/labels.parquet"]
    result = {
        "rows": rows,
        "score": measured(["tools/score_labels.py", *net, *data, *made]),
        "lists": measured([*tool, "--lists", f"{folder}/lists"]),
        "report": measured([*tool, "--report", f"{folder}/report.html"]),
    }
    shutil.rmtree(folder)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the files (2 GB for 2,000,000 rows) and result.json")
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000, 200_000, 2_000_000])
    args = parser.parse_args()
    runs = []
    for rows in args.rows:
        runs.append(steps(args.out / "scores", rows))
        print(json.dumps(runs[-1]), flush=True)
    result = {"runs": runs, "machine": machine(), "versions": versions()}
    (args.out / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
