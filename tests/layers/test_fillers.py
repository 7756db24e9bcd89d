"""Fillers: exact ones to the number, random ones by their statistics and bounds."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from google.protobuf import text_format

from caffe_compat.errors import PrototxtError
from caffe_compat.layers.fillers import fill
from caffe_compat.proto import caffe_pb2
from caffe_compat.weights import write_blobproto_file

SHAPE = (40, 25, 6, 5)  # FAN_IN 750, FAN_OUT 1200
FANS = {"FAN_IN": 750, "FAN_OUT": 1200, "AVERAGE": 975}


def filled(text: str, shape: tuple[int, ...] = SHAPE) -> torch.Tensor:
    torch.manual_seed(0)
    blob = torch.full(shape, torch.nan)
    fill(blob, text_format.Parse(text, caffe_pb2.FillerParameter()))
    return blob


def test_default_is_zero() -> None:
    assert (filled("") == 0).all()


def test_constant() -> None:
    assert (filled('type: "constant" value: -2.5') == -2.5).all()


@pytest.mark.parametrize(("options", "low", "high"), [("", 0, 1), ("min: -3 max: 2", -3, 2)])
def test_uniform(options: str, low: float, high: float) -> None:
    check_uniform(filled(f'type: "uniform" {options}'), low, high)


def check_uniform(blob: torch.Tensor, low: float, high: float) -> None:
    width = high - low
    assert low <= blob.min() < low + 0.01 * width
    assert high - 0.01 * width < blob.max() <= high
    assert blob.mean().item() == pytest.approx((low + high) / 2, abs=0.01 * width)
    assert blob.var().item() == pytest.approx(width**2 / 12, rel=0.05)


def check_normal(blob: torch.Tensor, mean: float, std: float) -> None:
    assert blob.mean().item() == pytest.approx(mean, abs=0.03 * std)
    assert blob.std().item() == pytest.approx(std, rel=0.02)
    kurtosis = ((blob - mean) / std).pow(4).mean().item()
    assert kurtosis == pytest.approx(3, abs=0.2)


@pytest.mark.parametrize(("options", "mean", "std"), [("", 0, 1), ("mean: 4 std: 0.1", 4, 0.1)])
def test_gaussian(options: str, mean: float, std: float) -> None:
    check_normal(filled(f'type: "gaussian" {options}'), mean, std)


def test_sparse_gaussian_keeps_each_element_with_probability_sparse_over_outputs() -> None:
    blob = filled('type: "gaussian" mean: 9 std: 1 sparse: 10')
    assert (blob != 0).float().mean().item() == pytest.approx(10 / 40, abs=0.01)
    check_normal(blob[blob != 0], 9, 1)
    assert (filled('type: "gaussian" sparse: 0') == 0).all()


def test_positive_unitball() -> None:
    blob = filled('type: "positive_unitball"')
    assert (blob >= 0).all()
    torch.testing.assert_close(blob.flatten(1).sum(1), torch.ones(40))
    assert blob.std() > 0


@pytest.mark.parametrize("norm", FANS)
def test_xavier(norm: str) -> None:
    bound = math.sqrt(3 / FANS[norm])
    check_uniform(filled(f'type: "xavier" variance_norm: {norm}'), -bound, bound)


@pytest.mark.parametrize("norm", FANS)
def test_msra(norm: str) -> None:
    check_normal(filled(f'type: "msra" variance_norm: {norm}'), 0, math.sqrt(2 / FANS[norm]))


def test_fan_out_of_one_axis_is_the_count() -> None:
    bound = math.sqrt(3 / 5000)
    check_uniform(filled('type: "xavier" variance_norm: FAN_OUT', (5000,)), -bound, bound)


def test_bilinear() -> None:
    blob = filled('type: "bilinear"', (2, 1, 4, 4))
    line = np.array([0.25, 0.75, 0.75, 0.25])
    np.testing.assert_allclose(blob.numpy(), np.broadcast_to(np.outer(line, line), (2, 1, 4, 4)), rtol=1e-6)
    odd = filled('type: "bilinear"', (1, 1, 3, 3))
    np.testing.assert_allclose(odd[0, 0, 1].numpy(), [0.5, 1, 0.5], rtol=1e-6)


@pytest.mark.parametrize("stored", [(3, 3), (1, 1, 3, 3)])
def test_blob_proto(tmp_path: Path, stored: tuple[int, ...]) -> None:
    values = np.arange(9, dtype=np.float32).reshape(stored)
    write_blobproto_file(tmp_path / "c.binaryproto", values)
    blob = filled(f'type: "blob_proto" source: "{tmp_path}/c.binaryproto"', (1, 1, 3, 3))
    np.testing.assert_array_equal(blob.numpy(), values.reshape(1, 1, 3, 3))


def test_blob_proto_of_another_shape(tmp_path: Path) -> None:
    write_blobproto_file(tmp_path / "c.binaryproto", np.zeros((2, 8), np.float32))
    with pytest.raises(PrototxtError, match=r"expected shape \(4, 4\), got \(1, 1, 2, 8\)") as caught:
        filled(f'type: "blob_proto" source: "{tmp_path}/c.binaryproto"', (4, 4))
    assert caught.value.field == "source"


ERRORS = {
    'type: "gausian"': ("type", "Unknown filler name: gausian; closest: gaussian; known: constant, uniform"),
    'type: "uniform" min: 2 max: 1': ("min", r"expected at most max \(1\), got 2"),
    'type: "gaussian" std: 0': ("std", "expected > 0, got 0"),
    'type: "gaussian" sparse: 41': ("sparse", "expected at most the 40 outputs, got 41"),
    'type: "gaussian" sparse: -2': ("sparse", "expected >= -1, got -2"),
    'type: "constant" sparse: 3': ("sparse", "Sparsity not supported"),
    'type: "bilinear"': ("type", "square kernels"),
    'type: "blob_proto"': ("source", "expected the path"),
    'type: "blob_proto" source: "/nowhere.binaryproto"': ("source", "/nowhere.binaryproto"),
}


@pytest.mark.parametrize("text", ERRORS)
def test_errors(text: str) -> None:
    field, problem = ERRORS[text]
    with pytest.raises(PrototxtError, match=problem) as caught:
        filled(text)
    assert caught.value.field == field


@pytest.mark.parametrize("text", ['"xavier"', '"msra"', '"positive_unitball"', '"gaussian" sparse: 1'])
def test_a_single_number_has_no_outputs_to_count(text: str) -> None:
    with pytest.raises(PrototxtError, match="blob without axes") as caught:
        filled(f"type: {text}", ())
    assert caught.value.field == "type"
    assert filled('type: "gaussian" mean: 5 std: 0.1', ()).shape == ()
