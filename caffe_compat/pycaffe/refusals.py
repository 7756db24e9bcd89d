"""Names of pycaffe's that are not here, each with the reason: better than "has no attribute"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NoReturn


def refusing(module: str, reasons: Mapping[str, str]) -> Callable[[str], NoReturn]:
    """The ``__getattr__`` of a module that lacks the names of ``reasons``; it raises AttributeError with the reason."""

    def refuse(name: str) -> NoReturn:
        if name in reasons:
            raise AttributeError(f"{module}.{name} of Caffe's is not here: {reasons[name]}")
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return refuse
