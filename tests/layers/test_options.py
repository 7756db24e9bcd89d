"""Every field of every supported message changes something, or there is a reason why it cannot.

``python tests/layers/test_options.py`` writes the table to docs/options.md.
"""

from __future__ import annotations

import functools
import sys
from collections import Counter
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
for folder in (TESTS, *TESTS.glob("*/")):  # the case modules import their neighbours
    sys.path.append(str(folder))

from golden_layers import CASES, read_case  # noqa: E402
from option_table import Row, case_modules, descriptor, effect_of, fields_of, is_holder, set_fields  # noqa: E402

from caffe_compat.layers import layer_types  # noqa: E402
from caffe_compat.proto import caffe_pb2  # noqa: E402
from caffe_compat.prototxt import parse_text  # noqa: E402

DOCUMENT = TESTS.parent / "docs" / "options.md"
INTRODUCTION = """# What every option does

One row for each field of each message that a supported layer, net or solver reads. The tests make this table
(`tests/layers/test_options.py`): each row stands for two descriptions that differ in the field, which are built and
run; what differs afterwards is the effect. A field that changes nothing has the reason instead, and one without
either fails the tests. "Caffe" counts the single-layer answers of real Caffe (`tests/golden/layers`) that set the
field and are reproduced; "formula" says that the effect is checked against one. A layer's `..._param` fields hold the
messages listed here and have no row of their own.
"""

# The messages of the layer types that are there; a type that is added brings its message.
SUPPORTED = {
    "ConvolutionParameter",
    "PoolingParameter",
    "LRNParameter",
    "ReLUParameter",
    "InnerProductParameter",
    "DropoutParameter",
    "SoftmaxParameter",
    "LossParameter",
    "AccuracyParameter",
    "ConcatParameter",
    "EltwiseParameter",
    "InputParameter",
    "MemoryDataParameter",
    "DataParameter",
    "TransformationParameter",
    "SoftmaxNoisyLabelLossParameter",
    "FillerParameter",
    "ParamSpec",
    "LayerParameter",
    "NetParameter",
    "NetState",
    "NetStateRule",
    "BlobShape",
    "BlobProto",
    "SolverParameter",
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
    for name in CASES:
        net = parse_text(str(read_case(name)["prototxt"]), caffe_pb2.NetParameter())
        found.update(set(set_fields(net)))
    return found


@functools.cache
def effect(field: str) -> str:
    return effect_of(ROWS[field])


def table() -> str:
    """The document's text."""
    lines, golden = [INTRODUCTION], golden_cases()
    for message in sorted(SUPPORTED | COVERED):
        lines.append(f"## {message}\n\n| field | Caffe | formula | effect |\n|---|---|---|---|")
        for name in fields():
            if name.startswith(f"{message}."):
                formula = "yes" if getattr(ROWS[name], "expect", None) else ""
                field = name.removeprefix(f"{message}.")
                lines.append(f"| {field} | {golden[name] or ''} | {formula} | {effect(name)} |")
        lines.append("")
    return "\n".join(lines)


@pytest.mark.parametrize("field", fields())
def test_field(field: str) -> None:
    if field not in ROWS:
        pytest.fail(f"{field}: no row shows what it does")
    effect(field)


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


def test_document_is_this_table() -> None:
    assert DOCUMENT.read_text() == table(), "docs/options.md is out of date: python tests/layers/test_options.py"


if __name__ == "__main__":
    DOCUMENT.write_text(table())
