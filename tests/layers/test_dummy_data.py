"""DummyData: shapes, fillers, and which of them fill again. Values are compared with the fillers' definitions."""

from __future__ import annotations

import pytest
import torch
from databases import layer_from_text
from nets import layer_text

from caffe_compat import Net
from caffe_compat.errors import PrototxtError
from caffe_compat.layers import Layer

CONSTANT, GAUSSIAN = 'data_filler { type: "constant" value: 3 }', 'data_filler { type: "gaussian" std: 2 }'


def dummy_data(options: str, tops: int = 2) -> Layer:
    names = " ".join(f'top: "{name}"' for name in "abc"[:tops])
    return layer_from_text(f'name: "d" type: "DummyData" {names} dummy_data_param {{ {options} }}')


@pytest.mark.parametrize(
    ("options", "shapes"),
    [
        ("shape { dim: 2 dim: 3 }", [(2, 3), (2, 3)]),
        ("shape { dim: 2 dim: 3 } shape { dim: 4 }", [(2, 3), (4,)]),
        ("shape { } shape { dim: 0 dim: 2 }", [(), (0, 2)]),
        ("num: 2 channels: 3 height: 4 width: 5", [(2, 3, 4, 5), (2, 3, 4, 5)]),
        ("num: 2 num: 6 channels: 3 height: 4 height: 7 width: 5", [(2, 3, 4, 5), (6, 3, 7, 5)]),
    ],
)
def test_shapes(options: str, shapes: list[tuple[int, ...]]) -> None:
    layer = dummy_data(options)
    assert layer.top_shapes([]) == shapes
    assert [tuple(top.shape) for top in layer()] == shapes


@pytest.mark.parametrize(
    ("fillers", "values"), [("", [0, 0]), (CONSTANT, [3, 3]), (f"{CONSTANT} data_filler {{ value: -1 }}", [3, -1])]
)
def test_constants(fillers: str, values: list[int]) -> None:
    assert [top.unique().tolist() for top in dummy_data(f"shape {{ dim: 4 }} {fillers}")()] == [[v] for v in values]


def test_constants_are_filled_once_and_the_others_at_every_forward() -> None:
    layer = dummy_data(f"shape {{ dim: 20000 }} {CONSTANT} {GAUSSIAN}")
    (constant, random), (same, other) = layer(), layer()
    assert constant.data_ptr() == same.data_ptr() and same.unique().tolist() == [3]
    assert not (random == other).any()
    assert abs(random.mean()) < 0.06 and random.std() == pytest.approx(2, rel=0.03)


def test_random_fillers_follow_torchs_seed() -> None:
    layer = dummy_data(f"shape {{ dim: 5 }} {GAUSSIAN}", tops=1)
    torch.manual_seed(1)
    (first,) = layer()
    torch.manual_seed(1)
    assert torch.equal(layer()[0], first)


def test_tops_follow_the_layer() -> None:
    for top in dummy_data(f"shape {{ dim: 2 }} {CONSTANT} {GAUSSIAN}").double()():
        assert top.dtype == torch.float64


def test_in_a_net_with_a_layer_in_place() -> None:
    """The constant is not written over, so the next forward begins with it again."""
    text = layer_text("DummyData", "", "a", f"dummy_data_param {{ shape {{ dim: 2 }} {CONSTANT} }}", name="d")
    net = Net(text + 'layer { name: "r" type: "Dropout" bottom: "a" top: "a" }', phase="TRAIN")
    assert all(set(net()["a"].tolist()) <= {0, 6} for _ in range(5))


@pytest.mark.parametrize(
    ("options", "field", "problem"),
    [
        ("", "shape", r"Must specify 'shape' once, or once per top blob \(2\); specified 0."),
        ("shape { } " * 3, "shape", r"once per top blob \(2\); specified 3."),
        ("shape { dim: -2 }", "shape", "expected sizes >= 0, got -2"),
        ("shape { } num: 1", "shape", "Both shape and legacy fields were specified"),
        ("num: 2", "channels", r"Must specify 'channels' once, or once per top blob \(2\); specified 0."),
        ("num: 2 num: 2 num: 2 channels: 3 height: 4 width: 5", "num", "specified 3."),
        ("num: 2 channels: 3 height: 4", "width", "specified 0."),
        (f"shape {{ }} {CONSTANT * 3}", "data_filler", "must be 0, 1 or equal to the number of tops: 2; got 3"),
        ('shape { } data_filler { type: "gausian" }', "data_filler[0].type", "Unknown filler name: gausian; closest:"),
        (f"shape {{ }} {CONSTANT} {GAUSSIAN.replace('2', '0')}", "data_filler[1].std", "expected > 0, got 0"),
    ],
)
def test_options_that_make_no_sense(options: str, field: str, problem: str) -> None:
    with pytest.raises(PrototxtError, match=problem) as raised:
        dummy_data(options)
    error = raised.value
    assert (error.path, error.layer, error.field) == ("net.prototxt", "d", f"dummy_data_param.{field}")
