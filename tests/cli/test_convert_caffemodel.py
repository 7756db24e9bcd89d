"""convert_caffemodel: layers renamed, copied and joined; what it refuses and what it tells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffe_compat import Net
from caffe_compat.cli.convert_caffemodel import main
from caffe_compat.proto.caffe_pb2 import NetParameter
from caffe_compat.prototxt import read_net
from caffe_compat.weights import read_caffemodel, write_blob

CONVS = ("conv1", "conv2")
CLEAN = {"conv1": (4, 3, 3, 3), "conv2": (5, 4, 3, 3), "fc8_clean": (7, 45)}
NTYPE = {"conv1": (4, 3, 3, 3), "conv2": (5, 4, 3, 3), "fc8_ntype": (3, 45)}
MAP = ["--map", *(f"1:{conv}={conv}_ntype" for conv in CONVS), *(f"2:{conv}={conv}_clean" for conv in CONVS)]

BRANCH = """
layer {{ name: "conv1_{0}" type: "Convolution" bottom: "data" top: "conv1_{0}"
  convolution_param {{ num_output: 4 kernel_size: 3 }} }}
layer {{ name: "conv2_{0}" type: "Convolution" bottom: "conv1_{0}" top: "conv2_{0}"
  convolution_param {{ num_output: 5 kernel_size: 3 }} }}
layer {{ name: "fc8_{0}" type: "InnerProduct" bottom: "conv2_{0}" top: "fc8_{0}"
  inner_product_param {{ num_output: {1} }} }}
"""
JOINT = (
    'name: "joint" layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 7 dim: 7 } } }'
    + BRANCH.format("clean", 7)
    + BRANCH.format("ntype", 3)
)


def write_model(path: Path, shapes: dict[str, tuple[int, ...]], seed: int) -> dict[str, np.ndarray]:
    """A caffemodel with layers of these weight shapes, biases and a layer without parameters; returns the weights."""
    random = np.random.RandomState(seed)
    message = NetParameter(name=path.stem)
    message.layer.add(name="data", type="Input", top=["data"])
    weights = {}
    for name, shape in shapes.items():
        weights[name] = random.randn(*shape).astype(np.float32)
        kind = "Convolution" if len(shape) == 4 else "InnerProduct"
        blobs = [write_blob(weights[name]), write_blob(random.randn(shape[0]))]
        message.layer.add(name=name, type=kind, bottom=["x"], top=[name], blobs=blobs)
    path.write_bytes(message.SerializeToString())
    return weights


class Files:
    def __init__(self, folder: Path) -> None:
        self.clean, self.ntype = folder / "clean.caffemodel", folder / "ntype.caffemodel"
        self.out, self.net = folder / "joint.caffemodel", folder / "joint.prototxt"
        self.clean_weights = write_model(self.clean, CLEAN, 1)
        self.ntype_weights = write_model(self.ntype, NTYPE, 2)
        self.net.write_text(JOINT)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def run(*argv: object) -> int:
    return main([str(arg) for arg in argv])


def test_two_trained_nets_start_one_of_two_branches(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(files.ntype, files.clean, files.out, "--model", files.net, *MAP) == 0
    net = Net(files.net, weights=files.out)
    for branch, weights in (("clean", files.clean_weights), ("ntype", files.ntype_weights)):
        for layer in (*(f"{conv}_{branch}" for conv in CONVS), f"fc8_{branch}"):
            expected = weights[layer if layer.startswith("fc8") else layer.partition("_")[0]]
            np.testing.assert_array_equal(net.params[layer][0].detach(), expected)
    written = NetParameter.FromString(files.out.read_bytes())
    assert written.name == "joint"
    assert [layer.name for layer in written.layer] == [
        "conv1_clean", "conv2_clean", "fc8_clean", "conv1_ntype", "conv2_ntype", "fc8_ntype",
    ]  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{files.clean}: conv1 -> conv1_clean 4 3 3 3 (108), 4 (4)"
    assert lines[-1] == f"wrote {files.out}: 6 layers"
    assert len(lines) == 7


def test_without_a_net_the_rest_keeps_its_names(files: Files) -> None:
    assert run(files.clean, files.out, "--map", "conv1=first") == 0
    assert list(read_caffemodel(files.out)) == ["first", "conv2", "fc8_clean"]


def test_one_layer_under_several_names(files: Files) -> None:
    assert run(files.clean, files.out, "--map", "conv1=a", "--map", "conv1=b", "conv1=conv1") == 0
    blobs = read_caffemodel(files.out)
    assert list(blobs) == ["a", "b", "conv1", "conv2", "fc8_clean"]
    for name in ("a", "b", "conv1"):
        np.testing.assert_array_equal(blobs[name][0], files.clean_weights["conv1"])


def test_a_swap_of_names(files: Files) -> None:
    assert run(files.clean, files.out, "--map", "conv1=fc8_clean", "fc8_clean=conv1") == 0
    np.testing.assert_array_equal(read_caffemodel(files.out)["conv1"][0], files.clean_weights["fc8_clean"])


def test_what_was_not_copied_is_told(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(files.clean, files.out, "--model", files.net, "--map", "conv1=conv1_ntype") == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"{files.clean}: conv2 not copied" in lines
    starts = "is in no input, it starts from its fillers"
    assert [line for line in lines if line.endswith(starts)] == [
        f"{files.net}: {name} {starts}" for name in ("conv1_clean", "conv2_clean", "conv2_ntype", "fc8_ntype")
    ]


def test_legacy_and_v1_files_can_be_inputs(files: Files) -> None:
    golden = Path(__file__).parents[1] / "golden" / "upgrade"
    assert run(golden / "v1.caffemodel", files.out, "--map", "ip=fc") == 0
    blobs = read_caffemodel(files.out)
    with np.load(golden / "v1_blobs.npz") as expected:
        np.testing.assert_array_equal(blobs["fc"][0], expected["ip/0"])
    assert NetParameter.FromString(files.out.read_bytes()).layer[0].type == "Convolution"


def fails(files: Files, capsys: pytest.CaptureFixture[str], *argv: object) -> str:
    """The message of a call that must end with exit code 2 and write nothing."""
    before = {path: path.read_bytes() for path in files.out.parent.iterdir()}
    assert run(*argv) == 2
    assert {path: path.read_bytes() for path in files.out.parent.iterdir()} == before
    captured = capsys.readouterr()
    assert captured.out == ""
    message, *rest = captured.err.strip().splitlines()
    assert not rest, captured.err
    return message


def test_an_unknown_source_lists_the_names(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    message = fails(files, capsys, files.clean, files.out, "--map", "conv3=x")
    assert message == (
        "no layer 'conv3' with parameters in the input: closest: conv2, conv1; known: conv1, conv2, fc8_clean"
    )
    assert "no layer 'data' with parameters" in fails(files, capsys, files.clean, files.out, "--map", "data=x")
    message = fails(files, capsys, files.clean, files.ntype, files.out, "--map", "2:fc8_clean=x")
    assert message.endswith("known: conv1, conv2, fc8_ntype")


def test_a_source_in_two_inputs_needs_its_number(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    message = fails(files, capsys, files.clean, files.ntype, files.out, "--map", "conv1=conv1_clean")
    assert message == (f"layer 'conv1' is in {files.clean} and {files.ntype}; say which: 1:conv1 or 2:conv1")
    assert "no input 3, there are 2" in fails(files, capsys, files.clean, files.ntype, files.out, "--map", "3:conv1=x")
    assert "no input 0, there are 2" in fails(files, capsys, files.clean, files.ntype, files.out, "--map", "0:conv1=x")


def test_two_layers_of_one_name_are_refused(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    message = fails(files, capsys, files.clean, files.ntype, files.out)
    assert message == (
        f"two layers would be called 'conv1': 'conv1' of {files.clean} and 'conv1' of {files.ntype}; "
        "give one of them another name"
    )
    assert "would be called 'conv2'" in fails(files, capsys, files.clean, files.out, "--map", "conv1=conv2")


def test_names_and_types_are_checked_against_the_net(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    model = ("--model", files.net)
    message = fails(files, capsys, files.clean, files.out, *model, "--map", "conv1=conv1_klean")
    assert message.startswith("no layer 'conv1_klean' in the net: closest: conv1_clean")
    message = fails(files, capsys, files.clean, files.out, *model, "--map", "conv1=fc8_ntype")
    assert message == (
        f"{files.clean}: layer \"conv1\": it is of type Convolution, the net's 'fc8_ntype' of type InnerProduct"
    )
    files.net.write_text('layer { name: "other" type: "ReLU" }')
    assert "nothing to write" in fails(files, capsys, files.clean, files.out, *model)


def test_no_file_is_overwritten_by_accident(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is an input" in fails(files, capsys, files.clean, files.ntype, files.clean, "--force")
    files.out.write_bytes(b"precious")
    assert fails(files, capsys, files.clean, files.out).endswith("exists; --force overwrites it")
    assert run(files.clean, files.out, "--force") == 0
    assert len(read_caffemodel(files.out)) == 3


def test_wrong_usage(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    message = fails(files, capsys, files.clean, files.out, "--map", "conv1")
    assert "expected SRC=DST or N:SRC=DST, got 'conv1'" in message
    message = fails(files, capsys, "--map", "conv1=x", files.clean, files.out)
    assert "the files come before --map" in message
    assert "at least one input and the output" in fails(files, capsys, files.clean)
    message = fails(files, capsys, files.clean, files.out.with_suffix(".h5"))
    assert "ends in one of .caffemodel, .caffemodel.h5, .pt, .safetensors, .binaryproto, .npy" in message
    assert fails(files, capsys, files.out.parent / "no.caffemodel", files.out).endswith("no.caffemodel: no such file")


def test_a_file_cut_short_writes_nothing(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    files.ntype.write_bytes(files.ntype.read_bytes()[:-10])
    assert "cut short" in fails(files, capsys, files.ntype, files.clean, files.out, *MAP)


def test_the_command_in_the_prototxt_folders_readme(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its renames lead from the layers of the clean and the noise-type net to all that the joint net learns."""
    folder = Path(__file__).parents[2] / "prototxt"
    readme = (folder / "README.md").read_text(encoding="utf-8")
    command = readme.partition("tools/convert_caffemodel.py ")[2].partition("\n    tools/")[0]
    options = command.replace("\\\n", " ").replace("prototxt/", f"{folder}/").split()[3:]
    tiny = {"Convolution": (1, 1, 1, 1), "InnerProduct": (1, 1)}
    for name in ("clean", "ntype"):
        net, _ = read_net(folder / f"{name}_train_val.prototxt")
        shapes = {layer.name: tiny[layer.type] for layer in net.layer if layer.type in tiny}
        write_model(tmp_path / f"{name}.caffemodel", shapes, seed=0)
    assert run(tmp_path / "clean.caffemodel", tmp_path / "ntype.caffemodel", tmp_path / "out.caffemodel", *options) == 0
    output = capsys.readouterr().out
    assert "wrote" in output and "not copied" not in output and "fillers" not in output
