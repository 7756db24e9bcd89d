"""CPU or GPU, and the random seed: settings of the whole process, as in pycaffe."""

from __future__ import annotations

import torch

from caffe_compat.errors import expected_got

_mode: dict[str, bool | int] = {"gpu": False, "device": 0}


def set_mode_cpu() -> None:
    """Run nets on the CPU, which is the mode at the start."""
    _mode["gpu"] = False


def set_mode_gpu() -> None:
    """Run nets on the GPU of ``set_device`` from their next pass on; solvers built from now on train there.

    Raises: RuntimeError if PyTorch finds no GPU.
    """
    _check_cuda("set_mode_gpu")
    _mode["gpu"] = True


def set_device(device_id: int) -> None:
    """Choose the GPU that ``set_mode_gpu`` means.

    Raises: ValueError if there is none of that number; RuntimeError if PyTorch finds no GPU.
    """
    _check_cuda("set_device")
    count = torch.cuda.device_count()
    if not 0 <= device_id < count:
        raise ValueError(f"set_device: {expected_got(f'a GPU number below {count}', device_id)}")
    _mode["device"] = device_id


def _check_cuda(call: str) -> None:
    if not torch.cuda.is_available():
        raise RuntimeError(f"{call}: no CUDA device can be used here (leave the call out to use the CPU)")


def current_device() -> torch.device:
    return torch.device("cuda", int(_mode["device"])) if _mode["gpu"] else torch.device("cpu")


def set_random_seed(seed: int) -> None:
    """Seed the fillers, dropout, and the crops and orders of data layers, of nets built from now on."""
    torch.manual_seed(seed)
