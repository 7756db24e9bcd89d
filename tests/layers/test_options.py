"""Every field of every supported message changes something, or there is a reason why it cannot."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest
from option_table import Row, case_modules, descriptor, effect_of, fields_of, is_holder, set_fields

from caffe_compat.layers import layer_types
from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt import parse_text

sys.path.insert(0, str(Path(__file__).parent))  # for the case modules that import nets

import golden_layers  # noqa: E402

# The messages of the layer types that are there; a type that is added brings its message.
SUPPORTED = {
    "ConvolutionParameter", "PoolingParameter", "LRNParameter", "ReLUParameter", "InnerProductParameter",
    "DropoutParameter", "SoftmaxParameter", "LossParameter", "AccuracyParameter", "ConcatParameter", "EltwiseParameter",
    "InputParameter", "MemoryDataParameter", "DataParameter", "TransformationParameter",
    "SoftmaxNoisyLabelLossParameter", "FillerParameter", "ParamSpec", "LayerParameter", "NetParameter", "NetState",
    "NetStateRule", "BlobShape", "BlobProto",
}

MODULES = case_modules()
ROWS: dict[str, Row] = {row.field: row for module in MODULES for row in module.ROWS}
COVERED = {message for module in MODULES for message in module.MESSAGES}


def fields() -> list[str]:
    """All fields that need a row."""
    return [name for message in sorted(SUPPORTED | COVERED) for name in fields_of(message) if not is_holder(name)]


def golden_cases() -> Counter[str]:
    """In how many of real Caffe's single-layer answers each field is set."""
    found: Counter[str] = Counter()
    for name in golden_layers.CASES:
        net = parse_text(str(golden_layers.read_case(name)["prototxt"]), caffe_pb2.NetParameter())
        found.update(set(set_fields(net)))
    return found


@pytest.mark.parametrize("field", fields())
def test_field(field: str) -> None:
    if field not in ROWS:
        pytest.fail(f"{field}: no row shows what it does")
    effect_of(ROWS[field])


def test_no_row_is_about_nothing() -> None:
    assert set(ROWS) <= set(fields())
    assert sum(len(module.ROWS) for module in MODULES) == len(ROWS), "two rows for one field"


def test_every_registered_types_message_is_supported() -> None:
    """``X`` in the registry and ``XParameter`` in the schema: then XParameter's fields need rows."""
    known = {f"{name}Parameter" for name in layer_types()} & set(caffe_pb2.DESCRIPTOR.message_types_by_name)
    assert known <= SUPPORTED | COVERED


def test_layers_options_are_supported_or_of_other_types() -> None:
    """Each ``..._param`` of a layer holds a supported message, or one whose layer type is not there."""
    for field in descriptor("LayerParameter").fields:
        if field.message_type is not None and field.name.endswith("_param"):
            message = field.message_type.name
            assert message in SUPPORTED | COVERED or message.removesuffix("Parameter") not in layer_types()


def test_table() -> None:
    """Prints the table (pytest -rP shows it)."""
    golden = golden_cases()
    print(f"{'field':48s} {'real Caffe':>10s}  effect")
    for field in fields():
        print(f"{field:48s} {golden[field] or '':>10}  {effect_of(ROWS[field])}")
