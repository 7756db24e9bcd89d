"""LevelDB databases: the same records as LMDB gives, by position, and what goes wrong."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from databases import GOLDEN_RUN, data_layer, data_text, layer_from_text, pixels

from caffe_compat.cli.compute_image_mean import main as compute_image_mean
from caffe_compat.cli.convert_imageset import main as convert_imageset
from caffe_compat.data.database import create_database, open_database
from caffe_compat.data.datum import encode_datum, label_datum
from caffe_compat.data.leveldb_store import LevelDbReader, write_leveldb
from caffe_compat.data.lmdb_store import LmdbReader
from caffe_compat.data.loader import set_num_workers
from caffe_compat.errors import CaffeCompatError, DataError
from caffe_compat.weights import read_blobproto_file

plyvel = pytest.importorskip("plyvel")


def write_both(folder: Path, count: int) -> tuple[LmdbReader, LevelDbReader]:
    """The same records in either kind, handed over in no order."""
    numbers = random.Random(0).sample(range(count), count)
    for backend in ("lmdb", "leveldb"):
        records = ((b"%05d" % n + b"x" * (n % 3), label_datum(n)) for n in numbers)
        assert create_database(folder / backend, records, backend) == count
    lmdb, leveldb = (open_database(folder / backend, backend) for backend in ("lmdb", "leveldb"))
    assert isinstance(lmdb, LmdbReader) and isinstance(leveldb, LevelDbReader)
    return lmdb, leveldb


def test_records_as_lmdb_gives_them(tmp_path: Path) -> None:
    """2,500: more than two writes of 1000. In order, backwards, here and there."""
    lmdb, leveldb = write_both(tmp_path, 2500)
    assert len(leveldb) == 2500
    shuffled = random.Random(1).sample(range(2500), 300)
    for positions in (range(2500), range(2499, 2000, -1), [0, 0, 1, 2499], shuffled):
        assert leveldb.read_all(positions) == lmdb.read_all(positions)
    assert [leveldb.key(n) for n in shuffled] == [lmdb.key(n) for n in shuffled]
    with pytest.raises(IndexError):
        leveldb.read(2500)


def test_two_readers_of_one_database(tmp_path: Path) -> None:
    """LevelDB would refuse the second handle: they share one, which goes with the last of them."""
    first = write_both(tmp_path, 5)[1]
    second = LevelDbReader(tmp_path / "leveldb")
    assert first.read(1) == second.read(1)
    first.close()
    assert second.read(2) == first.read(2)
    first.close()
    second.close()
    plyvel.DB(str(tmp_path / "leveldb")).close()


def test_a_data_layer_reads_it(tmp_path: Path) -> None:
    images = pixels(7)
    for backend in ("lmdb", "leveldb"):
        records = ((b"%08d" % n, encode_datum(image, n)) for n, image in enumerate(images))
        create_database(tmp_path / backend, records, backend)
    set_num_workers(2)  # which are not for LevelDB
    lmdb = data_layer(tmp_path / "lmdb", 3, "scale: 0.5 mirror: true crop_size: 4", seed=1)
    text = data_text(tmp_path / "leveldb", 3, "scale: 0.5 mirror: true crop_size: 4")
    leveldb = layer_from_text(text.replace("backend: LMDB", ""), seed=1)  # LEVELDB is Caffe's default
    for _ in range(4):
        for mine, theirs in zip(leveldb(), lmdb(), strict=True):
            assert torch.equal(mine, theirs)


def test_the_tools_write_and_read_it(golden_run: Path) -> None:
    flags = ["--resize_height=16", "--resize_width=16", f"{GOLDEN_RUN}/images/", "train.txt"]
    assert convert_imageset(["--backend=leveldb", *flags, "written"]) == 0
    mine, theirs = open_database("written", "leveldb"), open_database("train_lmdb")
    assert mine.read_all(range(len(theirs))) == theirs.read_all(range(len(mine)))
    del mine  # one process at a time
    assert compute_image_mean(["--backend=leveldb", "written", "mean"]) == 0
    np.testing.assert_array_equal(read_blobproto_file("mean"), read_blobproto_file("mean.binaryproto"))


# --- what goes wrong --------------------------------------------------------------------------------------------


def test_the_wrong_kind_of_database(tmp_path: Path) -> None:
    write_both(tmp_path, 3)
    with pytest.raises(DataError, match="it is an LMDB database: write `backend: LMDB`"):
        LevelDbReader(tmp_path / "lmdb")
    with pytest.raises(DataError, match="it is a LevelDB database: write `backend: LEVELDB`"):
        LmdbReader(tmp_path / "leveldb")
    assert sorted(path.name for path in (tmp_path / "lmdb").iterdir()) == ["data.mdb"]


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no LevelDB database there"):
        LevelDbReader(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_empty_damaged_or_open_elsewhere(tmp_path: Path) -> None:
    write_leveldb(tmp_path / "empty", [])
    with pytest.raises(DataError, match="without records"):
        LevelDbReader(tmp_path / "empty")
    write_leveldb(tmp_path / "damaged", [(b"1", label_datum(1))])
    (tmp_path / "damaged" / "CURRENT").write_bytes(b"nonsense")
    with pytest.raises(DataError, match="a damaged LevelDB database: .*CURRENT: expected the name of a manifest"):
        LevelDbReader(tmp_path / "damaged")
    write_leveldb(tmp_path / "open", [(b"1", label_datum(1))])
    program = (
        f"import plyvel, sys; db = plyvel.DB({str(tmp_path / 'open')!r}); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"open\n"
        with pytest.raises(DataError, match="one process at a time"):
            LevelDbReader(tmp_path / "open")
        process.communicate(b"")


def test_nothing_appears_when_a_record_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="two records have the key 1"):
        write_leveldb(tmp_path / "db", [(b"1", label_datum(1)), (b"1", label_datum(2))])
    assert list(tmp_path.iterdir()) == []
    write_leveldb(tmp_path / "db", [(b"1", label_datum(1))])
    with pytest.raises(DataError, match="exists already"):
        write_leveldb(tmp_path / "db", [(b"1", label_datum(1))])


def test_without_plyvel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_leveldb(tmp_path / "db", [(b"1", label_datum(1))])
    monkeypatch.setitem(sys.modules, "plyvel", None)
    with pytest.raises(CaffeCompatError, match=r"pip install plyvel\), or make an LMDB database"):
        layer_from_text(data_text(tmp_path / "db", 1).replace("backend: LMDB", "backend: LEVELDB"))
