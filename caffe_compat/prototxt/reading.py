"""Nets and solvers from wherever they come: a file, a text, a message; always in the current format."""

from __future__ import annotations

import os
import re
from typing import TypeVar

from caffe_compat.errors import PrototxtError, expected_got
from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt.text import PrototxtSyntaxError, parse_text
from caffe_compat.prototxt.upgrade import upgrade_net, upgrade_solver

NetSource = str | os.PathLike[str] | caffe_pb2.NetParameter
SolverSource = str | os.PathLike[str] | caffe_pb2.SolverParameter
M = TypeVar("M", caffe_pb2.NetParameter, caffe_pb2.SolverParameter)

# A prototxt text, unlike a path: several lines, or a first word followed by a colon and a blank or quote, or a brace.
_LOOKS_LIKE_TEXT = re.compile(r"\n|^\s*(#|\w+\s*(:\s*[\s\"'\d{-]|\{))")


def read_net(source: NetSource) -> tuple[caffe_pb2.NetParameter, str | None]:
    """A net from a path, a prototxt text or a message (which is left as it is), upgraded, and its path or None.

    Raises: PrototxtError naming the file for one that is missing, a directory, not text, or not a net.
    """
    net, path = _read(source, caffe_pb2.NetParameter())
    return upgrade_net(net, path), path


def read_solver(source: SolverSource) -> tuple[caffe_pb2.SolverParameter, str | None]:
    """A solver from a path, a prototxt text or a message; as ``read_net``. Nets inside it are left as they are."""
    solver, path = _read(source, caffe_pb2.SolverParameter())
    return upgrade_solver(solver, path), path


def _read(source: str | os.PathLike[str] | M, message: M) -> tuple[M, str | None]:
    if isinstance(source, type(message)):
        message.CopyFrom(source)
        return message, None
    if not isinstance(source, str | os.PathLike):
        raise TypeError(f"expected a path, a text or a {type(message).__name__}, got {type(source).__name__}")
    if isinstance(source, str) and _LOOKS_LIKE_TEXT.search(source) and not os.path.exists(source):
        return _parse(source, message), None
    path = os.fspath(source)
    return read_as_written(path, message), path


def read_as_written(path: str, message: M) -> M:
    """Fill ``message`` (empty on entry) from a prototxt file, without upgrading it. Raises: PrototxtError."""
    return _parse(read_text(path), message, path)


def _parse(text: str, message: M, path: str | None = None) -> M:
    """``parse_text``, which also tells a solver from a net."""
    try:
        return parse_text(text, message, path)
    except PrototxtSyntaxError as exc:
        if isinstance(message, caffe_pb2.NetParameter) and _parses(text, caffe_pb2.SolverParameter()):
            problem = f"{expected_got('a net', 'a solver')}; --solver takes solvers"
        elif isinstance(message, caffe_pb2.SolverParameter) and _parses(text, caffe_pb2.NetParameter()):
            problem = f"{expected_got('a solver', 'a net')}; nets go to --model or a solver's `net`, not to --solver"
        else:
            raise
        raise PrototxtError(problem, path=exc.path) from exc


def _parses(text: str, message: caffe_pb2.NetParameter | caffe_pb2.SolverParameter) -> bool:
    try:
        parse_text(text, message)
    except PrototxtError:
        return False
    return True


def read_text(path: str) -> str:
    """A prototxt file's text. Raises: PrototxtError naming the file if it cannot be read."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            return file.read()
    except FileNotFoundError:
        raise PrototxtError("no such file", path=path) from None
    except IsADirectoryError:
        raise PrototxtError("is a directory, not a prototxt file", path=path) from None
    except PermissionError:
        raise PrototxtError("no permission to read it", path=path) from None
    except UnicodeDecodeError as exc:
        raise PrototxtError(f"not a text file in UTF-8 (byte {exc.start})", path=path) from exc
