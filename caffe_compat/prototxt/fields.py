"""Setting fields known by name only, over the protobuf releases we run on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf.message import Message


def is_repeated(field: Any) -> bool:
    """Whether a field (its descriptor) is repeated; protobuf 5 and 7 have no common way to ask."""
    return bool(field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED)


def copy_field(message: Message, name: str, value: Any) -> None:
    """Set field ``name`` to a value of its own type. A single value given for a repeated field is appended."""
    field = message.DESCRIPTOR.fields_by_name[name]
    if is_repeated(field):
        getattr(message, name).extend(value if isinstance(value, Iterable) else [value])
    elif field.message_type is not None:
        getattr(message, name).CopyFrom(value)
    else:
        setattr(message, name, value)
