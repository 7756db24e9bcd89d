"""A message as prototxt, the way Caffe prints it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from google.protobuf import text_encoding
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from caffe_compat.prototxt.fields import is_repeated


def to_text(message: Message) -> str:
    """``message`` as text: fields in number order, two blanks of indent, as C++ protobuf prints it for Caffe.

    Floats are the shortest decimal that reads back as the same float32, in the style of C's ``%g`` (``0.0078125``,
    ``1``, ``1e-05``, ``1e+06``).
    """
    return "".join(f"{line}\n" for line in _lines(message, ""))


def _lines(message: Message, indent: str) -> Iterator[str]:
    for field, value in message.ListFields():
        for item in value if is_repeated(field) else [value]:
            if field.type == FieldDescriptor.TYPE_MESSAGE:
                yield f"{indent}{field.name} {{"
                yield from _lines(item, indent + "  ")
                yield f"{indent}}}"
            else:
                yield f"{indent}{field.name}: {_scalar(field, item)}"


def _scalar(field: Any, value: Any) -> str:
    if field.type == FieldDescriptor.TYPE_FLOAT:
        return float_text(value)
    if field.type == FieldDescriptor.TYPE_DOUBLE:
        return _shortest(float(value), float, (15, 17))
    if field.type == FieldDescriptor.TYPE_BOOL:
        return "true" if value else "false"
    if field.type == FieldDescriptor.TYPE_ENUM:
        return str(field.enum_type.values_by_number[value].name)
    if field.type == FieldDescriptor.TYPE_STRING:
        return f'"{text_encoding.CEscape(value.encode(), as_utf8=False)}"'
    if field.type == FieldDescriptor.TYPE_BYTES:
        return f'"{text_encoding.CEscape(value, as_utf8=False)}"'
    return str(value)


def float_text(value: float) -> str:
    """The shortest decimal that reads back as the float32 ``value``, in ``%g`` style."""
    return _shortest(float(value), np.float32, (6, 7, 8, 9))


def _shortest(value: float, kind: type, precisions: tuple[int, ...]) -> str:
    texts = (f"{value:.{digits}g}" for digits in precisions)
    wanted = kind(value)
    return next(text for text in texts if not np.isfinite(value) or kind(text) == wanted)
