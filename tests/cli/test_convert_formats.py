"""convert_caffemodel between formats: Caffe's, PyTorch's, means; the weights of the reference CaffeNet."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch

from caffe_compat import Net
from caffe_compat.cli.convert_caffemodel import main
from caffe_compat.proto.caffe_pb2 import NetParameter, V1LayerParameter
from caffe_compat.weights import read_blobproto_file, read_caffemodel, write_blob, write_blobproto_file

ROOT = Path(__file__).parents[2]
SNAPSHOT = ROOT / "tests/golden/run/snap_BINARYPROTO_iter_10.caffemodel"
FORMATS = ("caffemodel", "caffemodel.h5", "pt", "safetensors")

# bvlc_reference_caffenet.caffemodel, 244 MB: the shapes of today.
CAFFENET = {
    "conv1": (96, 3, 11, 11),
    "conv2": (256, 48, 5, 5),
    "conv3": (384, 256, 3, 3),
    "conv4": (384, 192, 3, 3),
    "conv5": (256, 192, 3, 3),
    "fc6": (4096, 9216),
    "fc7": (4096, 4096),
    "fc8": (1000, 4096),
}


def run(*argv: object) -> int:
    return main([str(arg) for arg in argv])


def fails(capsys: pytest.CaptureFixture[str], *argv: object) -> str:
    """The message of a call that must end with exit code 2 and write nothing."""
    folder = Path(str(argv[-1])).parent
    before = sorted(folder.iterdir())
    assert run(*argv) == 2
    assert sorted(folder.iterdir()) == before
    return capsys.readouterr().err.strip()


def write_reference_caffenet(path: Path, divisor: int) -> dict[str, list[np.ndarray]]:
    """A file as that one is (V1 layers, legacy blobs); returns the arrays in the shapes of today."""
    random, net, arrays = np.random.RandomState(0), NetParameter(name="CaffeNet"), {}
    net.layers.add(name="data", type=V1LayerParameter.DATA, top=["data", "label"])
    for name, shape in CAFFENET.items():
        small = tuple(size // divisor if size >= 48 else size for size in shape)
        arrays[name] = [random.randn(*small).astype(np.float32), random.randn(small[0]).astype(np.float32)]
        is_convolution = name.startswith("conv")
        layer = net.layers.add(name=name, bottom=["x"], top=[name], blobs_lr=[1, 2], weight_decay=[1, 0])
        layer.type = V1LayerParameter.CONVOLUTION if is_convolution else V1LayerParameter.INNER_PRODUCT
        layer.blobs.extend(write_blob(array, legacy=True) for array in arrays[name])
        net.layers.add(name=f"relu_{name}", type=V1LayerParameter.RELU, bottom=[name], top=[name])
    fc6 = next(layer for layer in net.layers if layer.name == "fc6").blobs
    assert [(b.num, b.channels, b.height, b.width) for b in fc6] == [
        (1, 1, 4096 // divisor, 9216 // divisor),
        (1, 1, 1, 4096 // divisor),
    ]
    path.write_bytes(net.SerializeToString())
    return arrays


def test_the_reference_caffenet_becomes_a_state_dict(tmp_path: Path) -> None:
    """With a 16th of its width; the whole of it takes half a minute."""
    arrays = write_reference_caffenet(tmp_path / "bvlc_reference_caffenet.caffemodel", 16)
    assert run(tmp_path / "bvlc_reference_caffenet.caffemodel", tmp_path / "out.pt") == 0
    state = torch.load(tmp_path / "out.pt", weights_only=True)
    assert list(state) == [f"{name}.{kind}" for name in CAFFENET for kind in ("weight", "bias")]
    for name, (weight, bias) in arrays.items():
        assert state[f"{name}.weight"].dtype == torch.float32
        np.testing.assert_array_equal(state[f"{name}.weight"], weight)
        np.testing.assert_array_equal(state[f"{name}.bias"], bias)


def test_it_goes_into_torchs_own_layers(tmp_path: Path) -> None:
    """The names and shapes are those that ``load_state_dict`` wants."""
    write_reference_caffenet(tmp_path / "x.caffemodel", 16)
    assert run(tmp_path / "x.caffemodel", tmp_path / "x.pt") == 0
    module = torch.nn.ModuleDict({"conv1": torch.nn.Conv2d(3, 6, 11), "fc8": torch.nn.Linear(256, 62)})
    state = torch.load(tmp_path / "x.pt", weights_only=True)
    module.load_state_dict({name: value for name, value in state.items() if name.split(".")[0] in module})


# --- every format to every other ----------------------------------------------------------------------------------


@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("source", FORMATS)
def test_there_and_back(source: str, target: str, tmp_path: Path) -> None:
    """Real Caffe's snapshot through two formats, and into its net; with the net's help the types come back, too."""
    first, second, third = tmp_path / f"a.{source}", tmp_path / f"b.{target}", tmp_path / "c.caffemodel"
    assert run(SNAPSHOT, first) == 0
    assert run(first, second) == 0
    expected = read_caffemodel(SNAPSHOT)
    for path in (first, second):
        found = read_caffemodel(path)
        assert found.keys() == expected.keys()
        for name, arrays in expected.items():
            for ours, theirs in zip(found[name], arrays, strict=True):
                assert ours.dtype == np.float32
                np.testing.assert_array_equal(ours, theirs)
    assert run(second, third, "--model", SNAPSHOT.parent / "train_val.prototxt") == 0
    message = NetParameter.FromString(third.read_bytes())
    assert [(layer.name, layer.type) for layer in message.layer] == [("conv1", "Convolution"), ("ip1", "InnerProduct")]
    assert message.name == "golden_run"


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_net_loads_every_format(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(SNAPSHOT, tmp_path / f"x.{suffix}") == 0
    monkeypatch.chdir(SNAPSHOT.parent)
    net = Net("train_val.prototxt", "TRAIN", weights=tmp_path / f"x.{suffix}")
    for name, arrays in read_caffemodel(SNAPSHOT).items():
        for ours, theirs in zip(net.params[name], arrays, strict=True):
            np.testing.assert_array_equal(ours.detach(), theirs)


@pytest.mark.parametrize("suffix", FORMATS[1:])
def test_old_files_get_the_shapes_of_today(suffix: str, tmp_path: Path) -> None:
    arrays = write_reference_caffenet(tmp_path / "old.caffemodel", 16)
    assert run(tmp_path / "old.caffemodel", tmp_path / f"x.{suffix}") == 0
    found = read_caffemodel(tmp_path / f"x.{suffix}")
    assert {name: [blob.shape for blob in blobs] for name, blobs in found.items()} == {
        name: [blob.shape for blob in blobs] for name, blobs in arrays.items()
    }


@pytest.mark.parametrize("suffix", FORMATS)
def test_names_are_mapped_in_every_format(suffix: str, tmp_path: Path) -> None:
    assert run(SNAPSHOT, tmp_path / f"x.{suffix}", "--map", "conv1=first", "conv1=second", "ip1=a.b") == 0
    found, expected = read_caffemodel(tmp_path / f"x.{suffix}"), read_caffemodel(SNAPSHOT)
    assert set(found) == {"first", "second", "a.b"}
    for name in ("first", "second"):
        np.testing.assert_array_equal(found[name][0], expected["conv1"][0])


def test_entries_of_layers_that_have_not_two_blobs(tmp_path: Path) -> None:
    message = NetParameter()
    message.layer.add(name="bn.1", type="BatchNorm", blobs=[write_blob([n, n]) for n in range(3)])
    message.layer.add(name="ip", type="InnerProduct", blobs=[write_blob([[1, 2]])])
    (tmp_path / "x.caffemodel").write_bytes(message.SerializeToString())
    for suffix in ("pt", "safetensors"):
        assert run(tmp_path / "x.caffemodel", tmp_path / f"x.{suffix}") == 0
        assert {name: len(arrays) for name, arrays in read_caffemodel(tmp_path / f"x.{suffix}").items()} == {
            "bn.1": 3,
            "ip": 1,
        }
    assert list(torch.load(tmp_path / "x.pt", weights_only=True)) == ["bn.1.0", "bn.1.1", "bn.1.2", "ip.0"]


# --- what PyTorch writes ------------------------------------------------------------------------------------------


def test_a_module_that_torch_trained(tmp_path: Path) -> None:
    """Half precision and doubles are taken, ``weight`` alone too."""
    module = torch.nn.ModuleDict({
        "fc": torch.nn.Linear(3, 2).bfloat16(), "conv": torch.nn.Conv2d(1, 2, 3, bias=False).double(),
    })  # fmt: skip
    torch.save(module.state_dict(), tmp_path / "x.pt")
    safetensors.torch.save_file(module.state_dict(), tmp_path / "x.safetensors")
    for source in ("pt", "safetensors"):
        assert run(tmp_path / f"x.{source}", tmp_path / "x.caffemodel", "--force") == 0
        found = read_caffemodel(tmp_path / "x.caffemodel")
        np.testing.assert_array_equal(found["fc"][0], module["fc"].weight.detach().float())
        np.testing.assert_array_equal(found["fc"][1], module["fc"].bias.detach().float())
        np.testing.assert_array_equal(found["conv"][0], module["conv"].weight.detach().float())


TENSOR = torch.ones(2)
REFUSED: dict[str, tuple[object, str]] = {
    "a tensor": (TENSOR, "expected a state dict, got Tensor"),
    "a module": (torch.nn.Linear(2, 2), "not a state dict that torch reads with weights_only=True"),
    "a checkpoint": ({"model.state": {"a.weight": TENSOR}}, "got 'model.state'"),
    "another entry": ({"bn.running_mean": TENSOR}, "expected <layer>.weight, <layer>.bias or <layer>.<index>, got"),
    "no layer": ({"weight": TENSOR}, "got 'weight'"),
    "a number for a name": ({1: TENSOR}, "got 1"),
    "a word": ({"a.weight": "b"}, "a.weight: expected a dense tensor of floats, got str"),
    "integers": ({"a.0": TENSOR.long()}, "a.0: expected a dense tensor of floats, got torch.strided of torch.int64"),
    "sparse": ({"a.0": torch.ones(2, 2).to_sparse()}, "got torch.sparse_coo of torch.float32"),
    "a gap": ({"a.0": TENSOR, "a.2": TENSOR}, 'layer "a": expected blobs 0 to 1, got 0, 2'),
    "no weight": ({"a.bias": TENSOR}, 'layer "a": expected blobs 0 to 0, got 1'),
    "twice": ({"a.weight": TENSOR, "a.0": TENSOR}, 'layer "a": blob 0 is in it twice'),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_state_dicts_that_make_no_sense(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content, problem = REFUSED[kind]
    torch.save(content, tmp_path / "x.pt")
    message = fails(capsys, tmp_path / "x.pt", tmp_path / "x.caffemodel")
    assert message.startswith(f"{tmp_path / 'x.pt'}: ") and problem in message


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("content", [b"", b"words", bytes(100), b"PK\x03\x04" + bytes(range(200)), b"\xff" * 100])
def test_files_that_are_something_else(
    suffix: str, content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(content)
    message = fails(capsys, path, tmp_path / "out.caffemodel")
    assert message.startswith(f"{path}: ") and len(message.splitlines()) == 1
    path.unlink()
    assert fails(capsys, path, tmp_path / "out.caffemodel") == f"{path}: no such file"
    path.mkdir()
    assert fails(capsys, path, tmp_path / "out.caffemodel") == f"{path}: is a directory, not a file"


def test_a_file_that_would_run_code_does_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
            return open, (str(tmp_path / "sprung"), "w")  # type: ignore[return-value]

    torch.save({"a.weight": Trap()}, tmp_path / "x.pt")
    assert "weights_only=True" in fails(capsys, tmp_path / "x.pt", tmp_path / "x.caffemodel")
    assert not (tmp_path / "sprung").exists()


def test_without_safetensors_the_package_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    message = fails(capsys, SNAPSHOT, tmp_path / "x.safetensors")
    assert message.endswith("x.safetensors: .safetensors files need the package safetensors (pip install safetensors)")


def test_a_shared_blob_that_is_left_out_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    share = 'param { name: "w" } inner_product_param { num_output: 2 }'
    layers = "".join(f'layer {{ name: "{n}" type: "InnerProduct" bottom: "x" top: "{n}" {share} }} ' for n in "ab")
    net = Net('layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 } } } ' + layers)
    net.save_weights(tmp_path / "x.caffemodel.h5")
    message = fails(capsys, tmp_path / "x.caffemodel.h5", tmp_path / "x.pt")
    assert 'layer "b": a blob that it shares is with another layer only' in message


# --- means --------------------------------------------------------------------------------------------------------


def test_a_mean_goes_both_ways(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Real Caffe's file, to numpy's and back, byte by byte."""
    original = SNAPSHOT.parent / "mean.binaryproto"
    assert run(original, tmp_path / "mean.npy") == 0
    assert capsys.readouterr().out == f"wrote {tmp_path / 'mean.npy'}: 3 16 16 (768)\n"
    mean = np.load(tmp_path / "mean.npy")
    assert (mean.shape, mean.dtype) == ((3, 16, 16), np.float32)
    np.testing.assert_array_equal(mean, read_blobproto_file(original)[0])
    assert run(tmp_path / "mean.npy", tmp_path / "mean.binaryproto") == 0
    assert (tmp_path / "mean.binaryproto").read_bytes() == original.read_bytes()


@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 3, 4, 5), (4, 5), (2, 3, 4, 5)])
@pytest.mark.parametrize("kind", ["<f8", "<f2", "u1", ">f4"])
def test_means_of_every_kind(shape: tuple[int, ...], kind: str, tmp_path: Path) -> None:
    mean = np.arange(np.prod(shape)).reshape(shape).astype(kind)
    np.save(tmp_path / "mean.npy", np.asfortranarray(mean))
    assert run(tmp_path / "mean.npy", tmp_path / "mean.binaryproto") == 0
    stored = read_blobproto_file(tmp_path / "mean.binaryproto")
    assert stored.shape == (1,) * (4 - len(shape)) + shape
    np.testing.assert_array_equal(stored.reshape(shape), mean)


def test_means_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, path = tmp_path / "mean.binaryproto", tmp_path / "mean.npy"
    for content, problem in (
        (np.array(["a"]), "expected an array of numbers, got an array of <U1"),
        (np.array([1j]), "expected an array of numbers, got an array of complex128"),
        (np.array([None]), "not an .npy file of numbers, or broken"),
        (np.ones((1, 2, 3, 4, 5)), "expected 4 dims at most, got shape (1, 2, 3, 4, 5)"),
    ):
        np.save(path, content, allow_pickle=True)
        assert problem in fails(capsys, path, out)
    np.save(path, np.ones((3, 200, 200)))
    for content in (path.read_bytes()[:-1], b"", b"words", path.read_bytes().replace(b"200, 200", b"200, 2e9")):
        path.write_bytes(content)
        assert fails(capsys, path, out).startswith(f"{path}: not an .npy file of numbers, or broken: ")
    np.savez(tmp_path / "x.npz", np.ones(3))
    (tmp_path / "x.npz").rename(path)
    assert "not an .npy file of numbers" in fails(capsys, path, out)


def test_means_and_weights_do_not_mix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mean = tmp_path / "mean.npy"
    write_blobproto_file(tmp_path / "mean.binaryproto", np.ones((3, 2, 2)))
    assert "expected one mean and where to write it" in fails(capsys, SNAPSHOT, mean)
    assert "expected one mean" in fails(capsys, tmp_path / "mean.binaryproto", tmp_path / "x.caffemodel")
    assert "expected one mean" in fails(capsys, *[tmp_path / "mean.binaryproto"] * 2, mean)
    for option in (["--model", "net.prototxt"], ["--map", "a=b"]):
        assert run(tmp_path / "mean.binaryproto", mean, *option) == 2
        assert "a mean has no layers: --model and --map are for weights" in capsys.readouterr().err
    assert not mean.exists()
