"""Databases by position, and writing them."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lmdb
import pytest
from databases import GOLDEN_RUN, records, write_labels

from caffe_compat.data import lmdb_environment, lmdb_store
from caffe_compat.data.datum import label_datum
from caffe_compat.data.group import Group, describe, read_group, side_file
from caffe_compat.data.lmdb_store import LmdbReader, write_database
from caffe_compat.errors import DataError
from caffe_compat.proto import caffe_pb2

Records = Iterator[tuple[bytes, caffe_pb2.Datum]]


def numbered(count: int) -> Records:
    return ((b"%08d" % number, label_datum(number)) for number in range(count))


def test_records_come_in_key_order_wherever_reading_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lmdb_store, "_MAX_STEPS", 50)
    keys = [f"{number:05d}" + "x" * (number % 7) for number in range(500)]
    shuffled = random.Random(0).sample(range(500), 500)
    write_database(tmp_path / "db", ((keys[number].encode(), label_datum(number)) for number in shuffled))
    expected = list(records(tmp_path / "db").values())
    reader = LmdbReader(tmp_path / "db")
    assert len(reader) == 500
    for positions in ([0, 1, 2], [2, 2, 40, 80, 499, 0], [300, 299, 3, 499], shuffled):
        assert reader.read_all(positions) == [expected[position] for position in positions]
    assert reader.key(123).decode() == keys[123] and reader.read(124) == expected[124]
    assert [reader.keys()[position].decode() for position in range(500)] == keys
    assert len(reader.keys()) == 500 and reader.read_all([7, 450, 9]) == [expected[7], expected[450], expected[9]]


@pytest.mark.parametrize("position", [-1, 3])
def test_positions_outside_are_refused(tmp_path: Path, position: int) -> None:
    with pytest.raises(IndexError, match=f"record {position} of 3"):
        LmdbReader(write_labels(tmp_path / "db", [1, 2, 3])).read(position)


def test_readers_share_a_database_and_travel(tmp_path: Path) -> None:
    path = write_labels(tmp_path / "db", range(10))
    one, other = LmdbReader(path), LmdbReader(path)
    assert one.read(3) == other.read(3) == pickle.loads(pickle.dumps(one)).read(3)
    one.close()
    assert other.read(4) == one.read(4) != one.read(3)


def opened_by(path: Path) -> int:
    return lmdb_environment.Environment.of(str(path))._pid


def test_a_child_process_opens_for_itself_what_the_parent_has_open(tmp_path: Path) -> None:
    reader = LmdbReader(write_labels(tmp_path / "db", range(10)))
    before = reader.read_all([1, 2])
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(reader.read_all, ([1, 2],)) == before
        assert pool.apply(opened_by, (tmp_path / "db",)) == pool.apply(os.getpid) != opened_by(tmp_path / "db")
    assert reader.read_all([1, 2]) == before


def test_no_database(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no LMDB database there.*tools/convert_imageset.py makes") as raised:
        LmdbReader(tmp_path / "missing")
    assert raised.value.path == str(tmp_path / "missing")


def test_something_else_than_a_database(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"x" * 10000)
    with pytest.raises(
        DataError, match="not an LMDB database: .*data.mdb: page 0: expected the magic number 0xbeefc0de"
    ):
        LmdbReader(tmp_path)


def test_an_empty_database(tmp_path: Path) -> None:
    write_database(tmp_path / "db", iter([]))
    with pytest.raises(DataError, match="without records"):
        LmdbReader(tmp_path / "db")


def test_a_database_cut_short(tmp_path: Path) -> None:
    whole = (GOLDEN_RUN / "train_lmdb" / "data.mdb").read_bytes()
    (tmp_path / "data.mdb").write_bytes(whole[:-4096])
    with pytest.raises(DataError, match=f"cut short: expected at least {len(whole)} bytes, got {len(whole) - 4096}"):
        LmdbReader(tmp_path)


def test_a_damaged_page(tmp_path: Path) -> None:
    whole = bytearray((GOLDEN_RUN / "train_lmdb" / "data.mdb").read_bytes())
    for page in range(2, len(whole) // 4096):
        whole[page * 4096 + 10 : page * 4096 + 12] = b"\xff\xff"  # the page's flags
    (tmp_path / "data.mdb").write_bytes(whole)
    with pytest.raises(DataError, match="damaged LMDB database"):
        LmdbReader(tmp_path).read(0)


def test_writing_commits_by_the_thousand_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "caffe_compat")
    assert write_database(tmp_path / "db", numbered(2500)) == 2500
    done = [message for message in caplog.messages if message.startswith("Processed")]
    assert done == ["Processed 1000 files.", "Processed 2000 files.", "Processed 2500 files."]
    assert list(records(tmp_path / "db")) == [b"%08d" % number for number in range(2500)]


def test_the_map_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lmdb_store, "_FIRST_MAP_SIZE", 40960)
    write_database(tmp_path / "db", numbered(3000))
    assert len(records(tmp_path / "db")) == 3000


def test_nothing_appears_when_a_record_cannot_be_made(tmp_path: Path) -> None:
    def broken() -> Records:
        yield from numbered(1200)
        raise DataError("a bad image")

    with pytest.raises(DataError, match="a bad image"):
        write_database(tmp_path / "db", broken())
    assert list(tmp_path.iterdir()) == []


def test_an_existing_database_stays(tmp_path: Path) -> None:
    write_labels(tmp_path / "db", [5])
    before = records(tmp_path / "db")
    with pytest.raises(DataError, match="exists already; remove it or give another name"):
        write_database(tmp_path / "db", numbered(3))
    assert records(tmp_path / "db") == before


@pytest.mark.parametrize(
    "key, problem",
    [(b"00000001", "two records have the key 00000001"), (b"", "1 to 511 bytes, got 0"), (b"x" * 512, "got 512")],
)
def test_keys_that_cannot_be_written(tmp_path: Path, key: bytes, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        write_database(tmp_path / "db", [*numbered(3), (key, label_datum(0))])
    assert list(tmp_path.iterdir()) == []


def test_the_side_file_lies_beside_the_records(tmp_path: Path) -> None:
    group = describe("g", ["a", "b"])
    write_database(tmp_path / "db", numbered(2), group)
    assert read_group(side_file(tmp_path / "db")) == group == Group("g", 2, group.paths_sha256)
    assert sorted(file.name for file in (tmp_path / "db").iterdir()) == ["data.mdb", "group.json"]


def test_a_database_that_a_dropped_reader_still_reads_opens_when_it_has_finished(tmp_path: Path) -> None:
    path = write_labels(tmp_path / "db", [0, 1, 2])
    held = lmdb.open(str(path), readonly=True, lock=False)
    threading.Timer(0.2, held.close).start()
    assert len(LmdbReader(path)) == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork")
def test_a_process_born_during_a_read_can_read(tmp_path: Path) -> None:
    """A thread is always inside LMDB while workers start: they must not wait for a thread that they do not have."""
    write_database(tmp_path / "db", numbered(2000))
    reader, ended = LmdbReader(tmp_path / "db"), threading.Event()

    def read_on_and_on() -> None:
        while not ended.is_set():
            reader.read_all(range(0, 2000, 7))

    thread = threading.Thread(target=read_on_and_on)
    thread.start()
    context = multiprocessing.get_context("fork")
    try:
        for number in range(40):
            worker = context.Process(target=read_in_worker, args=(tmp_path / "db", number), daemon=True)
            worker.start()
            worker.join(20)
            ended_well = worker.exitcode
            worker.kill()
            assert ended_well == 0, f"worker {number} of 40: {ended_well}"
    finally:
        ended.set()
        thread.join()


def read_in_worker(path: Path, number: int) -> None:
    assert LmdbReader(path).key(number) == b"%08d" % number


def test_all_who_waited_for_a_database_share_it(tmp_path: Path) -> None:
    path = write_labels(tmp_path / "db", [0, 1, 2])
    held = lmdb.open(str(path), readonly=True, lock=False)
    threading.Timer(0.3, held.close).start()
    with ThreadPoolExecutor(3) as threads:
        began = time.monotonic()
        readers = list(threads.map(LmdbReader, [path] * 3))
        assert [len(reader) for reader in readers] == [3, 3, 3] and time.monotonic() - began < 5


def test_a_failure_whose_exception_is_kept_does_not_hold_the_database(tmp_path: Path) -> None:
    path = write_labels(tmp_path / "db", list(range(2000)))
    content = bytearray((path / "data.mdb").read_bytes())
    for page in range(2, len(content) // 4096):
        content[page * 4096 : page * 4096 + 4096] = b"\xff" * 4096
    (path / "data.mdb").write_bytes(content)
    kept = []
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(DataError, match="damaged") as caught:
            LmdbReader(path)
        kept.append(caught)
        assert time.monotonic() - began < 5


def test_a_path_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        LmdbReader(None)  # and nothing about __del__ on stderr, which pytest would make a warning


class SlowToGo:
    """Takes its time to be dropped, and says when that has begun."""

    def __init__(self) -> None:
        self.going = threading.Event()

    def __del__(self) -> None:
        self.going.set()
        time.sleep(0.5)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork")
def test_a_process_born_while_another_thread_drops_the_last_reader_can_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lmdb_environment, "_MOST_SECONDS_OF_A_READ", 2.0)
    path = write_labels(tmp_path / "db", [4, 5])
    readers = [LmdbReader(path)]
    readers[0].read(0)
    environment, slow = readers[0]._shared, SlowToGo()
    going = slow.going
    environment.__dict__ = {"slow": slow, **environment.__dict__}  # goes first, while LMDB's own is still open
    del environment, slow
    dropping = threading.Thread(target=readers.clear)
    dropping.start()
    assert going.wait(10)
    child = multiprocessing.get_context("fork").Process(target=LmdbReader, args=(path,))
    child.start()
    child.join(20)
    dropping.join()
    assert child.exitcode == 0
