"""Figures as files: PNG to look at, SVG for print. The same figure gives the same bytes."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from caffe_compat.evaluation.figures.style import in_style
from caffe_compat.files import atomic_path

# Without the version and the date that matplotlib would put in.
_METADATA: dict[str, dict[str, None]] = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}


def save_figure(figure: Any, folder: Path, name: str) -> list[Path]:
    """Write ``folder/name.png`` and ``.svg``: both or, if the first cannot be drawn, neither. Returns their paths.

    Raises: OSError from the file system.
    """
    paths = [folder / f"{name}.{kind}" for kind in _METADATA]
    with contextlib.ExitStack() as files, in_style():
        parts = [files.enter_context(atomic_path(path)) for path in paths]
        for part, (kind, metadata) in zip(parts, _METADATA.items(), strict=True):
            figure.savefig(part, format=kind, metadata=metadata)
    return paths
