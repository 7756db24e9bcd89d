"""What a command costs: a process of its own, and what the system says of it at its end."""

from __future__ import annotations

import os
import subprocess
import sys


def process_cost(command: list[str]) -> dict[str, float]:
    """Run Python with ``command``: processor seconds and peak memory in MiB. Ends the program if it fails."""
    process = subprocess.Popen([sys.executable, *command])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return {
        "processor_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mib": round(usage.ru_maxrss / 1024),
    }
