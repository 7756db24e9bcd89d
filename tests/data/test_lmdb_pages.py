"""Damaged LMDB files: refused by the check of their pages, or read to the end. liblmdb itself would end the process."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from pathlib import Path

import lmdb
import pytest
from damage import damaged, survey

from caffe_compat.data import LmdbReader, encode_datum, label_datum, write_database
from caffe_compat.data.datum import decode_datum, parse_datum
from caffe_compat.data.lmdb_pages import check_meta_pages, check_tree
from caffe_compat.errors import DataError
from caffe_compat.proto import caffe_pb2
from databases import pixels, records, write_labels

PAGE = 4096


def bases(folder: Path) -> Iterator[Path]:
    """Three levels of pages, with keys of all lengths; large values; one leaf; pages in no order, some of them free."""
    rng = random.Random(0)
    keys = sorted({rng.randbytes(rng.choice([1, 8, 9, 300, 511])) for _ in range(400)})
    images = pixels(40, (3, 50, 37))
    kinds: list[list[tuple[bytes, caffe_pb2.Datum]]] = [
        [(key, label_datum(number)) for number, key in enumerate(keys)],
        [(b"%08d" % number, encode_datum(image, number)) for number, image in enumerate(images)],
        [(b"%08d" % number, label_datum(number)) for number in range(20)],
    ]
    for number, kind in enumerate(kinds):
        write_database(folder / str(number), kind)
        yield folder / str(number)
    with lmdb.open(str(folder / "used"), map_size=2**24, lock=False) as database:
        for batch in range(5):
            with database.begin(write=True) as transaction:
                for key in rng.sample(keys, 200):
                    transaction.put(key, kinds[1][batch][1].SerializeToString()[: rng.choice([20, 3000, 9999])])
                for key in rng.sample(keys, 40):
                    transaction.delete(key)
    yield folder / "used"


def structure(content: bytes) -> list[int]:
    """The places of all that is not a key or a value: headers of pages, offsets, headers of nodes."""
    places = [*range(152), *range(PAGE, PAGE + 152)] * 3
    for page in range(2 * PAGE, len(content), PAGE):
        number, _, flags, lower, upper = struct.unpack_from("<QHHHH", content, page)
        if number == page // PAGE and flags in (1, 2) and lower <= upper <= PAGE:
            places += range(page, page + lower)
            for (offset,) in struct.iter_unpack("<H", content[page + 16 : page + lower]):
                places += range(page + offset, page + offset + 8)
    return places


def read_everything(path: Path) -> None:
    """As a net does: in order, then here and there through the table of keys; every record as pixels."""
    reader = LmdbReader(path)
    in_order = reader.read_all(range(len(reader)))
    reader.keys()
    there = random.Random(0).sample(range(len(reader)), min(40, len(reader)))
    assert reader.read_all(there) == [in_order[position] for position in there]
    for record in in_order:
        decode_datum(parse_datum(record))


def damaged_pages(content: bytes, rng: random.Random, places: list[int]) -> bytes:
    if rng.random() < 0.9:
        return damaged(content, rng, places)
    one, other = (rng.randrange(len(content) // PAGE) * PAGE for _ in range(2))  # a page in place of another
    return content[:one] + content[other : other + PAGE] + content[one + PAGE :]


def test_damaged_databases_are_refused_or_read(tmp_path: Path) -> None:
    contents = [(path / "data.mdb").read_bytes() for path in bases(tmp_path)]
    kinds = [(content, structure(content)) for content in contents]
    (tmp_path / "damaged").mkdir()

    def damage_and_read(rng: random.Random) -> None:
        content, places = rng.choice(kinds)
        (tmp_path / "damaged" / "data.mdb").write_bytes(damaged_pages(content, rng, places))
        read_everything(tmp_path / "damaged")

    found = survey(5000, damage_and_read)
    print(found)
    assert not found.failures and found.slowest < 1
    assert found.read > 500 and found.refused > 2500
