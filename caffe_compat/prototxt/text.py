"""Protobuf text to a message; what is wrong with the text is told with file, line and column."""

from __future__ import annotations

import difflib
import re
from typing import Any, TypeVar, cast

from google.protobuf import text_format
from google.protobuf.message import Message

from caffe_compat.errors import PrototxtError
from caffe_compat.proto import caffe_pb2

M = TypeVar("M", bound=Message)

_PACKAGE = caffe_pb2.DESCRIPTOR.package + "."
_NO_FIELD = re.compile(r'Message type "([\w.]+)" has no field named "(\w+)"')
_NO_VALUE = re.compile(r'Enum type "([\w.]+)" has no value named "?(\w+)')
_LAYER = re.compile(r"\blayers?\s*:?\s*\{")
_CLOSED = re.compile(r"\{[^{}]*\}")
_COMMENT = re.compile(r"#.*")
_NAME_OR_TYPE = re.compile(r"""\b(name|type)\s*:\s*(["']?)([^\s"'].*?)\2(?=[\s;,]|$)""")
_PLACE = re.compile(r"^\d+:\d+ : ")


class PrototxtSyntaxError(PrototxtError):
    """Text that protobuf cannot read as the message: ``net.prototxt:41:5: ...``.

    Attributes:
        line, column: the place in the text, both counted from 1.
    """

    def __init__(
        self,
        problem: str,
        path: str,
        line: int,
        column: int,
        *,
        layer: str | None = None,
        layer_type: str | None = None,
    ) -> None:
        super().__init__(problem, path=f"{path}:{line}:{column}", layer=layer, layer_type=layer_type)
        self.path, self.line, self.column = path, line, column


def parse_text(text: str, message: M, path: str | None = None) -> M:
    """Fill ``message`` (empty on entry) from protobuf text and return it. ``path`` is for error messages only.

    Raises: PrototxtSyntaxError for text that is not this message, with the closest names where a field or an enum
        value is unknown; PrototxtError where a required field is missing.
    """
    name = path or "<text>"
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as exc:
        line, column = exc.GetLine() or 1, exc.GetColumn() or 1
        sentence = _sentence(exc, text)
        is_unknown = _NO_FIELD.search(sentence) or _NO_VALUE.search(sentence)
        layer, layer_type = _layer_at(text, line, column) if is_unknown else (None, None)
        raise PrototxtSyntaxError(_explain(sentence), name, line, column, layer=layer, layer_type=layer_type) from exc
    missing: list[str] = cast(Any, message).FindInitializationErrors()
    if missing:
        raise PrototxtError(f"required field(s) missing: {', '.join(missing)}", path=name)
    return message


def _sentence(exc: text_format.ParseError, text: str) -> str:
    """What protobuf says, without the place and the copy of the whole line that it puts before it."""
    sentence = _PLACE.sub("", str(exc))
    for line in ["", *text.split("\n")]:
        sentence = sentence.removeprefix(f"'{line}': ")
    return sentence.replace(_PACKAGE, "").strip()


def _layer_at(text: str, line: int, column: int) -> tuple[str | None, str | None]:
    """Name and type of the layer that the place is in, as far as they stand before it; a look at the text alone."""
    lines = text.split("\n")[:line]
    before = "\n".join(_COMMENT.sub("", each) for each in [*lines[:-1], lines[-1][: column - 1]])
    *_, inside = _LAYER.split(before)
    while _CLOSED.search(inside):
        inside = _CLOSED.sub("", inside)
    own = {field: value for field, _, value in _NAME_OR_TYPE.findall(inside.partition("{")[0])}
    if not own or "}" in inside or not _LAYER.search(before):
        return None, None
    return own.get("name", ""), own.get("type")


def _explain(sentence: str) -> str:
    """The sentence, in our words where the closest name helps."""
    pool = caffe_pb2.DESCRIPTOR.pool
    if found := _NO_FIELD.search(sentence):
        owner = pool.FindMessageTypeByName(_PACKAGE + found[1])
        return _unknown(f"{found[1]} has no field", found[2], [field.name for field in owner.fields])
    if found := _NO_VALUE.search(sentence):
        enum = pool.FindEnumTypeByName(_PACKAGE + found[1])
        return _unknown(f"{found[1]} has no value", found[2], [value.name for value in enum.values])
    return sentence


def _unknown(sentence: str, name: str, known: list[str]) -> str:
    lowered = {each.lower(): each for each in known}
    near = [lowered[each] for each in difflib.get_close_matches(name.lower(), lowered, n=3, cutoff=0.6)]
    hint = f"closest: {', '.join(near)}" if near else f"known: {', '.join(known)}"
    return f'{sentence} "{name}"; {hint}'
