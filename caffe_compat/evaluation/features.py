"""The values of blobs over a net's data, written to databases. Source: tools/extract_features.cpp."""

from __future__ import annotations

import itertools
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import numpy as np
import torch

from caffe_compat.data.datum import encode_datum
from caffe_compat.errors import CaffeCompatError, expected_got
from caffe_compat.net import Net
from caffe_compat.proto.caffe_pb2 import Datum

log = logging.getLogger("caffe_compat")

WriteDatabase = Callable[[str, Iterator[tuple[bytes, Datum]]], object]

_ROWS_PER_LINE = 1000
_MOST_AXES = 4


def extract_features(
    net: Net, blobs: Sequence[str], databases: Sequence[str], batches: int, write_database: WriteDatabase
) -> None:
    """Run ``batches`` batches of the net's own data; write each blob, a record per item, to a database of its own.

    Keys count from 0 in ten digits; the records are ``float_data`` of the item's channels x height x width. The net
    and the blobs must pass ``check_blobs``.
    """
    with ExitStack() as files:
        folders = [Path(database).parent for database in databases[1:]]  # on the disk where they go
        spools = [files.enter_context(tempfile.TemporaryFile(dir=folder)) for folder in folders]
        first = _run(net, blobs, batches, spools)
        write_database(databases[0], _records(first, blobs[0]))
        for blob, database, spool in zip(blobs[1:], databases[1:], spools, strict=True):
            spool.seek(0)
            write_database(database, _records((np.load(spool) for _ in range(batches)), blob))


def check_blobs(net: Net, blobs: Sequence[str], path: str | None = None) -> None:
    """Raises: CaffeCompatError for blobs that the net lacks or that are no items of images."""
    for blob in blobs:
        if blob not in net.blob_shapes:
            known = ", ".join(net.blob_shapes)
            raise CaffeCompatError(f"Unknown feature blob name {blob} in the network; known: {known}", path=path)
        axes = len(net.blob_shapes[blob])
        if axes > _MOST_AXES:
            raise CaffeCompatError(f'blob "{blob}": {expected_got(f"at most {_MOST_AXES} axes", axes)}', path=path)


def _run(net: Net, blobs: Sequence[str], batches: int, spools: Sequence[IO[bytes]]) -> Iterator[np.ndarray]:
    """The first blob of each batch; the others wait in ``spools`` for their databases' turn."""
    with torch.no_grad():
        for _ in range(batches):
            net.forward_unfed()
            first, *others = (_items(net.blobs[name]) for name in blobs)
            for spool, values in zip(spools, others, strict=True):
                np.save(spool, values)
            yield first


def _items(blob: torch.Tensor) -> np.ndarray:
    """(B, C, H, W) float32; axes that the blob does not have are 1, as Caffe's tool has them."""
    ones = (1,) * (_MOST_AXES - blob.dim())
    return blob.float().reshape(*blob.shape, *ones).cpu().numpy()


def _records(batches: Iterator[np.ndarray], blob: str) -> Iterator[tuple[bytes, Datum]]:
    done = 0
    for item in itertools.chain.from_iterable(batches):
        yield b"%010d" % done, encode_datum(item)
        done += 1
        if done % _ROWS_PER_LINE == 0:
            log.error("Extracted features of %d query images for feature blob %s", done, blob)
    if done % _ROWS_PER_LINE:
        log.error("Extracted features of %d query images for feature blob %s", done, blob)
