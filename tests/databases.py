"""Small LMDB databases, and Data layers over them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
from google.protobuf import text_format

from caffe_compat.data.datum import encode_datum, label_datum
from caffe_compat.data.lmdb_store import write_database
from caffe_compat.layers import BuildContext, Layer, create_layer
from caffe_compat.proto import caffe_pb2

GOLDEN_RUN = Path(__file__).parent / "golden" / "run"


def pixels(count: int, shape: tuple[int, int, int] = (3, 5, 7), seed: int = 0) -> np.ndarray:
    """(count, C, H, W) uint8."""
    return np.random.default_rng(seed).integers(0, 256, (count, *shape)).astype(np.uint8)


def write_images(path: Path, images: Iterable[np.ndarray]) -> Path:
    """Record n has label n."""
    write_database(path, ((b"%08d_%d.png" % (n, n), encode_datum(image, n)) for n, image in enumerate(images)))
    return path


def write_labels(path: Path, labels: Iterable[float]) -> Path:
    write_database(path, ((b"%08d" % n, label_datum(label)) for n, label in enumerate(labels)))
    return path


def records(path: str | os.PathLike[str]) -> dict[bytes, bytes]:
    """All records of a database, in key order, read without our reader."""
    with lmdb.open(os.fspath(path), readonly=True, lock=False) as database, database.begin() as transaction:
        return {bytes(key): bytes(value) for key, value in transaction.cursor()}


def data_layer(
    source: str | os.PathLike[str],
    batch_size: int,
    transform: str = "",
    tops: int = 2,
    options: str = "",
    **context: int,
) -> Layer:
    """A Data layer; ``transform`` and ``options`` are text inside transform_param and data_param."""
    return layer_from_text(data_text(source, batch_size, transform, tops, options), **context)


def data_text(
    source: str | os.PathLike[str], batch_size: int, transform: str = "", tops: int = 2, options: str = ""
) -> str:
    names = " ".join(['top: "data"', 'top: "label"'][:tops])
    return (
        f'name: "data" type: "Data" {names} transform_param {{ {transform} }} '
        f'data_param {{ source: "{source}" batch_size: {batch_size} backend: LMDB {options} }}'
    )


def layer_from_text(text: str, **context: Any) -> Layer:
    param = text_format.Parse(text, caffe_pb2.LayerParameter())
    return create_layer(param, [], BuildContext(path="net.prototxt", **context))
