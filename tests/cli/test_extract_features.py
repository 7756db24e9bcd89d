"""extract_features: the databases hold what a net built by hand gives for the same images."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from caffe_logs import messages
from databases import records

from caffe_compat import Net
from caffe_compat.cli.extract_features import main
from caffe_compat.data.database import open_database
from caffe_compat.proto.caffe_pb2 import Datum
from caffe_compat.weights import read_blobproto_file

WEIGHTS, NET = "snap_BINARYPROTO_iter_30.caffemodel", "train_val.prototxt"
TEST_IMAGES = 32


def datums(path: str) -> dict[bytes, Datum]:
    return {key: Datum.FromString(value) for key, value in records(path).items()}


def expected(blob: str) -> np.ndarray:
    """A blob for the test images, which are read, resized and centred without our data code."""
    mean = read_blobproto_file("mean.binaryproto").reshape(3, 16, 16)
    lines = [line.rpartition(" ")[0] for line in Path("test.txt").read_text().splitlines()]
    images = [cv2.resize(cv2.imread(f"images/{name}"), (16, 16)).transpose(2, 0, 1) for name in lines]
    text = Path(NET).read_text()
    deploy = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 32 dim: 3 dim: 16 dim: 16 } } }'
    body = "layer" + text.split("layer", 3)[3].split('layer { name: "loss"')[0]
    net = Net(deploy + body, "TEST", WEIGHTS)
    with torch.no_grad():
        net(data=torch.from_numpy((np.stack(images) - mean).astype(np.float32) * 0.0078125))
    return net.blobs[blob].numpy()


@pytest.fixture
def with_images(golden_run: Path) -> None:
    Path("images").symlink_to(golden_run / "images")


def test_blobs_go_to_databases(with_images: None, capfd: pytest.CaptureFixture[str]) -> None:
    """Blobs of 4, 2, 1 and 0 axes, and one that an in-place layer wrote over, in one pass."""
    assert main([WEIGHTS, NET, "pool1,ip1,label,loss", "pool,scores,labels,losses", "2", "lmdb"]) == 0
    lines = messages(capfd.readouterr().err)
    for blob, database, shape in (("pool1", "pool", (8, 7, 7)), ("ip1", "scores", (4, 1, 1))):
        found, wanted = datums(database), expected(blob)
        assert list(found) == [b"%010d" % n for n in range(TEST_IMAGES)]
        for datum, item in zip(found.values(), wanted, strict=True):
            assert (datum.channels, datum.height, datum.width) == shape
            assert not datum.data and not datum.HasField("label") and not datum.encoded
            assert np.abs(np.array(datum.float_data) - item.ravel()).max() < 1e-5 * np.abs(wanted).max()
    labels = [int(line.rpartition(" ")[2]) for line in Path("test.txt").read_text().splitlines()]
    assert [list(datum.float_data) for datum in datums("labels").values()] == [[label] for label in labels]
    losses = [datum.float_data[0] for datum in datums("losses").values()]
    assert losses == pytest.approx([3.83077e-05, 0.00621545], rel=1e-3)  # real Caffe's, from test.log
    assert lines[0] == "Using CPU" and lines[-1] == "Successfully extracted the features!"
    begin = lines.index("Opening dataset pool")
    assert lines[begin + 4] == "Extracting Features"
    assert "Extracted features of 32 query images for feature blob ip1" in lines[begin:]


def test_both_kinds_of_database_get_the_same(golden_run: Path) -> None:
    pytest.importorskip("plyvel")
    for backend in ("lmdb", "leveldb"):
        assert main([WEIGHTS, NET, "ip1", f"features_{backend}", "2", backend]) == 0
    lmdb, leveldb = (open_database(f"features_{backend}", backend) for backend in ("lmdb", "leveldb"))
    assert lmdb.read_all(range(len(lmdb))) == leveldb.read_all(range(len(leveldb)))


def test_a_line_every_thousand_items(golden_run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([WEIGHTS, NET, "label", "labels", "126", "lmdb", "CPU"]) == 0
    progress = [line for line in messages(capfd.readouterr().err) if line.startswith("Extracted")]
    assert [int(line.split()[3]) for line in progress] == [1000, 2000, 126 * 16]


def test_input_blobs_are_zeros(golden_run: Path) -> None:
    """As Caffe's tool has them."""
    Path("deploy.prototxt").write_text("""
        layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
        layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip"
                inner_product_param { num_output: 1 bias_filler { value: 7 } } }
    """)
    assert main([WEIGHTS, "deploy.prototxt", "ip", "a", "2", "lmdb"]) == 0
    assert [list(datum.float_data) for datum in datums("a").values()] == [[7]] * 4


@pytest.mark.parametrize(
    "gpus, number, message",
    [
        (0, "0", "mode GPU: no CUDA device can be used here (write CPU instead)"),
        (2, "2", "device_id: expected a GPU's number below 2, got 2"),
    ],
)
def test_gpus_that_are_not_there(
    gpus: int, number: str, message: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert main([WEIGHTS, NET, "ip1", "a", "1", "lmdb", "GPU", number]) == 2
    assert capfd.readouterr().err.splitlines()[-1] == message


@pytest.mark.parametrize(
    "argv, message",
    [
        ([WEIGHTS, NET, "ip2", "a", "1", "lmdb"], f"{NET}: Unknown feature blob name ip2 in the network; known: data,"),
        ([WEIGHTS, NET, "ip1", "a,b", "1", "lmdb"], "expected as many databases as blobs (1), got 2"),
        ([WEIGHTS, NET, "ip1,pool1", "a,a", "1", "lmdb"], "a database is named twice"),
        ([WEIGHTS, NET, "ip1,", "a,b", "1", "lmdb"], "expected names separated by ',', got 'ip1,'"),
        ([WEIGHTS, NET, "ip1", "train_lmdb", "1", "lmdb"], "train_lmdb: exists already"),
        ([WEIGHTS, NET, "ip1", "a", "0", "lmdb"], "expected a number above 0, got 0"),
        ([WEIGHTS, NET, "ip1", "a", "1", "sqlite"], "sqlite"),
        ([WEIGHTS, NET, "ip1"], "required"),
    ],
)
def test_wrong_input(argv: list[str], message: str, golden_run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    assert message in capfd.readouterr().err.splitlines()[-1]
    assert not Path("a").exists() and not Path("b").exists()
