"""``make cuda-compile``: compile every CUDA kernel with nvcc, without a GPU or a CUDA build of PyTorch.

Prints registers and spills of each kernel. Fails if one does not compile or spills registers; without nvcc it says
that it did nothing, which is a failure where CI is set.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ARCHITECTURES = ("sm_80", "sm_90")
FLAGS = ("-std=c++20", "-O3", "-c", "-Xptxas", "-v")
KERNEL = re.compile(r"Compiling entry function '(\S+)'")
SPILLS = re.compile(r"(\d+) bytes spill stores, (\d+) bytes spill loads")
REGISTERS = re.compile(r"Used (\d+) registers")


def main() -> int:
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        print("cuda-compile: nvcc is not here: nothing was compiled")
        return 1 if os.environ.get("CI") else 0
    sources = sorted((Path(__file__).parents[1] / "csrc").glob("*.cu"))
    spilled = [compile_source(nvcc, source, architecture) for source in sources for architecture in ARCHITECTURES]
    if any(spilled):
        print("cuda-compile: kernels spill registers")
    return 1 if any(spilled) else 0


def compile_source(nvcc: str, source: Path, architecture: str) -> bool:
    """Compile, print a line for each kernel, and return whether one spills. Ends the program on an error."""
    with tempfile.TemporaryDirectory() as folder:
        command = [nvcc, f"-arch={architecture}", *FLAGS, str(source), "-o", f"{folder}/kernel.o"]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"cuda-compile: {source.name} ({architecture}) does not compile:\n{result.stderr}")
    return report(f"{source.name} {architecture}", result.stderr)


def report(title: str, log: str) -> bool:
    """Print what ptxas says of each kernel; returns whether one spills. Ends the program if it speaks of none."""
    kernel, kernels, spilled, spills = "", 0, 0, 0
    print(title)
    for line in log.splitlines():
        if found := KERNEL.search(line):
            kernel = demangled(found[1])
        elif found := SPILLS.search(line):
            spills = int(found[1]) + int(found[2])
            spilled += spills
        elif kernel and (found := REGISTERS.search(line)):
            print(f"    {kernel}: {found[1]} registers, {spills} bytes spilled")
            kernel, kernels = "", kernels + 1
    if kernels == 0:
        sys.exit(f"cuda-compile: {title}: no kernel found in what nvcc printed:\n{log}")
    return spilled > 0


def demangled(name: str) -> str:
    """The kernel's name as it is written, if the binutils are here."""
    tool = shutil.which("c++filt")
    if tool is None:
        return name
    text = subprocess.run([tool, name], capture_output=True, text=True, check=True).stdout.strip()
    return re.sub(r"\(anonymous namespace\)::|^void |\(.*$", "", text)


if __name__ == "__main__":
    sys.exit(main())
