"""What produced a cell: the source it ran, the versions, the machine."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench import __version__
from bench.cell import Cell
from bench.layers import LAYERS, REFERENCE
from bench.metrics import METRICS
from bench.run.grid import REGISTRIES
from bench.run.machine import machine, output

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
    """Versions, machine and commit: recorded with each cell, compared by no one byte for byte."""
    return {
        "suite": __version__,
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
        **machine(),
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
def _commit() -> str | None:
    """The commit of the suite's checkout, with `+` if the working tree differs from it; None outside a checkout."""
    root = Path(__file__).parents[2]
    git = ["git", "-C", str(root)]
    if output([*git, "ls-files", str(Path(__file__).relative_to(root))]) is None:
        return None  # installed inside somebody else's checkout
    return output([*git, "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"])
