"""The rooms of the house: which may import which, as design and README say."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "bench" / "upbench"
FILES = sorted(path for path in PACKAGE.rglob("*.py"))

# what a room may import: itself, and every room of a lower floor
FLOORS = {
    "ground": 0,
    "layers": 1,
    "data": 1,
    "metrics": 1,
    "models": 2,
    "tasks": 3,
    "grid": 4,
    "store": 5,
    "report": 6,
    "run": 6,
    "gate": 7,
    "studies": 8,
    "cli": 9,
    "face": 10,
}
TORCH_FREE = ("ground", "grid", "store", "report")


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in FILES}


def room_of(module: str) -> str:
    """The folder of a module; the ground is what lies beside the folders, and the face offers what is behind it."""
    parts = module.split(".")
    if len(parts) == 1 or parts[1] == "__main__":
        return "face"
    return parts[1] if (PACKAGE / parts[1]).is_dir() else "ground"


def imports_of(path: Path, *, only_at_the_top: bool = False) -> Iterator[str]:
    """The modules of the package that a file imports, types aside."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if only_at_the_top else ast.walk(tree)
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in nodes:
        if id(node) in hidden:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("upbench"):
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if submodule in MODULES else str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("upbench"))


@pytest.mark.parametrize("module", MODULES)
def test_a_room_imports_only_itself_and_what_is_below(module: str) -> None:
    room = room_of(module)
    for imported in imports_of(MODULES[module]):
        other = room_of(imported)
        if imported == "upbench":  # the version alone
            continue
        assert other == room or FLOORS[other] < FLOORS[room], f"{module} imports {imported}"


def test_report_and_run_know_nothing_of_each_other() -> None:
    for module, path in MODULES.items():
        rooms = {room_of(imported) for imported in imports_of(path)}
        if room_of(module) == "report":
            assert "run" not in rooms, module
        if room_of(module) == "run":
            assert "report" not in rooms, module


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = {module: set(imports_of(path, only_at_the_top=True)) for module, path in MODULES.items()}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("module", [module for module in MODULES if room_of(module) in TORCH_FREE])
def test_what_reads_results_does_not_import_torch(module: str) -> None:
    if module == "upbench.torchvision_shim":
        pytest.skip("it exists for torch")
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    imported = {
        alias.name.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    imported |= {str(node.module).partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert "torch" not in imported


def test_every_room_has_a_floor() -> None:
    assert {room_of(module) for module in MODULES} == set(FLOORS)
