"""What produced a cell: the source it ran, the versions, the machine. No component is imported to find out."""

from __future__ import annotations

import ast
import hashlib
import platform
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from upbench import __version__
from upbench.catalogue import read_literal
from upbench.cell import Cell
from upbench.data import DATA
from upbench.layers import LAYERS, REFERENCE
from upbench.measurement import VALIDATION
from upbench.metrics import METRICS
from upbench.models import MODELS
from upbench.modules import Module, Reference, find_file, is_file_name, read_imports, read_module
from upbench.source import canonical_code
from upbench.store.machine import machine, output
from upbench.tasks import TASKS

LIBRARIES = ("torch", "torch-fidelity", "numpy", "scipy", "pytest-benchmark")
# what every cell runs beside its own components: the state of torch in which its arithmetic repeats
HARNESS = Reference("upbench.tasks.settled", "run_settled")
REFERENCE_NAME = Reference("upbench.layers", "REFERENCE")


def fingerprint(cell: Cell) -> str:
    """Hash of the code that computes a cell, and of the suite's and torch's version.

    A stored cell with another fingerprint is stale. The code is that of the cell's components, of every metric that
    its task evaluates, and of all functions, classes and constants of the suite or of the user's own that these name,
    however deep. Comments, docstrings and layout do not count, nor does code that the cell does not reach: a changed
    metric makes those cells stale that evaluate it, and no others.
    """
    digest = hashlib.sha256(_versions().encode())
    for part in _code_of_all(_reach(_roots(cell))):
        digest.update(part.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:16]


@cache
def _versions() -> str:
    """The suite's version and torch's, looked up once: the packages' metadata are files."""
    return f"{__version__} {version('torch')}"


def reached_modules(cell: Cell) -> set[str]:
    """The names of all modules that a cell imports while it runs, those of libraries aside."""
    return {reference.module for reference in _reach(_roots(cell))}


def _roots(cell: Cell) -> frozenset[Reference]:
    return frozenset([HARNESS, *components(cell)])


def components(cell: Cell) -> set[Reference]:
    """Where the cell's components are defined, and the metrics that its task evaluates."""
    task = TASKS.locate(cell.task.name)
    found = {task, MODELS.locate(cell.model.name), LAYERS.locate(cell.layer.name)}
    if cell.data is not None:
        found.add(DATA.locate(cell.data.name))
    # a layer may be made of others, which its options name
    for value in cell.layer.options.values():
        if isinstance(value, str) and value in LAYERS:
            found.add(LAYERS.locate(value))
    for name in evaluated_metrics(cell):
        found.add(METRICS.locate(name.removeprefix(VALIDATION)))
    return found


def evaluated_metrics(cell: Cell) -> tuple[str, ...]:
    """The names of all metrics that the cell's task evaluates: those it is asked for, and its own beside them."""
    asked = cell.task.options.get("metrics", ())
    beside = read_literal(TASKS.locate(cell.task.name), "also_evaluates") or ()
    return (*asked, *beside)


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
def _reach(roots: frozenset[Reference]) -> frozenset[Reference]:
    """Everything that the roots name, and what that names, however deep."""
    packages = frozenset(root.module.partition(".")[0] for root in roots)
    reached: set[Reference] = set()
    todo = set(roots)
    while todo:
        reference = todo.pop()
        reached.add(reference)
        if reference == REFERENCE_NAME:
            # the task that times also builds the layer that the others are compared with
            todo.add(LAYERS.locate(REFERENCE))
        todo |= {each for each in _named_by(reference) if _is_followed(each.module, packages)}
        todo -= reached
    return frozenset(reached)


@cache
def _code_of_all(reached: frozenset[Reference]) -> tuple[str, ...]:
    """The code of all that is reached, in an order that does not depend on where it stands."""
    # sorted texts, not places: code that moves to another module stays the same code
    parts = {_code_of(reference) for reference in reached}
    parts |= {_effects_of(reference.module) for reference in reached}
    return tuple(sorted(parts))


@cache
def _is_followed(module: str, packages: frozenset[str]) -> bool:
    """Whether a module is the suite's or the user's own, not Python's or that of an installed library."""
    if is_file_name(module) or module.partition(".")[0] in packages:
        return True
    path = find_file(module)
    if path is None:
        return False
    python = Path(ast.__file__).resolve().parent  # the standard library
    folders = path.resolve().parents
    return python not in folders and not {"site-packages", "dist-packages"} & {folder.name for folder in folders}


@cache
def _named_by(reference: Reference) -> frozenset[Reference]:
    """What the definition of `reference` names, in its own module or in another."""
    module = read_module(reference.module)
    if module is None:
        return frozenset()
    found: set[Reference] = set()
    # what importing the module does counts as well, and so does what that names
    for statement in (*_statements(module, reference.name), *module.effects):
        found |= set(_names_in(statement, module))
    # a name that the module only passes on
    if reference.name not in module.definitions and reference.name in module.imports:
        found.add(module.imports[reference.name])
    return frozenset(found)


def _names_in(statement: ast.AST, module: Module) -> Iterator[Reference]:
    """What the names in a statement stand for, as far as the module's imports and its own say."""
    local: dict[str, Reference] = {}
    nodes = list(ast.walk(statement))
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            local |= read_imports(node, module.name)
    # an import within a function: what it brings is taken, used or not
    yield from local.values()
    for node in nodes:
        if not isinstance(node, ast.Name | ast.Attribute):
            continue
        reference = module.resolve_dotted(node)
        if reference is not None:
            yield reference
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in local:
            yield Reference(local[node.value.id].module, node.attr)


def _statements(module: Module, name: str) -> tuple[ast.stmt, ...]:
    """The statements that define a name. A registry only lists names: a new entry makes no stored cell stale."""
    statements = module.definitions.get(name, ())
    return tuple(statement for statement in statements if not _is_registry(statement))


def _is_registry(statement: ast.stmt) -> bool:
    value = getattr(statement, "value", None)
    return isinstance(value, ast.Call) and ast.unparse(value.func) == "Registry"


@cache
def _code_of(reference: Reference) -> str:
    """The canonical code of one definition, "" for a module or what a module imports."""
    module = read_module(reference.module)
    if module is None:
        return ""
    statements = _statements(module, reference.name)
    return " ".join(canonical_code(statement) for statement in statements)


@cache
def _effects_of(name: str) -> str:
    """What importing a module does besides defining names, such as changing a class of another module."""
    module = read_module(name)
    if module is None:
        return ""
    return " ".join(canonical_code(statement) for statement in module.effects)


@cache
def _commit() -> str | None:
    """The commit of the suite's checkout, with `+` if the working tree differs from it; None outside a checkout."""
    here = Path(__file__).resolve()
    root = here.parents[3]
    git = ["git", "-C", str(root)]
    if output([*git, "ls-files", str(here.relative_to(root))]) is None:
        return None  # installed inside somebody else's checkout
    return output([*git, "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"])
