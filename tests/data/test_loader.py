"""Batches prepared ahead: by workers or a thread, the same ones, and nothing is left running."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from databases import data_layer, pixels, write_images

from caffe_compat.data import loader
from caffe_compat.data.datum import encoded_datum
from caffe_compat.data.lmdb_store import write_database
from caffe_compat.data.loader import BatchLoader, set_num_workers
from caffe_compat.errors import DataError
from caffe_compat.proto import caffe_pb2

AUGMENT = "crop_size: 4 mirror: true"


@pytest.fixture(autouse=True)
def workers_as_before() -> Iterator[None]:
    yield
    set_num_workers(None)


def batches(path: Path, workers: int, count: int = 6) -> list[tuple[np.ndarray, list[float]]]:
    set_num_workers(workers)
    layer = data_layer(path, 4, AUGMENT, phase=caffe_pb2.TRAIN, seed=3)
    return [(data.numpy(), label.tolist()) for data, label in (layer() for _ in range(count))]


def test_the_number_of_workers_changes_nothing(tmp_path: Path) -> None:
    path = write_images(tmp_path / "db", pixels(9))
    alone = batches(path, 0)
    assert [labels for _, labels in alone][:3] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 0, 1, 2]]
    for workers in (1, 3):
        for (data, labels), (expected, expected_labels) in zip(batches(path, workers), alone, strict=True):
            np.testing.assert_array_equal(data, expected)
            assert labels == expected_labels


def test_reading_on_from_a_record_gives_the_same_crops(tmp_path: Path) -> None:
    path = write_images(tmp_path / "db", pixels(9))
    later = data_layer(path, 4, AUGMENT, phase=caffe_pb2.TRAIN, seed=3, data_start=12)
    np.testing.assert_array_equal(later()[0].numpy(), batches(path, 0)[3][0])


@pytest.mark.parametrize("workers", [0, 2])
def test_every_restart_is_logged_once(tmp_path: Path, workers: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "caffe_compat")
    batches(write_images(tmp_path / "db", pixels(9)), workers)
    assert caplog.messages.count("Restarting data prefetching from start.") == 2  # 24 records of 9


@pytest.mark.parametrize("workers", [0, 2])
def test_a_bad_record_surfaces_as_itself(tmp_path: Path, workers: int) -> None:
    good = [encoded_datum((Path(__file__).parents[1] / "golden/run/images/000.jpg").read_bytes(), 0)] * 2
    records = [*good, encoded_datum(b"broken", 0), *good]
    write_database(tmp_path / "db", ((b"%d.jpg" % n, datum) for n, datum in enumerate(records)))
    set_num_workers(workers)
    layer = data_layer(tmp_path / "db", 2)
    layer()
    for _ in range(2):  # and again, not something else
        with pytest.raises(DataError, match="record 2.jpg: not a readable image") as raised:
            layer()
        assert str(raised.value).startswith('net.prototxt: layer "data" (Data): data_param.source: ')
        assert "Traceback" not in str(raised.value)


def test_a_copy_and_a_stopped_loader_go_on_where_they_were(tmp_path: Path) -> None:
    set_num_workers(1)
    layer = data_layer(write_images(tmp_path / "db", pixels(9)), 2)
    layer()
    twin = copy.deepcopy(layer.loader)
    layer.loader.close()
    assert next(layer.loader)[1].tolist() == next(twin)[1].tolist() == [2, 3]


def test_stopping_does_not_mix_up_who_reads(tmp_path: Path) -> None:
    """The batch that was being read when reading stopped must not be read at the same time as the next one."""
    set_num_workers(0)
    batches = data_layer(write_images(tmp_path / "db", pixels(500)), 20).loader
    for batch in range(300):
        if batch % 2:
            batches.close()
        assert next(batches)[1].tolist() == [record % 500 for record in range(20 * batch, 20 * batch + 20)]


def test_the_thread_ends_with_the_layer(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    set_num_workers(0)
    layer = data_layer(write_images(tmp_path / "db", pixels(9)), 2)
    layer()
    (thread,) = set(threading.enumerate()) - before
    del layer
    thread.join(timeout=10)
    assert not thread.is_alive()


def children() -> set[int]:
    return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")
def test_workers_end_with_the_layer(tmp_path: Path) -> None:
    before = children()
    set_num_workers(2)
    layer = data_layer(write_images(tmp_path / "db", pixels(9)), 2)
    layer()
    assert len(children() - before) == 2
    del layer
    assert children() <= before


PROGRAM = """
import signal, time
from databases import data_layer
from caffe_compat.data.loader import set_num_workers

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job inherits that it is ignored
layers = []
for workers in (0, 2):
    set_num_workers(workers)
    layers.append(data_layer({source!r}, 2))
    for _ in range(5):
        layers[-1]()
try:
    print("ready", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print([layer()[1].tolist() for layer in layers], flush=True)
"""


def test_ctrl_c_reaches_the_trainer_only_which_ends_in_silence(tmp_path: Path) -> None:
    source, tests = write_images(tmp_path / "db", pixels(9)), Path(__file__).parents[1]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(source=str(source))],
        text=True,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{tests}{os.pathsep}{tests.parent}"},
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
    try:
        stdout, stderr = process.communicate(timeout=30)  # the workers must not keep it
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    assert (process.returncode, stdout, stderr) == (0, "[[1.0, 2.0], [1.0, 2.0]]\n", "")


def have_cores(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(count)), raising=False)


def test_the_default_number_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "_SHARED_MEMORY", "/nowhere")
    label, cifar, photographs = 100, 100 * 3 * 32 * 32, 128 * 3 * 256 * 256
    for cores, workers in ((1, 0), (2, 2), (8, 4), (64, 8)):
        have_cores(monkeypatch, cores)
        assert [loader.choose_workers(size, False, 4) for size in (label, cifar, photographs)] == [0, 0, workers]
        assert loader.choose_workers(cifar, True, 4) == workers


def test_processes_share_the_cores_and_daemons_start_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "_SHARED_MEMORY", "/nowhere")
    have_cores(monkeypatch, 16)
    for processes, workers in ((1, 8), (2, 4), (8, 2)):
        monkeypatch.setattr(loader, "_processes", processes)
        assert loader.choose_workers(2**23, True, 4) == workers
    monkeypatch.setattr(loader, "current_process", lambda: SimpleNamespace(daemon=True))
    assert loader.choose_workers(2**23, True, 4) == 0


def test_little_shared_memory_means_no_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    have_cores(monkeypatch, 2)
    monkeypatch.setattr(loader, "_SHARED_MEMORY", str(tmp_path))
    assert loader.choose_workers(2**60, True, 4) == 0
    assert "--shm-size" in caplog.text


def test_a_negative_number_of_workers() -> None:
    with pytest.raises(ValueError, match="expected >= 0 or None, got -1"):
        set_num_workers(-1)


def test_batches_are_ordinary_tensors(tmp_path: Path) -> None:
    set_num_workers(2)
    data, label = data_layer(write_images(tmp_path / "db", pixels(9)), 3)()
    assert data.dtype == label.dtype == torch.float32 and data.is_contiguous()
    data.mul_(2)
    assert isinstance(next(iter(BatchLoader(data_layer(tmp_path / "db", 3).dataset)))[0], torch.Tensor)
