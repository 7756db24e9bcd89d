"""Several solvers that read one source: together their batches are those of one solver with larger batches."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from databases import data_text, layer_from_text, pixels, write_images
from torch import Tensor

from caffe_compat.data.reading_order import Share
from caffe_compat.layers import Layer
from caffe_compat.proto import caffe_pb2

SOLVERS, BATCH_SIZE, RECORDS, START = 3, 4, 11, 2


def data(path: Path, batch_size: int, shuffle: bool) -> str:
    source = write_images(path / f"db_{batch_size}", pixels(RECORDS))
    options = f"shuffle: {str(shuffle).lower()}"
    return data_text(source, batch_size, "mirror: true crop_size: 4", options=options)


def image_data(path: Path, batch_size: int, shuffle: bool) -> str:
    import cv2

    for number, image in enumerate(pixels(RECORDS)):
        cv2.imwrite(str(path / f"{number}.png"), image.transpose(1, 2, 0))
    (path / "list.txt").write_text("".join(f"{n}.png {n}\n" for n in range(RECORDS)))
    return f"""name: "data" type: "ImageData" top: "data" top: "label" transform_param {{ mirror: true crop_size: 4 }}
        image_data_param {{ source: "{path}/list.txt" root_folder: "{path}/" batch_size: {batch_size}
                            shuffle: {str(shuffle).lower()} }}"""


def hdf5_data(path: Path, batch_size: int, shuffle: bool) -> str:
    for file, rows in (("a.h5", range(5)), ("b.h5", range(5, RECORDS))):
        with h5py.File(path / file, "w") as opened:
            opened["data"] = np.array(rows, np.float32)[:, None]
    (path / "files.txt").write_text(f"{path}/a.h5\n{path}/b.h5\n")
    return f"""name: "data" type: "HDF5Data" top: "data"
        hdf5_data_param {{ source: "{path}/files.txt" batch_size: {batch_size} shuffle: {str(shuffle).lower()} }}"""


SOURCES = {"Data": data, "ImageData": image_data, "HDF5Data": hdf5_data}


def layer(text: str, rank: int, count: int, phase: int = caffe_pb2.TRAIN) -> Layer:
    return layer_from_text(text, phase=phase, seed=5, data_start=START, share=Share(rank, count))


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("kind", SOURCES)
def test_every_solver_reads_every_nth_record(kind: str, shuffle: bool, tmp_path: Path) -> None:
    one = layer(SOURCES[kind](tmp_path, SOLVERS * BATCH_SIZE, shuffle), 0, 1)
    text = SOURCES[kind](tmp_path, BATCH_SIZE, shuffle)
    solvers = [layer(text, rank, SOLVERS) for rank in range(SOLVERS)]
    for _ in range(3):  # more than one round
        whole = one()
        parts = [solver() for solver in solvers]
        for top, expected in enumerate(whole):
            assert_interleaved([part[top] for part in parts], expected)


def assert_interleaved(parts: list[Tensor], whole: Tensor) -> None:
    for rank, part in enumerate(parts):
        np.testing.assert_array_equal(part.numpy(), whole[rank::SOLVERS].numpy())


def test_a_test_net_reads_every_record(tmp_path: Path) -> None:
    """As Caffe's does: DataLayer::Skip keeps all in the TEST phase."""
    tested = layer(data(tmp_path, BATCH_SIZE, False), 1, SOLVERS, caffe_pb2.TEST)
    assert tested()[1].tolist() == [0, 1, 2, 3]


def test_the_log_counts_the_rounds_of_all_solvers(tmp_path: Path) -> None:
    batches = layer(data(tmp_path, BATCH_SIZE, False), 1, SOLVERS).loader.dataset
    ends = [(START + SOLVERS * BATCH_SIZE * (batch + 1)) // RECORDS for batch in range(4)]
    assert [sum(batches.restarts(k) for k in range(batch + 1)) for batch in range(4)] == ends
