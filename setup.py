"""Builds the extension ``caffe_compat._C`` from csrc/ and puts prototxt/ into a wheel; everything else is in
pyproject.toml.

With nvcc and a CUDA build of PyTorch it holds the CPU and the CUDA kernels, otherwise those of the CPU.
Switches, in the environment: DEBUG=1 (no optimisation, symbols); FORCE_CUDA=1 (fail rather than leave CUDA out),
FORCE_CUDA=0 (leave it out).
"""

import os
import shutil
import sys
from pathlib import Path

import torch
from setuptools import setup
from setuptools.command.build_py import build_py
from torch.utils.cpp_extension import CUDA_HOME, BuildExtension, CppExtension, CUDAExtension

DEBUG = os.environ.get("DEBUG") == "1"
FORCE_CUDA = os.environ.get("FORCE_CUDA")

# No -ffast-math: NaN, infinity and the order of operations mean what they say. The two -fno flags only give up errno
# and floating-point traps, without which loops become vector code.
CXX_FLAGS = [
    "-fopenmp",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-Wno-psabi",
    *(["-O0", "-g"] if DEBUG else ["-O3", "-g0"]),
]
NVCC_FLAGS = ["-G", "-g"] if DEBUG else ["-O3"]


def with_cuda() -> bool:
    possible = CUDA_HOME is not None and torch.version.cuda is not None
    if FORCE_CUDA == "1" and not possible:
        sys.exit(f"FORCE_CUDA=1 needs nvcc (found: {CUDA_HOME}) and a CUDA build of PyTorch (has: {torch.__version__})")
    return possible and FORCE_CUDA != "0"


def extension() -> CppExtension:
    sources = ["csrc/bindings.cpp", "csrc/label_noise_cpu.cpp"]
    if not with_cuda():
        return CppExtension("caffe_compat._C", sources, extra_compile_args=CXX_FLAGS)
    return CUDAExtension(
        "caffe_compat._C",
        [*sources, "csrc/label_noise_cuda.cu"],
        define_macros=[("WITH_CUDA", None)],
        extra_compile_args={"cxx": CXX_FLAGS, "nvcc": NVCC_FLAGS},
    )


class WithNets(build_py):
    """The modules, and the recipes' nets and solvers where ``caffe_compat/repository.py`` looks for them.

    An editable install has them in the checkout.
    """

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            shipped = Path(self.build_lib, "caffe_compat", "shipped", "prototxt")
            shutil.rmtree(shipped, ignore_errors=True)
            shutil.copytree("prototxt", shipped)


setup(ext_modules=[extension()], cmdclass={"build_py": WithNets, "build_ext": BuildExtension})
