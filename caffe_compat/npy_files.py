"""Numpy's ``.npy`` files, read without trust."""

from __future__ import annotations

import os

import numpy as np


def map_npy(path: str | os.PathLike[str]) -> np.ndarray:
    """The array of an ``.npy`` file, mapped read-only: nothing is read before it is used.

    Raises: ValueError saying that the file holds no such array, or not all of it; OSError if it cannot be read.
    """
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except OSError:
        raise
    except Exception as exc:  # the header is a Python expression: what is wrong with one comes in a dozen classes
        raise ValueError(f"not an .npy file of numbers, or broken: {exc}") from exc
