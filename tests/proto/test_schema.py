"""Our messages against the list of Caffe's (tests/golden/schema): nothing missing, nothing different, ours named."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto

import caffe_compat.proto
from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt.printing import float_text

SCHEMA = Path(__file__).parents[1] / "golden" / "schema"

OURS = {  # field: number; those above 1000 are new, the others are the paper's authors' or NVIDIA's
    "BlobProto.raw_data_type": 10,
    "BlobProto.raw_data": 12,
    "BlobProto.cut_index": 1001,
    "FillerParameter.source": 9,
    "NetParameter.richness": 9,
    "NetParameter.auto_insert_gathers": 10,
    "LayerParameter.softmax_noisy_label_loss_param": 1138,
    "DataParameter.index": 1001,
    "DataParameter.shuffle": 1002,
    "SoftmaxNoisyLabelLossParameter.update_noise_lr": 1,
    "SoftmaxNoisyLabelLossParameter.matrix_c_filler": 2,
}
OUR_ENUM = "BlobProto.RawDataType"  # NVIDIA's too

Row = dict[str, str]


def rows(name: str) -> list[Row]:
    with open(SCHEMA / name, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def file_proto() -> FileDescriptorProto:
    proto = FileDescriptorProto()
    caffe_pb2.DESCRIPTOR.CopyToProto(proto)
    return proto


MESSAGES: dict[str, DescriptorProto] = {message.name: message for message in file_proto().message_type}
FIELDS: dict[str, FieldDescriptorProto] = {
    f"{message.name}.{field.name}": field for message in MESSAGES.values() for field in message.field
}


def described(name: str) -> Row:
    """A field of ours in the columns of the schema file."""
    field = FIELDS[name]
    message, _, field_name = name.partition(".")
    is_float = field.type == field.TYPE_FLOAT
    is_named = field.type in (field.TYPE_MESSAGE, field.TYPE_ENUM)
    return {
        "message": message,
        "field": field_name,
        "number": str(field.number),
        "label": FieldDescriptorProto.Label.Name(field.label).removeprefix("LABEL_").lower(),
        "type": field.type_name.removeprefix(".caffe_compat.")
        if is_named
        else FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower(),
        "default": float_text(float(field.default_value)) if is_float and field.default_value else field.default_value,
        "packed": "packed" if field.options.packed else "",
        "deprecated": "deprecated" if field.options.deprecated else "",
    }


@pytest.mark.parametrize("row", rows("caffe_fields.tsv"), ids=lambda row: f"{row['message']}.{row['field']}")
def test_every_field_of_caffe_is_as_caffe_has_it(row: Row) -> None:
    assert described(f"{row['message']}.{row['field']}") == row


def test_the_fields_that_caffe_does_not_have_are_these() -> None:
    caffes = {f"{row['message']}.{row['field']}" for row in rows("caffe_fields.tsv")}
    assert {name: FIELDS[name].number for name in FIELDS.keys() - caffes} == OURS


def test_every_enum_of_caffe_is_as_caffe_has_it_and_there_is_one_other() -> None:
    enums = [("", enum) for enum in file_proto().enum_type]
    enums += [(f"{message.name}.", enum) for message in MESSAGES.values() for enum in message.enum_type]
    ours = {(owner + enum.name, value.name, value.number) for owner, enum in enums for value in enum.value}
    half = {(OUR_ENUM, "DOUBLE", 0), (OUR_ENUM, "FLOAT", 1), (OUR_ENUM, "FLOAT16", 2)}
    assert half <= ours
    assert ours - half == {(row["enum"], row["value"], int(row["number"])) for row in rows("caffe_enums.tsv")}


def test_no_number_of_ours_is_one_of_caffes() -> None:
    for name, number in OURS.items():
        message = name.partition(".")[0]
        assert [field.name for field in MESSAGES[message].field if field.number == number] == [name.partition(".")[2]]


FIELD_LINE = re.compile(r"(optional|required|repeated) ([\w.]+) (\w+) = (\d+)(?: \[(.+)\])?;")


def test_the_generated_module_is_made_from_our_proto_file() -> None:
    text = (Path(caffe_compat.proto.__file__).parent / "caffe.proto").read_text()
    written = set()
    for message, body in re.findall(r"^message (\w+) \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL):
        for label, kind, field, number, options in FIELD_LINE.findall(body):
            default = re.search(r'default = "?([^",\]]+)', options)
            is_packed = "packed = true" in options
            default_text = default[1] if default else ""
            written.add((message, field, number, label, kind.rpartition(".")[2], default_text, is_packed))
    generated = {
        (
            row["message"],
            row["field"],
            row["number"],
            row["label"],
            row["type"].rpartition(".")[2],
            row["default"],
            bool(row["packed"]),
        )
        for row in map(described, FIELDS)
    }
    assert written == generated
