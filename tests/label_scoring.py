"""A data folder whose images a two-branch net can be asked about, and the net: tiny, with dropout and crops."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from caffe_compat import Net
from caffe_compat.data.datum import encode_datum, label_datum
from caffe_compat.data.lmdb_store import write_database
from caffe_compat.datasets import layout
from caffe_compat.weights import write_blobproto_file

CLASSES, SIZE, CROP = 4, 9, 6
NAMES = ("coat", "dress", "shirt", "vest")
# C[noisy, true]: asymmetric, a coat is never taken for a dress
CONFUSION = np.array([[0, 0, 0.5, 0.2], [0, 0, 0.5, 0.3], [0.9, 0.4, 0, 0.5], [0.1, 0.6, 0, 0]], np.float32)
NET = """
name: "two branches"
layer {{ name: "data" type: "Data" top: "data" include {{ phase: TRAIN }}
  transform_param {{ crop_size: 6 mirror: true scale: 0.01 mean_file: "{folder}/mean.binaryproto" }}
  data_param {{ source: "{folder}/mixed_images_lmdb" index: "{folder}/mixed_index.npy" batch_size: 5 backend: LMDB }} }}
layer {{ name: "clean" type: "Data" top: "clean" include {{ phase: TRAIN }}
  data_param {{ source: "{folder}/mixed_clean_labels_lmdb" batch_size: 5 backend: LMDB }} }}
layer {{ name: "noisy" type: "Data" top: "noisy" include {{ phase: TRAIN }}
  data_param {{ source: "{folder}/mixed_noisy_labels_lmdb" batch_size: 5 backend: LMDB }} }}
layer {{ name: "test" type: "Data" top: "data" top: "clean" include {{ phase: TEST }}
  data_param {{ source: "{folder}/no_such_lmdb" batch_size: 5 backend: LMDB }} }}
layer {{ name: "drop" type: "Dropout" bottom: "data" top: "dropped" dropout_param {{ dropout_ratio: 0.5 }} }}
layer {{ name: "ip_clean" type: "InnerProduct" bottom: "dropped" top: "ip_clean" inner_product_param {{ num_output: 4
  weight_filler {{ type: "gaussian" std: 0.3 }} bias_filler {{ type: "uniform" }} }} }}
layer {{ name: "loss_clean" type: "SoftmaxWithLoss" bottom: "ip_clean" bottom: "clean" top: "loss_clean"
  loss_param {{ ignore_label: -1 normalize: false }} }}
layer {{ name: "ip_ntype" type: "InnerProduct" bottom: "data" top: "ip_ntype" include {{ phase: TRAIN }}
  inner_product_param {{ num_output: 3 weight_filler {{ type: "gaussian" std: 0.3 }} }} }}
layer {{ name: "loss_noisy" type: "SoftmaxWithNoisyLabelLoss" bottom: "ip_clean" bottom: "ip_ntype" bottom: "noisy"
  top: "loss_noisy" include {{ phase: TRAIN }}
  softmax_noisy_label_loss_param {{
    matrix_c_filler {{ type: "blob_proto" source: "{folder}/confusion.binaryproto" }} }} }}
"""


class ScoringCase:
    """``records`` images: every third is clean, twice in the reading order, and every sixth has a noisy label too.

    Attributes:
        folder, net, weights: paths; the file of C that the net names is gone.
        keys, images: of all records; noisy, clean: their labels, -1 where there is none.
        order: the reading order.
    """

    def __init__(self, folder: Path, records: int = 20) -> None:
        rng = np.random.default_rng(3)
        self.folder = folder
        self.keys = [f"shop {i % 2}/{i},ä.png" for i in range(records)]
        self.images = rng.integers(0, 256, (records, 3, SIZE, SIZE)).astype(np.uint8)
        self.noisy = [-1 if i % 6 == 0 else int(label) for i, label in enumerate(rng.integers(0, CLASSES, records))]
        self.clean = [int(label) if i % 3 == 0 else -1 for i, label in enumerate(rng.integers(0, CLASSES, records))]
        self.order = rng.permutation([*range(records), *range(0, records, 3)])
        write_database(folder / layout.MIXED_IMAGES, self._image_records(range(records)))
        np.save(folder / layout.MIXED_INDEX, self.order)
        self.write_labels(layout.MIXED_NOISY_LABELS, [self.noisy[i] for i in self.order])
        self.write_labels(layout.MIXED_CLEAN_LABELS, [self.clean[i] for i in self.order])
        self.mean = rng.integers(100, 150, (3, SIZE, SIZE)).astype(np.float32)
        write_blobproto_file(folder / layout.MEAN, self.mean[None])
        write_blobproto_file(folder / layout.CONFUSION, CONFUSION[None, None])
        (folder / layout.NAMES).write_text("".join(f"{name}\n" for name in NAMES))
        self.net, self.weights = folder / "net.prototxt", folder / "trained.caffemodel"
        self.net.write_text(NET.format(folder=folder))
        torch.manual_seed(5)
        Net(self.net, "TRAIN").save_weights(self.weights)
        (folder / layout.CONFUSION).unlink()

    def _image_records(self, order):
        return ((b"%08d_%s" % (n, self.keys[i].encode()), encode_datum(self.images[i])) for n, i in enumerate(order))

    def write_labels(self, name: str, labels: Sequence[float]) -> None:
        write_database(self.folder / name, ((b"%08d" % n, label_datum(label)) for n, label in enumerate(labels)))

    def materialise(self) -> None:
        """The image database in reading order, copies included, in place of the index."""
        for file in (self.folder / layout.MIXED_IMAGES).iterdir():
            file.unlink()
        (self.folder / layout.MIXED_IMAGES).rmdir()
        (self.folder / layout.MIXED_INDEX).unlink()
        write_database(self.folder / layout.MIXED_IMAGES, self._image_records(self.order))

    @property
    def scored(self) -> list[int]:
        """The numbers of the images that have a noisy label."""
        return [i for i, label in enumerate(self.noisy) if label >= 0]

    def arguments(self, *options: str) -> list[str]:
        return ["--model", str(self.net), "--weights", str(self.weights), "--data", str(self.folder),
                "--out", str(self.folder / "labels.parquet"), *options]  # fmt: skip
