"""What a net refuses, and how it says so: file, layer, field, problem."""

from __future__ import annotations

from pathlib import Path

import pytest
from product_nets import DATA, LABEL, LOSS, product

from caffe_compat import Net
from caffe_compat.errors import PrototxtError

ERRORS = {
    "unknown bottom": (
        DATA + product(bottom="dta"),
        "ip",
        "bottom",
        r"Unknown bottom blob 'dta' \(layer 'ip', bottom index 0\)",
    ),
    "two sources": (
        DATA + product() + product("b", top="ip"),
        "b",
        "top",
        "Top blob 'ip' produced by multiple sources.",
    ),
    "two tops of one name": (
        'layer { name: "data" type: "Input" top: "x" top: "x" }',
        "data",
        "top",
        "Top blob 'x' produced by multiple",
    ),
    "loss weights": (
        DATA + product(extra="loss_weight: 1 loss_weight: 1"),
        "ip",
        "loss_weight",
        r"must be unspecified or specified once per top blob \(1\); got 2",
    ),
    "params": (
        DATA + product(extra="param {} param {} param {}"),
        "ip",
        "param",
        "Too many params specified: 3 for 2 blobs",
    ),
    "propagate_down": (
        DATA + product(extra="propagate_down: true propagate_down: true"),
        "ip",
        "propagate_down",
        "either 0 or 1 times",
    ),
    "label gradient": (
        DATA + LABEL + product() + LOSS.replace("top:", "propagate_down: true propagate_down: true top:"),
        "loss",
        "propagate_down",
        "SoftmaxWithLoss Layer cannot backpropagate to label inputs.",
    ),
    "shared lr_mult": (
        DATA
        + product("a", extra='param { name: "w" lr_mult: 1 }')
        + product("b", "a", extra='param { name: "w" lr_mult: 2 }'),
        "b",
        "param[0].lr_mult",
        "Shared param 'w' has mismatched lr_mult: 1 in layer 'a', 2 here",
    ),
    "shared decay_mult": (
        DATA
        + product("a", extra='param { name: "w" decay_mult: 1 }')
        + product("b", "a", extra='param { name: "w" decay_mult: 0 }'),
        "b",
        "param[0].decay_mult",
        "Shared param 'w' has mismatched decay_mult",
    ),
    "shared shape": (
        DATA
        + product("a", outputs=6, extra='param { name: "w" }')
        + product("b", "a", outputs=3, extra='param { name: "w" }'),
        "b",
        "param[0].share_mode",
        r"Cannot share param 'w' owned by layer 'a' with layer 'b'; shape mismatch.  Owner layer param shape is "
        r"6 3 \(18\); sharing layer expects shape 3 6 \(18\)",
    ),
    "shared count": (
        DATA
        + product("a", outputs=6, extra='param { name: "w" }')
        + product("b", "a", outputs=4, extra='param { name: "w" share_mode: PERMISSIVE }'),
        "b",
        "param[0].share_mode",
        "count mismatch",
    ),
    "bottoms": (
        DATA + 'layer { name: "s" type: "SoftmaxWithLoss" bottom: "data" top: "s" }',
        "s",
        "bottom",
        r"expected 2 bottom blob\(s\), got 1",
    ),
    "tops": (
        DATA + 'layer { name: "s" type: "Softmax" bottom: "data" }',
        "s",
        "top",
        r"expected 1 top blob\(s\), got 0",
    ),
    "unknown type": (
        DATA + 'layer { name: "s" type: "Softmaxx" bottom: "data" top: "s" }',
        "s",
        "type",
        "unknown; closest: Softmax; known: .*Accuracy, ",
    ),
    "filler": (
        DATA + 'layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { '
        'num_output: 1 weight_filler { type: "xavir" } } }',
        "ip",
        "inner_product_param.weight_filler.type",
        "Unknown filler name: xavir; closest: xavier",
    ),
    "blobs": (
        DATA + product(extra="blobs { shape { dim: 3 dim: 3 } }"),
        "ip",
        "blobs[0]",
        r"a blob of shape \(3, 3\) holds 0",
    ),
    "number of blobs": (
        DATA + product(outputs=1, extra="blobs { shape { dim: 1 dim: 3 } data: 1 data: 1 data: 1 }"),
        "ip",
        "blobs",
        "expected 2 weight blobs, got 1",
    ),
    "shape of blobs": (
        DATA + product(outputs=1, extra="blobs { shape { dim: 1 dim: 1 } data: 1 }"),
        "ip",
        "blobs[0]",
        r"expected shape \(1, 3\), got \(1, 1\)",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str, tmp_path: Path) -> None:
    text, layer, field, problem = ERRORS[name]
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    with pytest.raises(PrototxtError, match=problem) as caught:
        Net(path)
    assert (caught.value.path, caught.value.layer, caught.value.field) == (str(path), layer, field)
