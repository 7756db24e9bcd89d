"""The nets and solvers of prototxt/ for another data folder: its paths, its classes, its numbers of test images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from caffe_compat.data.datum import decode_datum, parse_datum
from caffe_compat.data.lmdb_store import LmdbReader
from caffe_compat.datasets import layout
from caffe_compat.datasets.class_names import read_names
from caffe_compat.errors import DataError, expected_got
from caffe_compat.evaluation.experiments import edits
from caffe_compat.evaluation.experiments.jobs import replace_root
from caffe_compat.files import atomic_directory
from caffe_compat.proto import caffe_pb2
from caffe_compat.proto.caffe_pb2 import NetParameter, SolverParameter
from caffe_compat.prototxt import read_net, read_solver, to_text
from caffe_compat.repository import REPOSITORY

NETS = ("clean", "ntype", "noisy_as_truth", "bottom_up", "ours")
LARGEST_BATCH, SMALLEST_BATCH = 100, 20


@dataclass(frozen=True)
class Model:
    """Nets that can be made for other data.

    Attributes:
        folder: of their prototxts, from the repository root.
        data_root: the data folder that they name.
        classes: outputs of their last layer; no other layer has as many.
        about: for people.
    """

    folder: str
    data_root: str
    classes: int
    about: str


MODELS = {
    "demo": Model("prototxt/demo", "data/demo", 14, "small, for images of about 64 x 64, crops of 56, mirrored"),
    "cifar10": Model("prototxt/cifar10", "data/cifar10n", 10, "Caffe's cifar10_quick, for images of about 32 x 32"),
    "caffenet": Model("prototxt", "data/clothing1m", 14, "two CaffeNets, for images of 256 x 256, crops of 227"),
}


def write_nets(data: Path, out: Path, model: Model) -> None:
    """Write the five nets and their solvers into ``out``, which appears whole.

    A test pass reads every test image once, or leaves out fewer than a batch; with ``val_lmdb`` there is a second test
    net, on the validation images.

    Raises: DataError if ``out`` exists, ``data`` lacks a database, or its images are smaller than the nets' crops.
    """
    folder = _DataFolder(data)
    if out.exists():
        raise DataError("exists already; remove it or give another name", path=str(out))
    with atomic_directory(out) as part:
        for name in NETS:
            solver, net = _messages(model, name)
            _fit(solver, net, folder, model)
            solver.net = str(out / f"{name}_train_val.prototxt")
            for message, kind in ((net, "train_val"), (solver, "solver")):
                source = f"{model.folder}/{name}_{kind}.prototxt"
                (part / f"{name}_{kind}.prototxt").write_text(f"# {source} for {data}\n{to_text(message)}")


def _messages(model: Model, name: str) -> tuple[SolverParameter, NetParameter]:
    solver, _ = read_solver(REPOSITORY / model.folder / f"{name}_solver.prototxt")
    net, _ = read_net(REPOSITORY / solver.net)
    return solver, net


def _fit(solver: SolverParameter, net: NetParameter, folder: _DataFolder, model: Model) -> None:
    for message in (solver, net):
        replace_root(message, model.data_root, str(folder.path))
    for layer in net.layer:
        if layer.inner_product_param.num_output == model.classes:
            layer.inner_product_param.num_output = folder.classes
        if layer.data_param.index and not folder.has(layout.MIXED_INDEX):  # written in reading order (--materialise)
            layer.data_param.ClearField("index")
        crop = layer.transform_param.crop_size
        if crop > min(folder.size):
            wanted = f"images of at least {crop} x {crop}, which its nets crop"
            raise DataError(expected_got(wanted, "{} x {}".format(*folder.size)), path=str(folder.path))
    _fit_tests(solver, net, folder)


def _fit_tests(solver: SolverParameter, net: NetParameter, folder: _DataFolder) -> None:
    """Test on what the folder has: test images and validation images, those of p(z|x) on held-out noise types."""
    (layer,) = edits.data_layers(net, caffe_pb2.TEST)
    if Path(layer.data_param.source).name == layout.NTYPE_VAL:
        layer.data_param.batch_size, solver.test_iter[0] = folder.batches(layout.NTYPE_VAL)
    elif folder.has(layout.VAL):
        edits.test_on(validation=folder.batches(layout.VAL), test=folder.batches(layout.TEST))(solver, net)
    else:
        layer.data_param.source = str(folder.path / layout.TEST)
        layer.data_param.batch_size, solver.test_iter[0] = folder.batches(layout.TEST)


class _DataFolder:
    """What nets have to fit. Raises: DataError or FileNotFoundError for a folder that is none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not (path / layout.MIXED_IMAGES).exists():
            raise DataError(
                f"expected a data folder, as the import tools make; no {layout.MIXED_IMAGES} there", path=str(path)
            )
        self.classes = len(read_names(path / layout.NAMES))
        self.size = decode_datum(parse_datum(LmdbReader(path / layout.MIXED_IMAGES).read(0))).shape[1:]

    def has(self, name: str) -> bool:
        return (self.path / name).exists()

    def batches(self, name: str) -> tuple[int, int]:
        """Batch size and batches that read the database once; where no batch size does, all but fewer than a batch."""
        count = len(LmdbReader(self.path / name))
        whole = [size for size in range(SMALLEST_BATCH, LARGEST_BATCH + 1) if count % size == 0]
        size = max(whole, default=min(count, LARGEST_BATCH))
        return size, count // size
