"""The machine a process runs on, and the state it is in. Nothing is set, only read."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

# what the driver's own tool tells of a GPU that changes while it works
GPU_STATE = "driver_version,clocks.sm,clocks.mem,temperature.gpu,clocks_throttle_reasons.active"


def machine() -> dict[str, Any]:
    """What does not change while a cell runs."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "governor": _governor(),
        "gpu": _gpu("name"),
    }


def conditions() -> dict[str, Any]:
    """What changes, or differs from process to process: load, processors it may use, clocks and heat of the GPU."""
    affinity = None
    if hasattr(os, "sched_getaffinity"):
        affinity = sorted(os.sched_getaffinity(0))
    return {"load": os.getloadavg()[0], "affinity": affinity, "gpu_state": _gpu(GPU_STATE)}


def output(command: list[str]) -> str | None:
    """What a command prints; None where it is lacking, fails, or prints nothing."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        # no such program, or one that hangs: what it would have told is simply not known
        return None
    if done.returncode:
        return None
    return done.stdout.strip() or None


@cache
def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    # platform.processor() is empty on most Linux systems
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@cache
def _governor() -> str | None:
    """How the system sets the processor's frequency, where it says so."""
    path = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    return path.read_text().strip() if path.exists() else None


def _gpu(fields: str) -> str | None:
    """What the driver's own tool says of the first GPU this process may use; None without one."""
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0]
    return output(["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader", f"--id={first}"])
