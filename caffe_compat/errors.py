"""Errors about files: where, what, expected, got.

Misuse of a Python function raises the built-in ``ValueError`` or ``TypeError``; what a *file* gets wrong raises
one of the classes here, whose text starts with the place (``net.prototxt: layer "conv1" (Convolution): ...``) and
whose attributes name it for programs. Command lines print the text alone and exit with 2.
"""

from __future__ import annotations


class CaffeCompatError(ValueError):
    """Anything wrong with an input of the user's: a file, a field, a database, a weight.

    Attributes:
        path: the file or database, or None when the message did not come from a file.
        layer: the layer's name, or None.
        field: the dotted field name (``convolution_param.num_output``), or None.
    """

    def __init__(
        self,
        problem: str,
        *,
        path: str | None = None,
        layer: str | None = None,
        layer_type: str | None = None,
        field: str | None = None,
    ) -> None:
        self.problem, self.path, self.layer, self.layer_type, self.field = problem, path, layer, layer_type, field
        subject = f'layer "{layer}"' + (f" ({layer_type})" if layer_type else "") if layer is not None else None
        super().__init__(": ".join(str(part) for part in (path, subject, field, problem) if part))


class PrototxtError(CaffeCompatError):
    """A net or solver description that cannot be read or does not make sense."""


class DataError(CaffeCompatError):
    """A database, image, list or mean file that is missing, broken or out of step with another."""


class WeightsError(CaffeCompatError):
    """A weights or solver-state file that cannot be read, or does not fit the net."""


def expected_got(expected: object, got: object) -> str:
    """The one form in which a wrong value is reported."""
    return f"expected {expected}, got {got}"
