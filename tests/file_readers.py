"""Every reader of a file but those of databases and of ``.caffemodel`` files, which have tests of their own."""

from __future__ import annotations

import functools
import io
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import cv2
import h5py
import numpy as np
import torch
from google.protobuf import text_format
from hostile_files import FIXED, Reader
from tiny_datasets import Python2Pickler, write_clothing1m, write_human_labels

from caffe_compat import Net
from caffe_compat.data.datum import decode_datum, encode_datum, encoded_datum, label_datum, parse_datum
from caffe_compat.data.group import Group, read_group, write_group
from caffe_compat.data.hdf5 import Hdf5Batches, inspect, read_file_list
from caffe_compat.data.image_list import read_list
from caffe_compat.data.imageset import ImageFormat, read_image
from caffe_compat.data.reading_order import load_index
from caffe_compat.data.window_batches import Crop, WindowBatches
from caffe_compat.data.window_file import read_window_file
from caffe_compat.datasets.cifar10n import csv_layout, pickle_layout
from caffe_compat.datasets.class_names import read_names
from caffe_compat.datasets.clothing1m.lists import read_lists
from caffe_compat.datasets.pairs import count_pairs_in, read_noise_types, read_noisy_labels
from caffe_compat.evaluation.classification import load_image, read_images
from caffe_compat.evaluation.experiments.results import read_result
from caffe_compat.evaluation.label_quality.decisions import read_decisions
from caffe_compat.layers.fillers import fill
from caffe_compat.layers.transformation import read_mean as read_layer_mean
from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt import filter_net, insert_splits, read_net, read_solver
from caffe_compat.pycaffe import io as pycaffe_io
from caffe_compat.solver.log_parser import join_resumed, parse_log, table
from caffe_compat.weights import (
    SolverState,
    StoredBlob,
    StoredLayer,
    read_layers,
    read_solverstate,
    write_blobproto_file,
    write_layers,
    write_solverstate,
)
from caffe_compat.weights.caffemodel import read_net_message, upgrade_net_message
from caffe_compat.weights.means import read_mean

GOLDEN = Path(__file__).parent / "golden"
REPOSITORY = Path(__file__).parents[1]
Originals = Callable[[Path], Sequence[bytes]]


# --- nets and solvers ---------------------------------------------------------------------------------------------

CURRENT = """
name: "small" force_backward: true
layer { name: "in" type: "Input" top: "data" top: "label" input_param {
  shape { dim: 2 dim: 3 dim: 8 dim: 6 } shape { dim: 2 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 1 decay_mult: 0.5 }
  convolution_param { num_output: 4 kernel_size: 3 stride: 2 pad: 1 weight_filler { type: "gaussian" std: 0.01 } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }  # in place
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "ip" type: "InnerProduct" bottom: "pool" top: "ip" inner_product_param { num_output: 5 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" loss_weight: 2
  include { phase: TEST } }
"""
SHAPES = """
input: "data" input_shape { dim: 2 dim: 3 dim: 4 }
layer { name: "dummy" type: "DummyData" top: "d" dummy_data_param { shape { dim: 2 dim: 3 dim: 4 }
  data_filler { type: "xavier" } } }
layer { name: "sum" type: "Eltwise" bottom: "data" bottom: "d" top: "sum" eltwise_param { coeff: -1 coeff: 2 } }
layer { name: "slice" type: "Slice" bottom: "sum" top: "a" top: "b" slice_param { axis: 1 slice_point: 1 } }
layer { name: "concat" type: "Concat" bottom: "a" bottom: "b" top: "c" concat_param { axis: -2 } }
layer { name: "reshape" type: "Reshape" bottom: "c" top: "r" reshape_param { shape { dim: 0 dim: -1 } } }
layer { name: "tile" type: "Tile" bottom: "r" top: "t" tile_param { axis: 1 tiles: 3 } }
layer { name: "norm" type: "BatchNorm" bottom: "t" top: "t" }
layer { name: "scale" type: "Scale" bottom: "t" top: "s" scale_param { bias_term: true } }
layer { name: "drop" type: "Dropout" bottom: "s" top: "s" dropout_param { dropout_ratio: 0.4 } }
layer { name: "embed" type: "Embed" bottom: "d" top: "e" embed_param { input_dim: 7 num_output: 3 } }
layer { name: "reduce" type: "Reduction" bottom: "e" top: "f" reduction_param { axis: 1 operation: MEAN } }
layer { name: "param" type: "Parameter" top: "p" parameter_param { shape { dim: 3 } } }
layer { name: "argmax" type: "ArgMax" bottom: "s" top: "m" argmax_param { top_k: 2 axis: 1 } }
"""
OTHERS = """
input: "data" input_dim: 1 input_dim: 3 input_dim: 6 input_dim: 6
layer { name: "lrn" type: "LRN" bottom: "data" top: "lrn" lrn_param { local_size: 3 alpha: 0.1 } }
layer { name: "up" type: "Deconvolution" bottom: "lrn" top: "up" convolution_param { num_output: 3 group: 3
  kernel_size: 4 stride: 2 weight_filler { type: "bilinear" } bias_term: false } }
layer { name: "crop" type: "Crop" bottom: "up" bottom: "data" top: "crop" crop_param { axis: 2 offset: 1 } }
layer { name: "cols" type: "Im2col" bottom: "crop" top: "cols" convolution_param { kernel_size: 2 dilation: 2 } }
layer { name: "spp" type: "SPP" bottom: "crop" top: "spp" spp_param { pyramid_height: 2 } }
layer { name: "power" type: "Power" bottom: "spp" top: "power" power_param { power: 2 shift: 1 } }
layer { name: "flat" type: "Flatten" bottom: "power" top: "flat" flatten_param { axis: 1 end_axis: -1 } }
layer { name: "prelu" type: "PReLU" bottom: "crop" top: "prelu" prelu_param { filler { value: 0.1 } } }
layer { name: "mem" type: "MemoryData" top: "m" top: "l" memory_data_param { batch_size: 2 channels: 1 height: 3
  width: 4 } transform_param { mean_value: 3 crop_size: 2 } }
layer { name: "sink" type: "Silence" bottom: "l" }
"""
V1 = """
input: "data" input_dim: 1 input_dim: 3 input_dim: 5 input_dim: 5
layers { name: "conv" type: CONVOLUTION bottom: "data" top: "conv" blobs_lr: 1 blobs_lr: 2 weight_decay: 1
  convolution_param { num_output: 2 kernel_size: 3 } param: "shared" blob_share_mode: STRICT }
layers { name: "ip" type: INNER_PRODUCT bottom: "conv" top: "ip" inner_product_param { num_output: 2 } }
"""
V0 = """
input: "data" input_dim: 1 input_dim: 3 input_dim: 5 input_dim: 5
layers { layer { name: "pad" type: "padding" pad: 1 } bottom: "data" top: "padded" }
layers { layer { name: "conv" type: "conv" num_output: 2 kernelsize: 3 blobs_lr: 1. } bottom: "padded" top: "conv" }
"""
SOLVER = """
net_param { layer { name: "x" type: "Input" top: "x" } } test_iter: 3 test_interval: 100
base_lr: 0.001 lr_policy: "multistep" stepvalue: 5 stepvalue: 90 gamma: 1e-1 momentum: 0.9 weight_decay: 5e-4
regularization_type: "L2" display: 20 max_iter: 1000 snapshot: 500 snapshot_prefix: "snap" solver_mode: CPU
solver_type: NESTEROV train_state { level: 2 stage: "a" } random_seed: 17
"""
NETS = tuple(text.encode() for text in (CURRENT, SHAPES, OTHERS, V1, V0))


def read_filtered_net(path: Path) -> None:
    net, name = read_net(path)
    insert_splits(filter_net(net, caffe_pb2.NetState(phase=caffe_pb2.TEST), name), name)


def binary_nets(folder: Path) -> list[bytes]:
    return [text_format.Parse(text, caffe_pb2.NetParameter()).SerializeToString() for text in NETS]


# --- arrays -------------------------------------------------------------------------------------------------------

IMAGE = np.arange(3 * 4 * 5, dtype=np.float32).reshape(1, 3, 4, 5)
CONFUSION = np.array([[0, 0.5, 0.2], [0.3, 0, 0.8], [0.7, 0.5, 0]], np.float32)
LAYERS = [
    StoredLayer("conv", "Convolution", {0: StoredBlob(IMAGE), 1: StoredBlob(IMAGE[0, 0, 0])}),
    StoredLayer("scale", "Scale", {0: StoredBlob(CONFUSION[0])}),
]
STATE = SolverState(10, [IMAGE, CONFUSION[0]], "net_iter_10.caffemodel", 1)


def written(write: Callable[..., object], *content: object, name: str = "file") -> Originals:
    """What ``write(path, *content)`` writes."""

    def originals(folder: Path) -> list[bytes]:
        write(folder / name, *content)
        return [(folder / name).read_bytes()]

    return originals


def npy(*arrays: np.ndarray) -> Originals:
    def originals(folder: Path) -> list[bytes]:
        files = [io.BytesIO() for _ in arrays]
        for file, array in zip(files, arrays, strict=True):
            np.save(file, array)
        return [file.getvalue() for file in files]

    return originals


def fill_with(path: Path) -> None:
    fill(torch.empty(1, 1, 3, 3), caffe_pb2.FillerParameter(type="blob_proto", source=str(path)))


# --- images -------------------------------------------------------------------------------------------------------

PICTURE = np.random.default_rng(0).integers(0, 256, (12, 16, 3)).astype(np.uint8)


@functools.cache
def image_files() -> tuple[bytes, ...]:
    """One picture as every kind of file that people have."""
    kinds = [(".jpg", []), (".jpg", [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]), (".png", []), (".bmp", []), (".tiff", []),
             (".webp", []), (".ppm", []), (".gif", [])]  # fmt: skip
    return tuple(cv2.imencode(kind, PICTURE, options)[1].tobytes() for kind, options in kinds)


def datums(folder: Path) -> list[bytes]:
    image = PICTURE.transpose(2, 0, 1)
    messages = [encode_datum(image, 3), encode_datum(image.astype(float)), label_datum(2)]
    messages += [encoded_datum(content, 1) for content in image_files()[:3]]
    return [message.SerializeToString() for message in messages]


def read_datum(path: Path) -> None:
    decode_datum(parse_datum(path.read_bytes()))


# --- lists --------------------------------------------------------------------------------------------------------


def image_list(folder: Path) -> list[bytes]:
    for number in range(3):
        (folder / f"image {number}.png").write_bytes(image_files()[2])
    return [b"image 0.png 3\nimage 1.png 0\nimage 2.png -1\n"]


def build_image_data(path: Path) -> None:
    net = Net(
        f'layer {{ name: "d" type: "ImageData" top: "data" top: "label" image_data_param {{ source: "{path}" '
        f'root_folder: "{path.parent}/" batch_size: 3 }} }}'
    )
    net()


def hdf5_list(folder: Path) -> list[bytes]:
    for number in range(2):
        with h5py.File(folder / f"part{number}.h5", "w") as file:
            file["data"] = IMAGE[0] + number
    return [f"{folder}/part0.h5\n{folder}/part1.h5\n".encode()]


def read_hdf5_rows(path: Path) -> None:
    files = [inspect(file, place, ["data"]) for file, place in read_file_list(str(path))]
    Hdf5Batches(files, ["data"], 5)[0]


def windows(folder: Path) -> list[bytes]:
    for number in range(2):
        (folder / f"{number}.png").write_bytes(image_files()[2])
    first = "# 0\n0.png\n3\n12\n16\n2\n1 0.9 0 0 3 3\n0 0.1 4 5 9 9\n"
    return [f"{first}# 1\n1.png\n3\n12\n16\n1\n2 0.7 2 2 15 11\n".encode(), first.encode()]


def read_windows(path: Path) -> None:
    found = read_window_file(str(path), 0.5, 0.5)
    for pad, square in ((0, False), (1, True)):
        crop = Crop(size=8, context_pad=pad, square=square, mirror=True, scale=1, mean=None)
        WindowBatches(found, f"{path.parent}/", crop, 4, 2, (1, 2))[0]


PAIRS = b'key,clean,noisy\na.jpg,0,1\n"b,c.jpg",2,2\n"d ""e"".jpg",1,0\n'
NOISE_TYPES = b"key,noise_type\na.jpg,0\nb.jpg,2\nc.jpg,1\n"
DECISIONS = b"key,noisy,suggested,decision,p_wrong\na.jpg,0,1,1,0.9\nb.jpg,2,0,airplane,0.8\nc.jpg,1,0,,0.7\n"
NAMES = "airplane\nautomobile\ncaf\u00e9\n".encode()


def lists_with_decisions(folder: Path) -> list[bytes]:
    (folder / "names.txt").write_bytes(NAMES)
    return [DECISIONS, DECISIONS.replace(b",", b";")]


def clothing_reader(name: str) -> Reader:
    """The whole folder is read, of which the file called ``name`` is bad."""

    def originals(folder: Path) -> list[bytes]:
        write_clothing1m(folder / "root")
        for each in (folder / "root").glob("*.txt"):
            each.rename(folder / each.name)
        return [(folder / name).read_bytes()]

    return Reader(originals, lambda path: read_lists(path.parent), name, count=500, takes=frozenset(FIXED))


# --- data sets ----------------------------------------------------------------------------------------------------


def cifar_batches(folder: Path) -> list[bytes]:
    content = {b"labels": [3, 1], b"data": np.zeros((2, 3072), np.uint8), b"filenames": [b"0.png", b"1.png"]}
    old = io.BytesIO()
    Python2Pickler(old, 2).dump(content)
    return [old.getvalue(), pickle.dumps(content, 4)]


def human_labels(folder: Path) -> list[bytes]:
    labels = {name: np.array([1, 2, 3]) for name in ("clean", "worse", "aggre", "random1", "random2", "random3")}
    for zipped in (False, True):
        write_human_labels(folder / str(zipped), labels, zipped)
    return [(folder / str(zipped)).read_bytes() for zipped in (False, True)]


CIFAR_CSV = b"file,clean,worse\n0.jpg,1,2\n1.jpg,9,0\n2.jpg,3,3\n"


# --- logs and results ---------------------------------------------------------------------------------------------


def logs(folder: Path) -> list[bytes]:
    lines = (GOLDEN / "run" / "train_BINARYPROTO.log").read_bytes().splitlines(keepends=True)
    telling = [line for line in lines if b"olver" in line.split(b"]")[0]]
    old = [b"I" + line[5:] for line in telling]  # without the year
    return [b"".join(telling[:40]), b"".join(old[:40])]


def read_log(path: Path) -> None:
    for run in join_resumed(parse_log(path)):
        table(run.train)


def result(folder: Path) -> list[bytes]:
    return [(REPOSITORY / "docs/results/cifar10n/seed_1/glc.json").read_bytes()]


READERS = {
    "net": Reader(lambda folder: NETS, read_filtered_net, takes=frozenset({"empty"})),
    "net, built": Reader(lambda folder: NETS, Net, count=700, takes=frozenset({"empty"})),
    "solver": Reader(lambda folder: [SOLVER.encode()], read_solver, takes=frozenset({"empty"})),
    "net, binary": Reader(binary_nets, lambda path: upgrade_net_message(read_net_message(path)[0], path)),
    "mean.binaryproto": Reader(written(write_blobproto_file, IMAGE), read_mean),
    "mean_file": Reader(written(write_blobproto_file, IMAGE), lambda path: read_layer_mean(str(path))),
    "confusion.binaryproto": Reader(written(write_blobproto_file, CONFUSION[None, None]), fill_with),
    "mean.npy": Reader(npy(IMAGE, IMAGE[0].astype(int)), read_mean, "file.npy"),
    "images.npy": Reader(npy(IMAGE), lambda path: read_images(path, "jpg", 3), "file.npy"),
    "index.npy": Reader(npy(np.arange(9)), lambda path: load_index(path, 9)),
    "group.json": Reader(written(write_group, Group("mixed", 9, "0" * 64)), read_group),
    "solverstate": Reader(written(write_solverstate, STATE), read_solverstate),
    "solverstate.h5": Reader(written(write_solverstate, STATE, name="x.h5"), read_solverstate),
    "state dict .pt": Reader(written(write_layers, "net", LAYERS, name="x.pt"), read_layers, "file.pt"),
    ".safetensors": Reader(written(write_layers, "net", LAYERS, name="x.safetensors"), read_layers, "x.safetensors"),
    "image": Reader(lambda folder: image_files(), lambda path: read_image(path, ImageFormat(size=(5, 4)))),
    "image, classified": Reader(lambda folder: image_files(), load_image),
    "image, pycaffe": Reader(lambda folder: image_files(), pycaffe_io.load_image),
    "Datum": Reader(datums, read_datum, names_file=False),
    "image list": Reader(image_list, read_list),
    "ImageData": Reader(image_list, build_image_data, count=400),
    "HDF5Data": Reader(hdf5_list, read_hdf5_rows),
    "window file": Reader(windows, read_windows),
    "pairs.csv, counted": Reader(lambda folder: [PAIRS], lambda path: count_pairs_in(path, 3)),
    "pairs.csv": Reader(lambda folder: [PAIRS], read_noisy_labels),
    "noise_types.csv": Reader(lambda folder: [NOISE_TYPES], read_noise_types),
    "class names": Reader(lambda folder: [NAMES], lambda path: read_names(path, 3)),
    "decisions": Reader(lists_with_decisions, lambda path: read_decisions([path])),
    "Clothing1M keys": clothing_reader("clean_val_key_list.txt"),
    "Clothing1M labels": clothing_reader("noisy_label_kv.txt"),
    "CIFAR batch": Reader(cifar_batches, pickle_layout._read_batch),
    "CIFAR-10N labels": Reader(human_labels, lambda path: pickle_layout._human_labels(path, "worse", np.arange(1, 4))),
    "CIFAR lists": Reader(lambda folder: [CIFAR_CSV], lambda path: csv_layout._label_column(path, "worse")),
    "log": Reader(logs, read_log, takes=frozenset(FIXED)),
    "result.json": Reader(result, lambda path: read_result(cast(Any, SimpleNamespace(result_file=path)))),
}
