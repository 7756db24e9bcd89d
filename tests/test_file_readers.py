"""Every reader of files against files that mean no good: a clear error, soon, in bounded memory, or it reads them.

``-rP`` shows how the mutated files ended.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from file_readers import READERS, image_files
from hostile_files import FIXED, MOST_SECONDS, Endings, Reader, bounded_memory, ending, endings, forbidden

from caffe_compat import Net
from caffe_compat.cli import (
    classify,
    convert_caffemodel,
    convert_labelset,
    estimate_confusion,
    import_cifar10n,
    parse_log,
    test_net,
    train_net,
    upgrade_net_proto,
)
from caffe_compat.data.datum import decode_image
from caffe_compat.data.imageset import ImageFormat, read_image
from caffe_compat.data.jpeg_size import declared_size
from caffe_compat.errors import DataError, PrototxtError

by_name = pytest.mark.parametrize("name", READERS)


pytestmark = pytest.mark.usefixtures("in_this_process")


@pytest.fixture(scope="module")
def table() -> Iterator[dict[str, Endings]]:
    """How the mutated files of each reader ended, printed at the end."""
    rows: dict[str, Endings] = {}
    yield rows
    print(f"\n{'reader':<24} mutated  error   read  slowest ms")
    for name, row in rows.items():
        print(f"{name:<24} {row.refused + row.read:7} {row.refused:6} {row.read:6} {1000 * row.slowest:11.1f}")


@by_name
def test_mutated_files(name: str, tmp_path: Path, table: dict[str, Endings]) -> None:
    reader = READERS[name]
    originals = reader.originals(tmp_path)
    for content in originals:
        (tmp_path / reader.name).write_bytes(content)
        assert ending(reader, tmp_path / reader.name) is None, "the original can be read"
    table[name] = endings(reader, tmp_path, originals)
    assert table[name].read > 0, "no accident went unnoticed: they are too coarse to find anything"
    assert table[name].refused > 0 or reader.takes == frozenset(FIXED)


@by_name
def test_files_that_are_something_else(name: str, tmp_path: Path) -> None:
    reader = READERS[name]
    reader.originals(tmp_path)
    path = tmp_path / reader.name
    for what, content in FIXED.items():
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        start = time.process_time()
        with bounded_memory():
            refused = ending(reader, path) is not None
        assert time.process_time() - start < MOST_SECONDS, what
        assert refused or what in reader.takes, what


@by_name
def test_files_that_are_none(name: str, tmp_path: Path) -> None:
    """Missing, a folder, or forbidden: our error, or the system's that command lines report as wrong input."""
    reader = READERS[name]
    content = reader.originals(tmp_path)[0]
    path = tmp_path / reader.name
    path.unlink(missing_ok=True)
    errors = (*reader.errors, FileNotFoundError, IsADirectoryError, PermissionError)
    if name not in ("group.json", "result.json"):  # which may be missing
        assert_refused(reader, path, errors)
    path.mkdir()
    assert_refused(reader, path, errors)
    with forbidden(content, reader.name, tmp_path) as path:
        assert_refused(reader, path, errors)


def assert_refused(reader: Reader, path: Path, errors: tuple[type[Exception], ...]) -> None:
    with pytest.raises(errors) as caught:
        reader.read(path)
    assert str(path.parent) in str(caught.value) and path.name in str(caught.value)


# --- images -------------------------------------------------------------------------------------------------------


def with_size(content: bytes, height: int, width: int) -> bytes:
    """A JPEG of another size by its header."""
    frame = next(at for at in range(len(content)) if content[at] == 0xFF and content[at + 1] in (0xC0, 0xC2))
    return content[: frame + 5] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + content[frame + 9 :]


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("size", [(16000, 16000), (30000, 30000), (65000, 16), (65500, 65500)])
def test_a_jpeg_that_declares_more_pixels_than_it_has(number: int, size: tuple[int, int]) -> None:
    """libjpeg would fill the rest with grey: 9 seconds and 6 GB for 30000 x 30000."""
    start = time.process_time()
    with bounded_memory(), pytest.raises(DataError, match="cannot hold the pixels that it declares"):
        decode_image(with_size(image_files()[number], *size))
    assert time.process_time() - start < MOST_SECONDS


@pytest.mark.parametrize("options", [[], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]])
@pytest.mark.parametrize("shape", [(700, 900), (700, 900, 3)])
def test_a_picture_of_one_colour_is_no_such_jpeg(options: list[int], shape: tuple[int, ...]) -> None:
    """No picture needs less."""
    flat = np.full(shape, 128, np.uint8)
    content = cv2.imencode(".jpg", flat, [*options, cv2.IMWRITE_JPEG_OPTIMIZE, 1])[1]
    assert declared_size(content.data) == (700, 900)
    assert decode_image(content).shape == shape


def test_a_picture_cannot_be_made_as_large_as_one_likes(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(image_files()[2])
    with bounded_memory(), pytest.raises(DataError, match="x.png: cannot be resized to 60000 x 60000"):
        read_image(tmp_path / "x.png", ImageFormat(size=(60000, 60000)))


# --- huge shapes --------------------------------------------------------------------------------------------------

INPUT = 'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } } '
HUGE = {
    "input_shape": ('input: "x" input_shape { dim: 1099511627776 }', "input", "input_param.shape"),
    "input_dim": ('input: "x" input_dim: 1 input_dim: 3 input_dim: 99999 input_dim: 99999', "input",
                  "input_param.shape"),
    "a negative one": ('input: "x" input_dim: 1 input_dim: 3 input_dim: -1 input_dim: -1', "input",
                       "input_param.shape"),
    "num_output": (INPUT + 'layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { '
                   'num_output: 2147483648 } }', "ip", "blobs[0]"),
    "filters": (INPUT + 'layer { name: "conv" type: "Convolution" bottom: "x" top: "y" convolution_param { '
                'num_output: 1073741824 kernel_size: 3 } }', "conv", "blobs[0]"),
    "DummyData": ('layer { name: "d" type: "DummyData" top: "y" dummy_data_param { shape { dim: 65536 dim: 65536 } } }',
                  "d", "dummy_data_param.shape"),
    "old DummyData": ('layer { name: "d" type: "DummyData" top: "y" dummy_data_param { num: 4294967295 channels: 1 '
                      'height: 1 width: 1 } }', "d", "dummy_data_param.num"),
    "Parameter": ('layer { name: "p" type: "Parameter" top: "y" parameter_param { shape { dim: 4611686018427387904 dim:'
                  ' 4 } } }', "p", "parameter_param.shape"),
    "MemoryData": ('layer { name: "m" type: "MemoryData" top: "y" top: "z" memory_data_param { batch_size: 4294967295 '
                   'channels: 1 height: 1 width: 1 } }', "m", "top[0]"),
    "Tile": (INPUT + 'layer { name: "t" type: "Tile" bottom: "x" top: "y" tile_param { tiles: 2147483647 } }', "t",
             "top[0]"),
    "ImageData": ('layer { name: "i" type: "ImageData" top: "y" top: "z" image_data_param { source: "none" batch_size: '
                  '1 new_height: 65536 new_width: 65536 } }', "i", "image_data_param.new_height"),
    "WindowData": ('layer { name: "w" type: "WindowData" top: "y" top: "z" window_data_param { source: "none" '
                   'batch_size: 1 } transform_param { crop_size: 65536 } }', "w", "transform_param.crop_size"),
}  # fmt: skip


@pytest.mark.parametrize("case", HUGE)
def test_a_blob_that_caffe_cannot_count(case: str) -> None:
    text, layer, field = HUGE[case]
    start = time.process_time()
    with bounded_memory(), pytest.raises(PrototxtError, match="blob") as caught:
        Net(text)
    assert (caught.value.layer, caught.value.field) == (layer, field)
    assert time.process_time() - start < MOST_SECONDS


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('layer { name: "x" type: "DummyData" top: "y" dummy_data_param { shape { dim: 400000000 } } }',
         "dummy_data_param.shape"),
        ('layer { name: "x" type: "Parameter" top: "y" parameter_param { shape { dim: 400000000 } } }', "blobs[0]"),
    ],
)  # fmt: skip
def test_a_blob_that_there_is_no_memory_for(text: str, field: str) -> None:
    with bounded_memory(), pytest.raises(PrototxtError, match=r"no memory for a blob of shape 400000000 ") as caught:
        Net(text)
    assert (caught.value.layer, caught.value.field) == ("x", field)


def test_a_pyramid_without_a_top() -> None:
    text = INPUT + 'layer { name: "s" type: "SPP" bottom: "x" top: "y" spp_param { pyramid_height: 4294967295 } }'
    with pytest.raises(PrototxtError) as caught:
        Net(text)
    assert caught.value.layer == "s"


# --- command lines ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        (train_net.main, ["--solver", "BAD"]),
        (test_net.main, ["--model", "BAD", "--weights", "BAD"]),
        (upgrade_net_proto.main, ["BAD", "OUT"]),
        (upgrade_net_proto.main, ["--solver", "BAD", "OUT"]),
        (convert_caffemodel.main, ["BAD", "OUT.pt"]),
        (convert_caffemodel.main, ["BAD.npy", "OUT.binaryproto"]),
        (convert_labelset.main, ["BAD", "OUT"]),
        (estimate_confusion.main, ["BAD", "--num_classes", "3", "--out", "OUT"]),
        (parse_log.main, ["BAD", "."]),
        (classify.main, ["BAD", "--model_def", "BAD", "--pretrained_model", "BAD"]),
        (import_cifar10n.main, ["cifar", "OUT"]),
    ],
)
@pytest.mark.parametrize("what", ["random", "brackets", "wrong magic", "empty"])
def test_command_lines_end_with_one_message(main, arguments, what, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("BAD", "BAD.npy", "cifar/train.csv"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(FIXED[what])
    if what == "empty" and main is upgrade_net_proto.main:
        pytest.skip("an empty text is an empty net")
    assert main(arguments) == 2
    printed = capsys.readouterr().err.rstrip().splitlines()
    assert any(name in printed[-1] for name in ("BAD", "cifar")) and "Traceback" not in "".join(printed)
    assert not list(tmp_path.glob("*OUT*"))
