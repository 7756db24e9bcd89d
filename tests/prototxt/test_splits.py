"""Split layers: where they go, what they and their copies are called, who carries the loss weight."""

from __future__ import annotations

import pytest

from caffe_compat.errors import PrototxtError
from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt import insert_splits, parse_text


def net(*layers: str) -> caffe_pb2.NetParameter:
    """Layers written ``name: bottom bottom > top top * loss_weight ...``."""
    message = caffe_pb2.NetParameter(name="n")
    for line in layers:
        name, _, wiring = line.partition(":")
        bottoms, _, tops = wiring.partition(">")
        tops, _, weights = tops.partition("*")
        message.layer.add(
            name=name, type="X", bottom=bottoms.split(), top=tops.split(), loss_weight=map(float, weights.split())
        )
    return message


def written(message: caffe_pb2.NetParameter) -> list[str]:
    """The inverse of ``net``, for comparing."""
    lines = []
    for layer in message.layer:
        weights = " * " + " ".join(f"{weight:g}" for weight in layer.loss_weight) if layer.loss_weight else ""
        lines.append(f"{layer.name}: {' '.join(layer.bottom)} > {' '.join(layer.top)}{weights}")
    return lines


CASES = {
    "nothing to split": (
        ["data: > data label", "ip: data > ip", "loss: ip label > loss"],
        ["data:  > data label", "ip: data > ip", "loss: ip label > loss"],
    ),
    "two readers": (
        ["data: > data label", "ip: data > ip", "loss: ip label > loss", "acc: ip label > acc"],
        [
            "data:  > data label",
            "label_data_1_split: label > label_data_1_split_0 label_data_1_split_1",
            "ip: data > ip",
            "ip_ip_0_split: ip > ip_ip_0_split_0 ip_ip_0_split_1",
            "loss: ip_ip_0_split_0 label_data_1_split_0 > loss",
            "acc: ip_ip_0_split_1 label_data_1_split_1 > acc",
        ],
    ),
    "one layer reads a blob twice": (
        ["data: > data", "sum: data data > sum"],
        [
            "data:  > data",
            "data_data_0_split: data > data_data_0_split_0 data_data_0_split_1",
            "sum: data_data_0_split_0 data_data_0_split_1 > sum",
        ],
    ),
    "in-place layers make a new blob under the old name": (
        ["data: > data", "ip: data > ip", "relu: ip > ip", "a: ip > a", "b: ip > b"],
        [
            "data:  > data",
            "ip: data > ip",
            "relu: ip > ip",
            "ip_relu_0_split: ip > ip_relu_0_split_0 ip_relu_0_split_1",
            "a: ip_relu_0_split_0 > a",
            "b: ip_relu_0_split_1 > b",
        ],
    ),
    "a blob read before and after it is overwritten": (
        ["data: > data", "ip: data > ip", "relu: ip > ip", "b: ip data > b"],
        [
            "data:  > data",
            "data_data_0_split: data > data_data_0_split_0 data_data_0_split_1",
            "ip: data_data_0_split_0 > ip",
            "relu: ip > ip",
            "b: ip data_data_0_split_1 > b",
        ],
    ),
    "a loss that is also read: the first copy carries the weight": (
        ["data: > data", "loss: data > loss * 0.5", "out: loss > out"],
        [
            "data:  > data",
            "loss: data > loss",
            "loss_loss_0_split: loss > loss_loss_0_split_0 loss_loss_0_split_1 * 0.5 0",
            "out: loss_loss_0_split_1 > out",
        ],
    ),
    "a negative weight counts like any": (
        ["data: > data", "loss: data > loss * -1", "out: loss > out"],
        [
            "data:  > data",
            "loss: data > loss",
            "loss_loss_0_split: loss > loss_loss_0_split_0 loss_loss_0_split_1 * -1 0",
            "out: loss_loss_0_split_1 > out",
        ],
    ),
    "a loss weight of 0 is no reader": (
        ["data: > data", "loss: data > loss * 0", "out: loss > out"],
        ["data:  > data", "loss: data > loss * 0", "out: loss > out"],
    ),
    "a loss that nothing reads": (
        ["data: > data", "loss: data > loss * 0.5"],
        ["data:  > data", "loss: data > loss * 0.5"],
    ),
    "names with the index of the top": (
        ["data: > a b c", "x: b c > x", "y: c > y"],
        [
            "data:  > a b c",
            "c_data_2_split: c > c_data_2_split_0 c_data_2_split_1",
            "x: b c_data_2_split_0 > x",
            "y: c_data_2_split_1 > y",
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_splits(case: str) -> None:
    before, after = CASES[case]
    original = net(*before)
    assert written(insert_splits(original)) == after
    assert written(original) == written(net(*before)), "the net given is left alone"


@pytest.mark.parametrize("case", CASES)
def test_a_net_that_has_its_splits_stays_as_it_is(case: str) -> None:
    once = insert_splits(net(*CASES[case][0]))
    assert insert_splits(once) == once


def test_split_layers_are_of_type_split_and_all_else_is_kept() -> None:
    text = 'name: "n" force_backward: true layer { name: "d" type: "Data" top: "d" phase: TEST } '
    text += "".join(f'layer {{ name: "{name}" type: "ReLU" bottom: "d" top: "{name}" }} ' for name in "ab")
    split = insert_splits(parse_text(text, caffe_pb2.NetParameter()))
    assert (split.name, split.force_backward, split.layer[0].phase) == ("n", True, caffe_pb2.TEST)
    assert [layer.type for layer in split.layer] == ["Data", "Split", "ReLU", "ReLU"]


def test_a_bottom_that_no_earlier_layer_makes_is_an_error() -> None:
    with pytest.raises(PrototxtError) as caught:
        insert_splits(net("data: > data", "ip: data dta > ip"), "net.prototxt")
    assert str(caught.value) == (
        "net.prototxt: layer \"ip\" (X): bottom: Unknown bottom blob 'dta' (layer 'ip', bottom index 1)"
    )
    with pytest.raises(PrototxtError, match="Unknown bottom blob 'later'"):
        insert_splits(net("ip: later > ip", "x: > later"))
