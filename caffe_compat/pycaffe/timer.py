"""``Timer``: how long something takes. Source: python/caffe/_caffe.cpp, src/caffe/util/benchmark.cpp."""

from __future__ import annotations

import time

import torch

from caffe_compat.pycaffe.mode import current_device


class Timer:
    """A stop watch. In GPU mode it waits for what has been queued on the GPU."""

    def __init__(self) -> None:
        self._begin: float | None = None
        self._seconds = 0.0

    def start(self) -> None:
        """Begin, unless it runs already."""
        if self._begin is None:
            self._begin = _now()

    def stop(self) -> None:
        """End, if it runs."""
        if self._begin is not None:
            self._seconds = _now() - self._begin
            self._begin = None

    @property
    def ms(self) -> float:
        """Milliseconds between the last ``start`` and ``stop``; 0 before the first. Reading stops the timer."""
        self.stop()
        return self._seconds * 1000


def _now() -> float:
    device = current_device()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
