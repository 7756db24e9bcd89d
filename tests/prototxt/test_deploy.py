"""Nets for prediction: what is left of a net for training, and that it gives the same scores."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from caffe_compat import Net
from caffe_compat.cli.classify import main as classify
from caffe_compat.cli.deploy import main
from caffe_compat.errors import PrototxtError
from caffe_compat.proto.caffe_pb2 import NetParameter
from caffe_compat.prototxt import parse_text, read_net, to_text
from caffe_compat.prototxt.deploy import prediction_net, read_from_outside, with_inputs

ROOT = Path(__file__).parents[2]
WEIGHTS = "snap_BINARYPROTO_iter_30.caffemodel"


def predict(text: str) -> NetParameter:
    return prediction_net(parse_text(text, NetParameter()), "net.prototxt")


SCORES = """
name: "n"
layer { name: "d" type: "Data" top: "x" top: "l" }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" param { lr_mult: 3 } include { phase: TEST }
        inner_product_param { num_output: 2 weight_filler { type: "xavier" } bias_term: false } }
"""


@pytest.mark.parametrize(
    "loss, head",
    [
        ('type: "SoftmaxWithLoss" softmax_param { axis: 2 } loss_weight: 3',
         'type: "Softmax" bottom: "ip" top: "prob" softmax_param { axis: 2 }'),
        ('type: "SigmoidCrossEntropyLoss"', 'type: "Sigmoid" bottom: "ip" top: "prob"'),
        ('type: "InfogainLoss" infogain_loss_param { source: "h" axis: 3 }',
         'type: "Softmax" bottom: "ip" top: "prob" softmax_param { axis: 3 }'),
        ('type: "EuclideanLoss"', None),
    ],
)  # fmt: skip
def test_heads(loss: str, head: str | None) -> None:
    """The loss's head; rates, fillers and rules are gone, options stay."""
    found = predict(SCORES + f'layer {{ name: "loss" bottom: "ip" bottom: "l" top: "loss" {loss} }}')
    expected = """name: "n"
        layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip"
                inner_product_param { num_output: 2 bias_term: false } }
    """ + (f'layer {{ name: "prob" {head} }}' if head else "")
    assert to_text(found) == to_text(parse_text(expected, NetParameter()))
    assert read_from_outside(found) == ["x"]
    with_input = with_inputs(found, {"x": (1, 3)})
    assert (
        to_text(with_input.layer[0]).split()
        == to_text(
            parse_text(
                'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 } } }', NetParameter()
            )
        ).split()[2:-1]
    )


def test_branches_that_predict_nothing_are_left_out() -> None:
    """The noise type's branch and its losses, though no rule says TRAIN; labels that are cut up; shared names stay."""
    found = predict("""
        layer { name: "d" type: "Data" top: "x" top: "labels" }
        layer { name: "cut" type: "Slice" bottom: "labels" top: "l" top: "noisy" }
        layer { name: "y" type: "InnerProduct" bottom: "x" top: "y" param { name: "w" lr_mult: 2 } }
        layer { name: "drop" type: "Dropout" bottom: "y" top: "y" }
        layer { name: "z" type: "InnerProduct" bottom: "x" top: "z" }
        layer { name: "loss_y" type: "SoftmaxWithLoss" bottom: "y" bottom: "l" top: "loss_y" }
        layer { name: "loss_z" type: "SoftmaxWithLoss" bottom: "z" bottom: "l" top: "loss_z" }
        layer { name: "loss" type: "SoftmaxWithNoisyLabelLoss" bottom: "y" bottom: "z" bottom: "noisy" top: "loss" }
        layer { name: "accuracy" type: "Accuracy" bottom: "y" bottom: "l" top: "accuracy" }
    """)
    assert [layer.name for layer in found.layer] == ["y", "drop", "prob"]
    assert to_text(found.layer[0].param[0]) == 'name: "w"\n'
    assert read_from_outside(found) == ["x"]


def test_several_predictions() -> None:
    found = predict(
        SCORES
        + """
        layer { name: "other" type: "InnerProduct" bottom: "x" top: "other" }
        layer { name: "a" type: "SoftmaxWithLoss" bottom: "ip" bottom: "l" top: "a" }
        layer { name: "b" type: "SigmoidCrossEntropyLoss" bottom: "other" bottom: "l" top: "b" }
    """
    )
    assert [layer.name for layer in found.layer] == ["ip", "other", "prob_ip", "prob_other"]


def test_nothing_to_predict() -> None:
    with pytest.raises(PrototxtError, match="net.prototxt: no loss in the TEST phase"):
        predict(SCORES)


@pytest.mark.parametrize("name", ["ours", "release/stage2", "cifar10/ours", "demo/ours"])
def test_the_papers_nets_keep_the_clean_branch(name: str) -> None:
    found = prediction_net(read_net(ROOT / f"prototxt/{name}_train_val.prototxt")[0])
    assert read_from_outside(found) == ["data"]
    assert found.layer[-1].name == "prob" and found.layer[-1].type == "Softmax"
    assert not [layer.name for layer in found.layer if "ntype" in layer.name]


def test_caffenet_gives_its_deploy_net() -> None:
    """Blob for blob what prototxt/bvlc_reference_caffenet/deploy.prototxt has."""
    folder = ROOT / "prototxt/bvlc_reference_caffenet"
    found = with_inputs(prediction_net(read_net(folder / "train_val.prototxt")[0]), {"data": (10, 3, 227, 227)})
    assert to_text(found) == to_text(read_net(folder / "deploy.prototxt")[0])


# --- the command line ---------------------------------------------------------------------------------------------


def test_the_new_net_scores_as_the_trained_one(golden_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train_val.prototxt", WEIGHTS, "deploy.prototxt", "--batch_size=3"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "wrote deploy.prototxt: 7 layers of 9",
        "wrote deploy.caffemodel: 2 layers, 0 left out",
        "classify with: tools/classify.py IMAGE --model_def deploy.prototxt --pretrained_model deploy.caffemodel "
        "--mean_file mean.binaryproto --input_scale 0.0078125 --images_dim 16,16",
    ]
    trained = Net("train_val.prototxt", "TEST", WEIGHTS)
    deployed = Net("deploy.prototxt", "TEST", "deploy.caffemodel")
    assert deployed.blob_shapes["data"] == (3, 3, 16, 16)
    with torch.no_grad():
        trained()
        ours = deployed(data=trained.blobs["data"])["prob"]
    assert torch.allclose(ours, trained.blobs["ip1"].softmax(1))
    model = ["--model_def=deploy.prototxt", "--pretrained_model=deploy.caffemodel", "--images_dim=16,16"]
    assert classify([str(golden_run / "images/065.png"), *model]) == 0


def test_a_net_without_data_layers_gets_no_advice(golden_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = read_net("train_val.prototxt")[0]
    kept = [layer for layer in net.layer if layer.type != "Data"]
    del net.layer[:]
    net.layer.extend(kept)
    Path("no_data.prototxt").write_text(to_text(net))
    assert main(["no_data.prototxt", WEIGHTS, "deploy.prototxt", "--shape=3,16,16"]) == 0
    assert "classify with" not in capsys.readouterr().out


def test_the_shape_comes_from_the_crop_and_the_weights(golden_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No data are needed then; --shape needs not even the crop."""
    text = Path("train_val.prototxt").read_text().replace("test_lmdb", "no_lmdb")
    for crop, flags in (("crop_size: 16", []), ("", ["--shape=3,16,16"])):
        Path("train_val.prototxt").write_text(text.replace("mean_file", f"{crop} mean_file"))
        assert main(["train_val.prototxt", WEIGHTS, "out.prototxt", "--force", *flags]) == 0
        assert read_net("out.prototxt")[0].layer[0].input_param.shape[0].dim == [10, 3, 16, 16]
    assert main(["train_val.prototxt", WEIGHTS, "small.prototxt", "--shape=3,12,12"]) == 2
    assert "ip1" in capsys.readouterr().err.splitlines()[-1] and not Path("small.prototxt").exists()
    assert main(["train_val.prototxt", WEIGHTS, "small.prototxt"]) == 2
    assert "no_lmdb" in capsys.readouterr().err.splitlines()[-1]


def test_a_net_that_only_trains(golden_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = read_net("train_val.prototxt")[0]
    del net.layer[[str(layer.include) for layer in net.layer].index("[phase: TEST\n]")]
    Path("train.prototxt").write_text(to_text(net))
    assert main(["train.prototxt", WEIGHTS, "deploy.prototxt"]) == 0
    assert Net("deploy.prototxt").blob_shapes["data"][1:] == Net("train.prototxt", "TRAIN").blob_shapes["data"][1:]


def test_wrong_input(golden_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("there.prototxt").touch()
    Path("more.prototxt").write_text(Path("train_val.prototxt").read_text().replace('"conv1" type', '"conv7" type'))
    for argv, message in (
        (["train_val.prototxt", WEIGHTS, "there.prototxt"], "there.prototxt: exists; --force overwrites it"),
        (["train_val.prototxt", WEIGHTS, "train_val.prototxt", "--force"], "train_val.prototxt: is an input"),
        (["train_val.prototxt", WEIGHTS, "out.txt"], "expected a name that ends in .prototxt, got out.txt"),
        (["train_val.prototxt", WEIGHTS, "out.prototxt", "--shape=3,16"], "--shape: invalid"),
        (["more.prototxt", WEIGHTS, "out.prototxt"], f"{WEIGHTS}: has no weights for conv7"),
        (["train_val.prototxt", "none.caffemodel", "out.prototxt"], "none.caffemodel: no such file"),
    ):
        assert main(argv) == 2
        assert message in capsys.readouterr().err.splitlines()[-1]
    assert not Path("out.prototxt").exists()
