"""Compiling csrc/audit/: the header's formulas, as they are or with a fault put in, and the CUDA file for the host."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from caffe_compat.errors import CaffeCompatError, expected_got

REPOSITORY = Path(__file__).resolve().parents[3]
CSRC = REPOSITORY / "csrc"
MATH_HEADERS = ("label_noise_math.h", "number_math.h")
FLAGS = ("-std=c++17", "-O1", "-fPIC", "-shared", "-Wall", "-ffp-contract=off")
FAULTY_FLAGS = ("-std=c++17", "-O0", "-fPIC", "-shared", "-w", "-ffp-contract=off")  # compiled a hundred times

_STANDARD_HEADERS = ("cmath", "cstdint", "cstring", "type_traits", "vector")
_PRELUDE = "prelude.h"
_LAUNCH = re.compile(r"(\w+)<<<(.+), (\w+), 0, stream>>>\(args\);")


class CompileError(CaffeCompatError):
    """The compiler refused a source."""


def compiler() -> str:
    return os.environ.get("CXX", "c++")


def check_sources() -> None:
    """Raises: CaffeCompatError where the sources that are to be audited are not there (an installed package)."""
    for name in (*MATH_HEADERS, "audit/scalar_harness.cpp"):
        if not (CSRC / name).is_file():
            raise CaffeCompatError("the audit runs in a checkout of the sources: no such file", path=str(CSRC / name))


def compile_formulas(folder: Path, name: str = "formulas", patches: Mapping[str, str] | None = None) -> Path:
    """The math headers behind the scalar harness, as a library in ``folder``.

    Args:
        patches: {header: text to take its place}; such a library is compiled for speed of compiling.
    Raises: CompileError.
    """
    source, library = CSRC / "audit" / "scalar_harness.cpp", folder / f"{name}.so"
    if patches is None:
        return _compile(source, library, [CSRC], FLAGS)
    own = folder / name
    own.mkdir(exist_ok=True)
    for header in MATH_HEADERS:
        (own / header).write_text(patches.get(header, (CSRC / header).read_text()))
    prelude = folder / _PRELUDE
    flags = [*FAULTY_FLAGS, "-include", str(prelude)] if prelude.exists() else FAULTY_FLAGS
    return _compile(source, library, [own, CSRC], flags)


def compile_prelude(folder: Path) -> None:
    """Read the standard headers once for all faulty copies compiled in ``folder``, where the compiler can do that."""
    prelude = folder / _PRELUDE
    prelude.write_text("".join(f"#include <{name}>\n" for name in _STANDARD_HEADERS))
    command = [compiler(), *FAULTY_FLAGS, "-x", "c++-header", str(prelude), "-o", f"{prelude}.gch"]
    subprocess.run(command, capture_output=True, check=False)


def compile_device_code(folder: Path) -> Path:
    """label_noise_cuda.cu, its kernel launches spelled in C++, over the emulated warp. Raises: CompileError."""
    source, launches = _LAUNCH.subn(
        r"emulated::launch(\1<T>, \2, \3, args);", (CSRC / "label_noise_cuda.cu").read_text()
    )
    if launches != source.count("emulated::launch") or "<<<" in source or launches == 0:
        problem = expected_got(
            "every launch as kernel<<<blocks, threads, 0, stream>>>(args)", f"{launches} of that form"
        )
        raise CaffeCompatError(problem, path=str(CSRC / "label_noise_cuda.cu"))
    (folder / "label_noise_device.inc").write_text(source)
    includes = [folder, CSRC / "audit" / "emulated", CSRC]
    return _compile(CSRC / "audit" / "device_harness.cpp", folder / "device.so", includes, FLAGS)


def _compile(source: Path, library: Path, includes: Sequence[Path], flags: Sequence[str]) -> Path:
    command = [compiler(), *flags, *(f"-I{folder}" for folder in includes), str(source), "-o", str(library)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise CompileError(f"does not compile:\n{result.stderr[-2000:]}", path=str(source))
    return library


def compiler_version() -> str:
    result = subprocess.run([compiler(), "--version"], capture_output=True, text=True, check=True)
    return result.stdout.splitlines()[0]
