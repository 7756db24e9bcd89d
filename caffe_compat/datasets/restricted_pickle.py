"""Reading pickles of numpy arrays and plain containers without running what else they may ask for.

A pickle is a program. Only the globals listed here can be called; anything else is an error that names it.
"""

from __future__ import annotations

import io
import os
import pickle
import pickletools
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from caffe_compat.errors import DataError, expected_got


def _dtype(spec: str | bytes, align: int = 0, copy: int = 0) -> np.dtype[Any]:
    """``numpy.dtype`` as pickles call it; numpy no longer takes 0 and 1 for its flags."""
    return np.dtype(spec.decode("ascii") if isinstance(spec, bytes) else str(spec), align=bool(align), copy=bool(copy))


def _latin1_bytes(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes in protocol 2, ``_codecs.encode(text, "latin1")``, and no other codec."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the codec {encoding!r}, which is not allowed")
    return text.encode("latin-1")


_reconstruct = np.empty(0).__reduce__()[0]  # numpy's own function, whatever its module is called today
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _latin1_bytes,
}

_LEGACY_TORCH_MAGIC = 0x1950A86A20F9469CFC6C


class _RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not allowed")
        return _ALLOWED[module, name]


def read_pickle(path: str | os.PathLike[str]) -> Any:
    """Read one pickle, of Python 2 or 3; strings of Python 2 come as bytes.

    Raises: DataError naming the file, and the global if the pickle asks for one that is not allowed.
    """
    return _read(path, _load)


def read_torch_file(path: str | os.PathLike[str]) -> Any:
    """Read what ``torch.save`` wrote, in its zip or its older format, if it holds numpy arrays and no tensors.

    Raises: as :func:`read_pickle`.
    """
    return _read(path, _load_torch)


def _read(path: str | os.PathLike[str], load: Callable[[BinaryIO], Any]) -> Any:
    with open(path, "rb") as file:
        try:
            return load(file)
        except Exception as exc:  # a damaged or hostile pickle can raise anything
            raise DataError(f"not a pickle of numpy arrays that can be read safely: {exc}", path=str(path)) from exc


def _load(file: BinaryIO) -> Any:
    start = file.tell()
    for opcode, argument, position in pickletools.genops(file):
        # Python makes room for all the numbers below one that something is remembered by: 34 GB for five bytes.
        if opcode.name in ("PUT", "LONG_BINPUT") and not 0 <= argument <= position + 1:  # type: ignore[operator]
            raise pickle.UnpicklingError(f"memo: {expected_got('numbers in their order', argument)}")
    file.seek(start)
    return _RestrictedUnpickler(file, encoding="bytes").load()


def _load_torch(file: BinaryIO) -> Any:
    is_zipped = zipfile.is_zipfile(file)
    file.seek(0)
    return _load_torch_zip(file) if is_zipped else _load_torch_legacy(file)


def _load_torch_zip(file: BinaryIO) -> Any:
    with zipfile.ZipFile(file) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise pickle.UnpicklingError(expected_got("one data.pkl in the archive", len(pickles)))
        if archive.getinfo(pickles[0]).compress_type != zipfile.ZIP_STORED:
            raise pickle.UnpicklingError("data.pkl is compressed, which torch.save never does")
        return _load(io.BytesIO(archive.read(pickles[0])))


def _load_torch_legacy(file: BinaryIO) -> Any:
    """Four pickles: a magic number, the format's version, facts about the machine, and the object."""
    if _load(file) != _LEGACY_TORCH_MAGIC:
        raise pickle.UnpicklingError("torch.save did not write it")
    _load(file), _load(file)
    return _load(file)
