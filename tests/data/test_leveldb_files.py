"""Damaged LevelDB databases: refused, or every record is what it was, for all that is read has sums."""

from __future__ import annotations

import random
import shutil
import struct
from pathlib import Path

import pytest
from damage import damaged, folder_in_memory, survey

from caffe_compat.data.datum import label_datum
from caffe_compat.data.leveldb_store import LevelDbReader, write_leveldb
from caffe_compat.errors import DataError

plyvel = pytest.importorskip("plyvel")


def write_database(path: Path) -> None:
    """Tables and a log of more than one block, as a large database has them.

    At rest: compacted, with nothing in the log that the tables have keys around. LevelDB that is closed in the middle
    of a compaction leaves a table behind, and begins anew when it is opened; a forked process would wait for that for
    ever if LevelDB has a thread in its parent.
    """
    write_leveldb(path, ((b"%05d" % number, label_datum(number)) for number in range(3000)))
    with_tables = plyvel.DB(str(path), max_file_size=2**20)
    for number in range(400):
        with_tables.put(b"%05dx" % number, random.Random(number).randbytes(5000))
    with_tables.compact_range()
    with_tables.close()
    database = plyvel.DB(str(path))
    with database.write_batch() as batch:
        for number in range(10):
            batch.put(b"large%d" % number, random.Random(number).randbytes(5000))
    for number in range(100):
        database.put(b"small%d" % number, b"in the log")
    database.close()
    names = sorted(file.suffix for file in path.iterdir())
    assert names.count(".ldb") >= 2 and (next(path.glob("*.log"))).stat().st_size > 50000


def read_everything(path: Path) -> dict[bytes, bytes]:
    reader = LevelDbReader(path)
    values = reader.read_all(range(len(reader)))
    return dict(zip((reader.key(position) for position in range(len(reader))), values, strict=True))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[bytes, bytes]]:
    path = tmp_path_factory.mktemp("leveldb") / "db"
    write_database(path)
    return path, read_everything(Path(shutil.copytree(path, path.with_name("copy"))))  # opening it writes into it


def in_use(path: Path) -> list[Path]:
    return sorted(file for file in path.iterdir() if not file.name.startswith(("LO", "lost")))


def test_damaged_databases_are_refused_or_read_whole(whole: tuple[Path, dict[bytes, bytes]]) -> None:
    path, expected = whole
    contents = {file.name: file.read_bytes() for file in in_use(path)}
    with folder_in_memory() as folder:
        database = Path(folder) / "db"

        def damage_and_read(rng: random.Random) -> None:
            shutil.rmtree(database, ignore_errors=True)
            database.mkdir()
            chosen = rng.choice(sorted(contents))
            for name, content in contents.items():
                end = len(content)
                spots = [*range(min(end, 60)), *range(max(0, end - 60), end)]
                (database / name).write_bytes(damaged(content, rng, spots) if name == chosen else content)
            assert read_everything(database) == expected

        found = survey(1000, damage_and_read)
    assert not found.failures and found.slowest < 1, found
    assert found.refused > 700, found


@pytest.mark.parametrize("kind", ["CURRENT", "MANIFEST*", "*.log", "*.ldb"])
def test_a_file_that_is_cut_short_empty_missing_or_a_folder(
    whole: tuple[Path, dict[bytes, bytes]], tmp_path: Path, kind: str
) -> None:
    for way in ("short", "empty", "missing", "folder"):
        path = tmp_path / way
        shutil.copytree(whole[0], path)
        file = sorted(path.glob(kind))[0]
        content = file.read_bytes()
        file.unlink()
        if way in ("short", "empty"):
            file.write_bytes(content[:-3] if way == "short" else b"")
        elif way == "folder":
            file.mkdir()
        if (kind, way) == ("*.log", "empty"):
            continue  # what was written last is gone, and nothing tells
        with pytest.raises(DataError) as raised:
            read_everything(path)
        assert raised.value.path == str(path)
        if (kind, way) != ("CURRENT", "missing"):
            assert "damaged LevelDB database" in str(raised.value)


def test_a_table_and_a_log_that_the_manifest_does_not_name_are_not_read(
    whole: tuple[Path, dict[bytes, bytes]], tmp_path: Path
) -> None:
    """LevelDB that was closed in the middle of a compaction leaves such a table."""
    path = Path(shutil.copytree(whole[0], tmp_path / "db"))
    table = sorted(path.glob("*.ldb"))[0].read_bytes()
    (path / "009999.ldb").write_bytes(table[: len(table) // 2])
    log = next(path.glob("*.log")).read_bytes()
    (path / "000002.log").write_bytes(log[:-3])
    assert read_everything(path) == whole[1]


def test_a_footer_that_asks_for_any_amount_of_memory(whole: tuple[Path, dict[bytes, bytes]], tmp_path: Path) -> None:
    path = Path(shutil.copytree(whole[0], tmp_path / "db"))
    table = sorted(path.glob("*.ldb"))[0]
    content = table.read_bytes()
    huge = b"\x00\x00" + b"\x00" + b"\xff" * 8 + b"\x7f"
    table.write_bytes(content[:-48] + huge.ljust(40, b"\0") + content[-8:])
    with pytest.raises(DataError, match=r"\.ldb: expected an index up to byte \d+, got \d+ bytes at 0"):
        LevelDbReader(path)


def test_a_record_that_was_changed(whole: tuple[Path, dict[bytes, bytes]], tmp_path: Path) -> None:
    """In a table and in the log: found by their sums."""
    for kind in ("*.ldb", "*.log"):
        path = Path(shutil.copytree(whole[0], tmp_path / kind.replace("*", "db")))
        file = sorted(path.glob(kind))[-1]
        content = bytearray(file.read_bytes())
        content[300] ^= 1
        file.write_bytes(content)
        with pytest.raises(DataError, match="damaged LevelDB database: .*(checksum|corrupt)"):
            read_everything(path)


def test_a_log_with_an_unused_end_is_whole(whole: tuple[Path, dict[bytes, bytes]], tmp_path: Path) -> None:
    path = Path(shutil.copytree(whole[0], tmp_path / "db"))
    log = next(path.glob("*.log"))
    log.write_bytes(log.read_bytes() + struct.pack("<Q", 0) * 10)
    assert read_everything(path) == whole[1]
