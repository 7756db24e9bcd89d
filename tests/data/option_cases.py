"""The databases' rows of the table of options: Data layers with and without each field."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np
from databases import GOLDEN_RUN
from option_table import Changes, NoEffect, Observation, Row, observe_net

from caffe_compat.data.datum import encoded_datum
from caffe_compat.data.lmdb_store import write_database

MESSAGES = ("DataParameter", "TransformationParameter")

RAW, ENCODED, MEAN = GOLDEN_RUN / "train_lmdb", GOLDEN_RUN / "train_encoded_lmdb", GOLDEN_RUN / "mean.binaryproto"


def data(options: str = "", transform: str = "", source: object = RAW, batch_size: int = 4) -> str:
    return (
        f'layer {{ name: "d" type: "Data" top: "data" top: "label" transform_param {{ {transform} }} '
        f'data_param {{ source: "{source}" batch_size: {batch_size} backend: LMDB {options} }} }}'
    )


def v1_data(options: str = "") -> str:
    """In a V1 layer the transformation's fields are data_param's own."""
    return (
        f'layers {{ name: "d" type: DATA top: "data" top: "label" '
        f'data_param {{ source: "{RAW}" batch_size: 4 backend: LMDB {options} }} }}'
    )


def observe_with_files(text: str) -> Observation:
    """``observe_net`` with FOLDER in the text a folder of grey PNG records and a reading order."""
    with tempfile.TemporaryDirectory() as folder:
        grey = (np.full((4, 5), value, np.uint8) for value in range(6))
        png = (cv2.imencode(".png", image)[1].tobytes() for image in grey)
        write_database(Path(folder) / "grey", ((b"%d" % n, encoded_datum(file, n)) for n, file in enumerate(png)))
        np.save(Path(folder) / "order.npy", np.array([5, 3, 3, 0]))
        return observe_net(text.replace("FOLDER", folder))


def is_halved(base: Observation, changed: Observation) -> None:
    np.testing.assert_array_equal(changed["blob data"], base["blob data"] / 2)


def is_less_by_ten(base: Observation, changed: Observation) -> None:
    np.testing.assert_array_equal(changed["blob data"], base["blob data"] - 10)


def is_the_centre(base: Observation, changed: Observation) -> None:
    np.testing.assert_array_equal(changed["blob data"], base["blob data"][:, :, 2:13, 2:13])


def is_partly_mirrored(base: Observation, changed: Observation) -> None:
    pairs = list(zip(base["blob data"], changed["blob data"], strict=True))
    kept = [np.array_equal(one, other) for one, other in pairs]
    assert all(same or np.array_equal(one[:, :, ::-1], other) for same, (one, other) in zip(kept, pairs, strict=True))
    assert 0 < sum(kept) < len(kept)


def has_three_equal_channels(base: Observation, changed: Observation) -> None:
    assert base["blob data"].shape[1] == 1
    np.testing.assert_array_equal(changed["blob data"], base["blob data"].repeat(3, 1))


def follows_the_order(base: Observation, changed: Observation) -> None:
    assert base["blob label"].tolist() == [0, 1, 2, 3] and changed["blob label"].tolist() == [5, 3, 3, 0]


def is_another_order(base: Observation, changed: Observation) -> None:
    order = changed["blob label"].tolist()
    assert sorted(order) == base["blob label"].tolist() == list(range(6)) and order != sorted(order)


GREY = "FOLDER/grey"

ROWS: list[Row] = [
    Changes("DataParameter.source", data(), data(source=GOLDEN_RUN / "test_lmdb")),
    Changes("DataParameter.batch_size", data(), data(batch_size=5)),
    Changes(
        "DataParameter.backend",
        data(),
        data().replace("LMDB", "LEVELDB"),
        refused="it is an LMDB database: write `backend: LMDB`",
    ),
    Changes("DataParameter.scale", v1_data(), v1_data("scale: 0.5"), expect=is_halved),
    Changes("DataParameter.mean_file", v1_data(), v1_data(f'mean_file: "{MEAN}"')),
    Changes("DataParameter.crop_size", v1_data(), v1_data("crop_size: 11"), expect=is_the_centre),
    Changes("DataParameter.mirror", v1_data(), v1_data("mirror: true"), expect=is_partly_mirrored),
    Changes(
        "DataParameter.index",
        data(source=GREY),
        data('index: "FOLDER/order.npy"', source=GREY),
        observe=observe_with_files,
        expect=follows_the_order,
    ),
    Changes(
        "DataParameter.shuffle",
        data(source=GREY, batch_size=6),
        data("shuffle: true", source=GREY, batch_size=6),
        observe=observe_with_files,
        expect=is_another_order,
    ),
    Changes(
        "DataParameter.force_encoded_color",
        data(source=GREY),
        data("force_encoded_color: true", source=GREY),
        observe=observe_with_files,
        expect=has_three_equal_channels,
    ),
    NoEffect(
        "DataParameter.rand_skip",
        "Caffe's Data layer does not read it (ImageData does); we say so in the log",
        data(),
        data("rand_skip: 3"),
    ),
    NoEffect(
        "DataParameter.prefetch",
        "it says how many batches are made ready ahead, not which or in what order",
        data(),
        data("prefetch: 1"),
    ),
    Changes("TransformationParameter.scale", data(), data(transform="scale: 0.5"), expect=is_halved),
    Changes("TransformationParameter.mirror", data(), data(transform="mirror: true"), expect=is_partly_mirrored),
    Changes("TransformationParameter.crop_size", data(), data(transform="crop_size: 11"), expect=is_the_centre),
    Changes("TransformationParameter.mean_file", data(), data(transform=f'mean_file: "{MEAN}"')),
    Changes("TransformationParameter.mean_value", data(), data(transform="mean_value: 10"), expect=is_less_by_ten),
    Changes(
        "TransformationParameter.force_color",
        data(source=GREY),
        data(transform="force_color: true", source=GREY),
        observe=observe_with_files,
        expect=has_three_equal_channels,
    ),
    Changes(
        "TransformationParameter.force_gray", data(source=ENCODED), data(transform="force_gray: true", source=ENCODED)
    ),
]
