"""Damaged LMDB files: refused by the check of their pages, or read to the end. liblmdb itself would end the process."""

from __future__ import annotations

import errno
import multiprocessing
import os
import random
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import lmdb
import pytest
from damage import damaged, survey
from databases import pixels, records, write_labels

from caffe_compat.data import lmdb_environment
from caffe_compat.data.datum import decode_datum, encode_datum, label_datum, parse_datum
from caffe_compat.data.lmdb_pages import check_meta_pages, check_tree
from caffe_compat.data.lmdb_store import LmdbReader, write_database
from caffe_compat.errors import DataError
from caffe_compat.proto import caffe_pb2

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
    assert not found.failures and found.slowest < 1
    assert found.read > 500 and found.refused > 2500


def test_whatever_liblmdb_writes_passes(tmp_path: Path) -> None:
    """And the meta page's numbers are the tree's: of overflow pages at most, a value made smaller keeps its pages."""
    rng = random.Random(1)
    with lmdb.open(str(tmp_path), map_size=2**27, lock=False, sync=False) as database:
        for _ in range(60):
            with database.begin(write=True) as transaction:
                for _ in range(rng.choice([1, 30, 200])):
                    key = rng.randbytes(rng.choice([1, 2, 2, 20, 511]))
                    if rng.random() < 0.4:
                        transaction.delete(key)
                    transaction.put(key, bytes(rng.choice([0, 1, 100, 2000, 2037, 2038, 4080, 4081, 20000])))
            tree = check_tree(str(tmp_path), check_meta_pages(str(tmp_path)).transaction)
            assert tree.entries == database.stat()["entries"]
    expected = list(records(tmp_path).values())
    assert LmdbReader(tmp_path).read_all(range(len(expected))) == expected


# --- what the errors say -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_levels(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Pages 0 and 1: meta pages, 1 the live one; a root with leaves below it."""
    path = tmp_path_factory.mktemp("two_levels") / "db"
    return (write_labels(path, range(300)) / "data.mdb").read_bytes()


def overwrite(content: bytes, place: int, form: str, *values: int) -> bytes:
    result = bytearray(content)
    struct.pack_into("<" + form, result, place, *values)
    return bytes(result)


def root_of(content: bytes) -> int:
    return struct.unpack_from("<Q", content, PAGE + 128)[0]


@pytest.mark.parametrize(
    ("place", "form", "value", "problem"),
    [
        (PAGE + 16, "I", 7, "not an LMDB database: .*page 1: expected the magic number 0xbeefc0de, got 0x7"),
        (PAGE + 20, "I", 2, "page 1: version of the format: expected 1, got 2"),
        (10, "H", 2, "page 0: expected number 0, flags 0x8 .a meta page., got number 0, flags 0x2"),
        (40, "I", 4095, "page 0: page size: expected a power of 2 from 256 to 32768, got 4095"),
        (PAGE + 40, "I", 8192, "page 1: page size: expected 4096 as in page 0, got 8192"),
        (PAGE + 92, "H", 4, "expected a database as Caffe writes it, got flags 0x4"),
        (PAGE + 94, "H", 33, "depth of the tree: expected 1 to 32, got 33"),
        (PAGE + 94, "H", 1, r"flags: expected 0x2 \(a leaf page\), got 1"),
        (PAGE + 96, "Q", 5, "branch pages: expected 5, as the meta page declares, got 1"),
        (PAGE + 104, "Q", 99, "leaf pages: expected 99, as the meta page declares, got"),
        (PAGE + 120, "Q", 301, "records: expected 301, as the meta page declares, got 300"),
        (PAGE + 128, "Q", 1, "number of a page: expected in the .* from 2 to .*, got 1"),
        (PAGE + 136, "Q", 2**60, "page 1: number of the last page: expected less than 34359738368, got 11529"),
    ],
)  # fmt: skip
def test_meta_pages(tmp_path: Path, two_levels: bytes, place: int, form: str, value: int, problem: str) -> None:
    (tmp_path / "data.mdb").write_bytes(overwrite(two_levels, place, form, value))
    with pytest.raises(DataError, match=problem) as raised:
        LmdbReader(tmp_path)
    assert raised.value.path == str(tmp_path) and str(tmp_path / "data.mdb") in raised.value.problem


@pytest.mark.parametrize(
    ("place", "form", "value", "problem"),
    [
        (0, "Q", 9, "number in it: expected its own, got 9"),
        (10, "H", 4, r"flags: expected 0x2 \(a leaf page\), got 4"),
        (12, "H", 5000, "lower bound: expected an even number up to the upper bound, both up to 4096, got 5000"),
        (12, "H", 16, "number of nodes: expected at least 1, got 0"),
        (16, "H", 4090, "offset of a node: expected an even number from the upper bound to 4088, got 4090"),
    ],
)  # fmt: skip
def test_pages(tmp_path: Path, two_levels: bytes, place: int, form: str, value: int, problem: str) -> None:
    leaf = first_leaf(two_levels)
    (tmp_path / "data.mdb").write_bytes(overwrite(two_levels, leaf * PAGE + place, form, value))
    with pytest.raises(DataError, match=f"page {leaf}: {problem}"):
        LmdbReader(tmp_path)


@pytest.mark.parametrize(
    ("place", "form", "value", "problem"),
    [
        (0, "I", 5000, "size of a node: expected no more than up to the page's end, got 5016"),
        (0, "I", 400, "bytes of all nodes: expected no more than from the upper bound on, got"),
        (4, "H", 2, "flags of a node: expected 0, or 1 for a large value; 2 is a named database, .*, got 2"),
        (6, "H", 0, "length of a key: expected at least 1, got 0"),
        (8, "B", 0, "expected keys that rise and lie where their branch says"),
    ],
)  # fmt: skip
def test_nodes(tmp_path: Path, two_levels: bytes, place: int, form: str, value: int, problem: str) -> None:
    leaf = first_leaf(two_levels)
    lower, upper = struct.unpack_from("<HH", two_levels, leaf * PAGE + 12)
    (node,) = struct.unpack_from("<H", two_levels, leaf * PAGE + lower - 2)  # the last one
    assert node == upper
    (tmp_path / "data.mdb").write_bytes(overwrite(two_levels, leaf * PAGE + node + place, form, value))
    with pytest.raises(DataError, match=f"page {leaf}: {problem}"):
        LmdbReader(tmp_path)


def first_leaf(content: bytes) -> int:
    return child(content, 0)[1]


def child(content: bytes, index: int) -> tuple[int, int]:
    """A node of the root: where it is, and the page that it leads to."""
    page = root_of(content) * PAGE
    place = page + struct.unpack_from("<H", content, page + 16 + 2 * index)[0]
    return place, struct.unpack_from("<I", content, place)[0]


def test_a_branch_that_leads_back_or_twice_to_a_page_or_nowhere(tmp_path: Path, two_levels: bytes) -> None:
    for page, problem in [
        (root_of(two_levels), "is used twice"),
        (first_leaf(two_levels), "is used twice"),
        (2**31, "number of a page: expected in the"),
    ]:
        (tmp_path / "data.mdb").write_bytes(overwrite(two_levels, child(two_levels, 1)[0], "I", page))
        with pytest.raises(DataError, match=problem):
            LmdbReader(tmp_path)


def test_a_branch_with_a_key_that_is_not_its_pages(tmp_path: Path, two_levels: bytes) -> None:
    place = child(two_levels, 1)[0] + 8
    for byte in (b"\0", b"\xff"):
        (tmp_path / "data.mdb").write_bytes(two_levels[:place] + byte + two_levels[place + 1 :])
        with pytest.raises(DataError, match="expected keys that rise and lie where their branch says"):
            LmdbReader(tmp_path)


def test_large_values_that_share_pages(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path), map_size=2**20, lock=False) as database, database.begin(write=True) as transaction:
        transaction.put(b"a", b"x" * 9000)
        transaction.put(b"b", b"y" * 9000)
    content = (tmp_path / "data.mdb").read_bytes()
    leaf = root_of(content) * PAGE
    first, second = (leaf + node + 9 for node in struct.unpack_from("<HH", content, leaf + 16))
    (page,) = struct.unpack_from("<Q", content, first)
    (tmp_path / "data.mdb").write_bytes(overwrite(content, second, "Q", page + 2))
    with pytest.raises(DataError, match="is used twice"):
        LmdbReader(tmp_path)


def test_named_databases_which_caffe_never_writes(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path), map_size=2**20, max_dbs=1, lock=False) as database:
        database.open_db(b"train")
    with pytest.raises(DataError, match="2 is a named database"):
        LmdbReader(tmp_path)


# --- not even a database -----------------------------------------------------------------------------------------


def test_things_that_are_no_database(tmp_path: Path) -> None:
    def error(name: str) -> str:
        with pytest.raises(DataError) as raised:
            LmdbReader(tmp_path / name)
        assert raised.value.path == str(tmp_path / name)
        return raised.value.problem

    for name in ("nothing_in_it", "empty", "folder", "text", "pipe"):
        (tmp_path / name).mkdir()
    (tmp_path / "empty" / "data.mdb").touch()
    (tmp_path / "folder" / "data.mdb").mkdir()
    (tmp_path / "text" / "data.mdb").write_text("no database at all\n" * 9)
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe" / "data.mdb")
    assert "no LMDB database there" in error("nothing_in_it")
    assert "expected at least 152 bytes, got 0" in error("empty")
    assert "data.mdb is not a regular file" in error("folder") and "is not a regular file" in error("pipe")
    assert "expected the magic number 0xbeefc0de" in error("text")
    assert "it is a file; expected the folder" in error("file")


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody tells root that there is none: the system's answer is played."""
    path = write_labels(tmp_path / "db", range(3))

    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(DataError, match="data.mdb cannot be read: Permission denied"):
        LmdbReader(path)


def test_where_nobody_can_write(tmp_path: Path) -> None:
    """A lock file that is none and may not be written, in a folder that may not either: no reader needs them."""
    path = write_labels(tmp_path / "db", range(3))
    (path / "lock.mdb").write_text("no lock file")
    for place in (path / "lock.mdb", path / "data.mdb", path):
        place.chmod(0o555)
    assert len(LmdbReader(path).read_all(range(3))) == 3
    assert sorted(os.listdir(path)) == ["data.mdb", "lock.mdb"] and (path / "lock.mdb").read_text() == "no lock file"
    path.chmod(0o755)


# --- a database that changes -------------------------------------------------------------------------------------


APPEND = """
import sys, lmdb
first, count, times = map(int, sys.argv[2:])
with lmdb.open(sys.argv[1], map_size=2**26) as database:
    for number in range(times):
        with database.begin(write=True) as transaction:
            for key in range(first + number * count, first + (number + 1) * count):
                transaction.put(b"%08d" % key, b"value", append=True)
"""


def append(path: Path, first: int, count: int, times: int) -> subprocess.Popen[bytes]:
    """Another process that commits ``count`` records so many times."""
    return subprocess.Popen([sys.executable, "-c", APPEND, path, *map(str, (first, count, times))])


def test_what_others_append_changes_nothing_for_a_reader(tmp_path: Path) -> None:
    """Each commit frees pages that later ones use again: a reader that kept its tree would read others' pages."""
    path = write_labels(tmp_path / "db", range(500))
    reader = LmdbReader(path)
    reader.read(499)
    for first in range(500, 900, 100):
        assert append(path, first, 100, 1).wait() == 0
        found = reader.read_all(range(0, 500, 50))
        assert found == [label_datum(number).SerializeToString() for number in range(0, 500, 50)]
    assert len(reader) == 500 and len(LmdbReader(path)) == 900


def test_appending_all_the_time_is_no_damage(tmp_path: Path) -> None:
    path = write_labels(tmp_path / "db", range(2000))
    writer = append(path, 2000, 5, 200)
    opened = 0
    while writer.poll() is None:
        reader = LmdbReader(path)
        opened += 1
        assert [parse_datum(record).float_data[0] for record in reader.read_all([0, 999, 1999])] == [0, 999, 1999]
        del reader
    assert opened > 5 and writer.returncode == 0 and len(LmdbReader(path)) == 3000


def test_pages_are_checked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not when it is opened again, and not by processes that get the reader."""
    reader = LmdbReader(write_labels(tmp_path / "db", range(3)))

    def again(*_: object) -> None:
        raise AssertionError("checked again")

    monkeypatch.setattr(lmdb_environment, "check_tree", again)
    before = reader.read_all(range(3))
    reader.close()
    assert reader.read_all(range(3)) == before
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(reader.read_all, (range(3),)) == before
    with pytest.raises(AssertionError, match="checked again"):
        LmdbReader(write_labels(tmp_path / "other", range(3)))


def test_records_that_are_gone(tmp_path: Path) -> None:
    path = write_labels(tmp_path / "db", range(300))
    reader = LmdbReader(path)
    script = APPEND.replace('put(b"%08d" % key, b"value", append=True)', 'delete(b"%08d" % key)')
    subprocess.run([sys.executable, "-c", script, path, "200", "100", "1"], check=True)
    with pytest.raises(DataError, match="record 250 of 300 is gone"):
        reader.read(250)
