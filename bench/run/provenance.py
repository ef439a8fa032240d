"""What produced a cell: the source it ran, the versions, the machine."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench import __version__
from bench.cell import Cell
from bench.layers import LAYERS, REFERENCE
from bench.metrics import METRICS
from bench.run.grid import REGISTRIES

LIBRARIES = ("torch", "torch-fidelity", "numpy", "scipy", "pytest-benchmark")


def fingerprint(cell: Cell) -> str:
    """Hash of the source that computes this cell, the suite's version and torch's: a stored cell with another is stale.

    The source is that of the cell's components and its metrics, and every bench module they import, however deep.
    The rooms' __init__ files only list names, so registering a new component makes no stored cell stale.
    """
    digest = hashlib.sha256(f"{__version__} {version('torch')}".encode())
    for module in sorted(_closure(frozenset(modules(cell)))):
        digest.update(module.encode() + _source(module))
    return digest.hexdigest()[:16]


def modules(cell: Cell) -> set[str]:
    """The modules that define the cell's components and its metrics."""
    specs = {key: spec for key in REGISTRIES if (spec := getattr(cell, key)) is not None}
    named = {REGISTRIES[key].module(spec.name) for key, spec in specs.items()}
    named.add(LAYERS.module(REFERENCE))  # every speed cell runs it too
    return named | {METRICS.module(name) for name in cell.task.options.get("metrics", ())}


def environment() -> dict[str, Any]:
    """Versions, processor, load and commit: recorded with each cell, compared by no one byte for byte."""
    return {
        "suite": __version__,
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "affinity": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "governor": _governor(),
        "gpu": _gpu("name"),
        "gpu_state": _gpu("driver_version,clocks.sm,clocks.mem,temperature.gpu,clocks_throttle_reasons.active"),
        "load": os.getloadavg()[0],
        "commit": _commit(),
    }


@cache
def _closure(modules: frozenset[str]) -> frozenset[str]:
    seen: set[str] = set()
    todo = set(modules)
    while todo:
        module = todo.pop()
        seen.add(module)
        todo |= _imports(module) - seen
    return frozenset(seen)


@cache
def _imports(module: str) -> frozenset[str]:
    """The bench modules that `module` imports, without the rooms' __init__ files."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(_source(module))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bench"):
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("bench")}
    return frozenset(name for name in found if (path := _path(name)) and path.name != "__init__.py")


@cache
def _source(module: str) -> bytes:
    path = _path(module)
    return path.read_bytes() if path else b""


@cache
def _path(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return None
    return Path(spec.origin) if spec and spec.origin else None


@cache
def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
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
    """What the driver's own tool says of the first GPU; None without one. Nothing is set, only read."""
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader", "--id=0"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None


@cache
def _commit() -> str | None:
    """The commit of the suite's checkout, with `+` if the working tree differs from it; None outside a checkout."""
    root = Path(__file__).parents[2]
    command = ["git", "-C", str(root), "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None
