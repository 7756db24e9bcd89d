"""The reader of binary files: every generation's numbers, sizes beyond 2 GiB, and bytes that mean no good.

The witness is protobuf itself, which parses the same bytes whole.
"""

from __future__ import annotations

import builtins
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from google.protobuf.message import DecodeError
from mutations import mutants
from old_files import field, model_of, raw_blob, shape_of, unpacked, v0_model, varint

from caffe_compat.errors import PrototxtError, WeightsError
from caffe_compat.proto.caffe_pb2 import BlobProto, NetParameter
from caffe_compat.prototxt.upgrade import upgrade_net
from caffe_compat.weights import (
    SolverState,
    StoredBlob,
    StoredLayer,
    read_caffemodel,
    read_layers,
    read_solverstate,
    write_blob,
    write_layers,
    write_solverstate,
)

GOLDEN = Path(__file__).parents[1] / "golden"
V1 = (GOLDEN / "upgrade" / "v1.caffemodel").read_bytes()
SNAPSHOT = (GOLDEN / "run" / "snap_BINARYPROTO_iter_10.caffemodel").read_bytes()
ARRAY = np.arange(6, dtype=np.float32).reshape(2, 3) / 7


def read(folder: Path, content: bytes) -> dict[str, list[np.ndarray]]:
    path = folder / "x.caffemodel"
    path.write_bytes(content)
    return read_caffemodel(path)


# --- numbers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "blob",
    [
        unpacked("data", ARRAY) + shape_of(2, 3),
        shape_of(2, 3) + unpacked("data", ARRAY),
        unpacked("data", ARRAY[0]) + shape_of(2, 3) + unpacked("data", ARRAY[1]),
        field(5, ARRAY[0].tobytes()) + field(5, b"") + field(5, ARRAY[1].tobytes()) + shape_of(2, 3),
        field(5, ARRAY[0].tobytes()) + unpacked("data", ARRAY[1]) + shape_of(2, 3),
        unpacked("diff", ARRAY + 1) + unpacked("data", ARRAY) + unpacked("diff", ARRAY) + shape_of(2, 3),
        BlobProto(num=2, channels=3, height=1, width=1).SerializeToString() + unpacked("data", ARRAY),
    ],
)
def test_floats_in_every_way_that_protobuf_has(blob: bytes, tmp_path: Path) -> None:
    assert list(BlobProto.FromString(blob).data) == list(ARRAY.flat), "the witness"
    array = read(tmp_path, model_of(blob))["ip"][0]
    assert array.dtype == np.float32 and array.flags.aligned and array.flags.writeable
    np.testing.assert_array_equal(array.reshape(2, 3), ARRAY)


def test_doubles_that_are_not_packed(tmp_path: Path) -> None:
    thirds = ARRAY.astype(np.float64) / 3
    array = read(tmp_path, model_of(unpacked("double_data", thirds) + shape_of(2, 3)))["ip"][0]
    assert array.dtype == np.float64
    np.testing.assert_array_equal(array, thirds)


def test_a_million_numbers_that_are_not_packed(tmp_path: Path) -> None:
    many = np.random.RandomState(0).randn(1_000_000).astype(np.float32)
    content = model_of(unpacked("data", many) + shape_of(1000, 1000))
    begin = time.process_time()
    array = read(tmp_path, content)["ip"][0]
    assert time.process_time() - begin < 1
    np.testing.assert_array_equal(array.ravel(), many)


@pytest.mark.parametrize("kind", ["DOUBLE", "FLOAT", "FLOAT16"])
def test_raw_bytes_as_nvidias_fork_writes_them(kind: str, tmp_path: Path) -> None:
    array = read(tmp_path, model_of(raw_blob(ARRAY, kind)))["ip"][0]
    assert array.dtype == (np.float64 if kind == "DOUBLE" else np.float32)
    np.testing.assert_array_equal(array, ARRAY.astype(np.float16) if kind == "FLOAT16" else ARRAY)


def test_what_opencv_shrinks_is_read(tmp_path: Path) -> None:
    """cv2.dnn.shrinkCaffeModel makes half precision of a file; the witness is numpy's rounding."""
    message = NetParameter(name="net")
    message.layer.add(name="ip", type="InnerProduct", blobs=[write_blob(ARRAY), write_blob(ARRAY[0])])
    full, half = tmp_path / "full.caffemodel", tmp_path / "half.caffemodel"
    full.write_bytes(message.SerializeToString())
    cv2.dnn.shrinkCaffeModel(str(full), str(half))
    assert not NetParameter.FromString(half.read_bytes()).layer[0].blobs[0].data
    for ours, whole in zip(read_caffemodel(half)["ip"], (ARRAY, ARRAY[0]), strict=True):
        np.testing.assert_array_equal(ours, whole.astype(np.float16).astype(np.float32))


def test_a_v0_file(tmp_path: Path) -> None:
    weight = np.arange(18, dtype=np.float32).reshape(2, 1, 3, 3)
    (layer,) = [layer for layer in read_layers(write(tmp_path, v0_model(weight))) if layer.blobs]
    assert (layer.name, layer.type) == ("conv1", "Convolution")
    np.testing.assert_array_equal(layer.blobs[0].array, weight)


def write(folder: Path, content: bytes) -> Path:
    path = folder / "x.caffemodel"
    path.write_bytes(content)
    return path


def test_no_file_has_a_cut_index(tmp_path: Path) -> None:
    """Not one that we write; and in one that was made to have it, it means nothing."""
    index = varint(1001 << 3) + varint(1)
    blobs = [field(5, row.tobytes()) + shape_of(3) + index for row in ARRAY]
    layers = read_layers(write(tmp_path, model_of(*blobs)))
    np.testing.assert_array_equal([blob.array for blob in layers[0].blobs.values()], ARRAY)
    write_layers(tmp_path / "again.caffemodel", "net", layers)
    again = NetParameter.FromString((tmp_path / "again.caffemodel").read_bytes())
    assert [blob.HasField("cut_index") for blob in again.layer[0].blobs] == [False, False]


# --- sizes --------------------------------------------------------------------------------------------------------


def test_a_file_of_more_than_two_gib_is_read(tmp_path: Path) -> None:
    """The file has holes, so it takes no room; protobuf itself refuses it."""
    count = 2**29 + 10
    head = field(1, b"ip") + field(2, b"InnerProduct")
    blob_head, blob_tail = varint(5 << 3 | 2) + varint(4 * count), shape_of(2, count // 2)
    blob_size = len(blob_head) + 4 * count + len(blob_tail)
    blob = varint(7 << 3 | 2) + varint(blob_size)
    layer = varint(100 << 3 | 2) + varint(len(head) + len(blob) + blob_size)
    path = tmp_path / "large.caffemodel"
    with open(path, "wb") as file:
        file.write(layer + head + blob + blob_head)
        file.seek(4 * (count - 1), os.SEEK_CUR)
        file.write(np.float32(7).tobytes() + blob_tail)
    (stored,) = read_layers(path)
    array = stored.blobs[0].array
    assert array.shape == (2, count // 2)
    assert (array[0, 0], array[-1, -1]) == (0, 7)


@pytest.mark.parametrize("kind", ["weights", "state"])
def test_a_file_of_more_than_two_gib_is_not_written(kind: str, tmp_path: Path) -> None:
    large, path = np.zeros(2**29, np.float32), tmp_path / "x.caffemodel"  # memory that is never touched
    with pytest.raises(
        WeightsError, match=r"x.caffemodel: 2147483\d+ bytes, .* 2147483647 at most; write HDF5: .*\.h5"
    ):
        if kind == "weights":
            write_layers(path, "net", [StoredLayer("ip", "InnerProduct", {0: StoredBlob(large)})])
        else:
            write_solverstate(path, SolverState(1, [large]))
    assert not list(tmp_path.iterdir())


# --- bytes that mean no good --------------------------------------------------------------------------------------


def nested(depth: int) -> bytes:
    content = b""
    for _ in range(depth):
        content = field(200, content)
    return content


HUGE = varint(2**63 - 1)
HOSTILE: dict[str, Callable[[], bytes]] = {
    "shape of 2**126 numbers": lambda: model_of(field(5, ARRAY.tobytes()) + shape_of(2**63 - 1, 2**63 - 1)),
    "shape whose product wraps to 0": lambda: model_of(shape_of(2**32, 2**32)),
    "shape whose product wraps to 6": lambda: model_of(field(5, ARRAY.tobytes()) + shape_of(2**63 + 3 - 2**63, 2**62)),
    "no numbers in a huge shape": lambda: model_of(shape_of(0, 2**62, 2**62)),
    "negative dims": lambda: model_of(field(5, ARRAY.tobytes()) + shape_of(-2, -3)),
    "33 dims": lambda: model_of(field(5, bytes(4)) + shape_of(*[1] * 33)),
    "a million dims": lambda: model_of(field(7, field(1, HUGE * 800_000))),
    "legacy dims": lambda: model_of(
        b"\x08" + varint(2**31 - 1) + b"\x10" + varint(2**31 - 1) + unpacked("data", ARRAY)
    ),
    "half a number": lambda: model_of(field(5, bytes(7)) + shape_of(2)),
    "half a number, raw": lambda: model_of(raw_blob(ARRAY, "FLOAT")[:-8] + field(12, bytes(23)) + shape_of(2, 3)),
    "a length beyond the end": lambda: varint(100 << 3 | 2) + varint(1000) + b"ip",
    "a length of 2**63": lambda: varint(100 << 3 | 2) + HUGE + b"ip",
    "a number without an end": lambda: b"\xff" * 100,
    "nested 20,000 deep": lambda: field(100, field(143, nested(20_000))) + b"\x00",
    "groups": lambda: b"\x0b" * 100_000,
    "a million empty layers": lambda: field(100, b"") * 1_000_000,
    "a million empty V0 layers": lambda: field(2, field(1, b"")) * 1_000_000,
    "a million empty blobs": lambda: field(100, field(7, b"") * 1_000_000),
    "floats, packed and not, in turn": lambda: model_of((unpacked("data", ARRAY[0, :1]) + field(5, b"")) * 1_000_000),
    "a string of 20 MB": lambda: field(100, field(1, b"a" * 20_000_000)),
    "both formats": lambda: SNAPSHOT + V1,
    "an unknown V0 type": lambda: field(2, field(1, field(1, b"a") + field(2, b"no_such_layer"))),
    "random": lambda: np.random.RandomState(0).bytes(1_000_000),
    "zeros": lambda: bytes(10_000_000),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_bytes(kind: str, tmp_path: Path) -> None:
    path = write(tmp_path, HOSTILE[kind]())
    begin = time.process_time()
    with pytest.raises(WeightsError) as caught:
        read_caffemodel(path)
    assert time.process_time() - begin < 3  # a second on an idle machine
    assert str(caught.value).startswith(f"{path}: ") and len(caught.value.problem) < 400


LIMITED = """
import resource, sys
from pathlib import Path
from caffe_compat.errors import WeightsError
from caffe_compat.weights import read_caffemodel

status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
used = int(status["VmSize"].split()[0]) << 10
resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20),) * 2)
for path in sys.argv[1:]:
    try:
        read_caffemodel(path)
    except WeightsError:
        continue
    sys.exit(f"{path}: no error")
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_hostile_bytes_take_little_memory(tmp_path: Path) -> None:
    """256 MiB are left to the process; the files have up to 20 MB."""
    paths = []
    for number, make in enumerate(HOSTILE.values()):
        paths.append(tmp_path / f"{number}.caffemodel")
        paths[-1].write_bytes(make())
    subprocess.run([sys.executable, "-c", LIMITED, *map(str, paths)], check=True)


def without_permission(*_: object, **__: object) -> None:
    raise PermissionError(13, "Permission denied")


def test_what_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    write(tmp_path, SNAPSHOT)
    for path, problem in (
        (tmp_path / "nowhere", "no such file"),
        (tmp_path, "is a directory, not a file"),
        (tmp_path / "pipe", "not a regular file"),
        (Path("/dev/zero"), "not a regular file"),
        (tmp_path / "x.caffemodel" / "y", "cannot be read: Not a directory"),
        (tmp_path / ("n" * 300), "cannot be read: File name too long"),
    ):
        for read_it in (read_caffemodel, read_solverstate):
            with pytest.raises(WeightsError) as caught:
                read_it(path)
            assert (caught.value.path, caught.value.problem) == (str(path), problem)
    monkeypatch.setattr(builtins, "open", without_permission)
    with pytest.raises(WeightsError, match="no permission to read it"):
        read_caffemodel(tmp_path / "x.caffemodel")


# --- mutations ----------------------------------------------------------------------------------------------------

SEEDS = {
    "v0": v0_model(np.ones((2, 1, 3, 3))),
    "v1": V1,
    "snapshot": SNAPSHOT,
    "half": model_of(raw_blob(ARRAY, "FLOAT16"), raw_blob(ARRAY[0], "DOUBLE")),
    "unpacked": model_of(unpacked("data", ARRAY) + shape_of(2, 3), unpacked("double_data", ARRAY[0]) + shape_of(3)),
}
MUTATIONS = 600


def as_protobuf_reads_it(content: bytes) -> dict[str, list[np.ndarray]]:
    """The blobs by layer as the whole message says; raises what it raises."""
    net = upgrade_net(NetParameter.FromString(content))
    if not net.layer or any(isinstance(text, bytes) for layer in net.layer for text in (layer.name, layer.type)):
        raise ValueError("no layers, or a name that is not UTF-8")
    return {layer.name: [array_of(blob) for blob in layer.blobs] for layer in net.layer if layer.blobs}


def array_of(blob: BlobProto) -> np.ndarray:
    raw = {0: "<f8", 1: "<f4", 2: "<f2"}[blob.raw_data_type]
    numbers = np.array(blob.double_data, np.float64) if blob.double_data else np.array(blob.data, np.float32)
    if blob.HasField("raw_data") and not numbers.size:
        numbers = np.frombuffer(blob.raw_data, raw)
    is_legacy = any(blob.HasField(dim) for dim in ("num", "channels", "height", "width"))
    shape = (blob.num, blob.channels, blob.height, blob.width) if is_legacy else tuple(blob.shape.dim)
    if min(shape, default=0) < 0 or len(shape) > 32:
        raise ValueError("shape")
    return numbers.reshape(shape)


@pytest.mark.parametrize("seed", SEEDS)
def test_mutated_files(seed: str, tmp_path: Path) -> None:
    """Each of 600 is read as protobuf reads it, or refused in a sentence; nothing else ever happens."""
    endings = {"read": 0, "refused": 0, "refused by us alone": 0}
    for content in mutants([SEEDS[seed]], MUTATIONS):
        try:
            expected = as_protobuf_reads_it(content)
        except (DecodeError, PrototxtError, ValueError):
            expected = None
        try:
            found = read(tmp_path, content)
        except WeightsError:
            endings["refused" if expected is None else "refused by us alone"] += 1
            continue
        endings["read"] += 1
        assert expected is not None, content
        assert found.keys() == expected.keys()
        for name, arrays in expected.items():
            for ours, theirs in zip(found[name], arrays, strict=True):
                np.testing.assert_array_equal(ours, theirs)
    assert min(endings["read"], endings["refused"]) > MUTATIONS / 20, endings
    assert endings["refused by us alone"] < MUTATIONS / 20, endings
