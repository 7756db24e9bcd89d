"""What a measurement was made on: processor, cores, versions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any


def cores() -> int:
    """How many cores this process may use: fewer than there are, where a container or taskset holds it to some."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> dict[str, Any]:
    """Processor, cores that this process may use, threads asked for."""
    return {
        "processor": processor(),
        "cores": cores(),
        "threads": int(os.environ.get("OMP_NUM_THREADS", "0")) or cores(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def versions(*others: str) -> dict[str, str]:
    """Python's and those of the packages that everything here needs, and ``others``, as far as they are installed."""
    packages = ("torch", "numpy", "lmdb", "protobuf", "opencv-python-headless", *others)
    found = {name: importlib.metadata.version(name) for name in packages if _installed(name)}
    return {"python": platform.python_version(), **found}


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
