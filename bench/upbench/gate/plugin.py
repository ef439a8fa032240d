"""The plug-in of pytest behind `pytest bench/`: a grid of cells, blocks in random order, and the suite's own table.

pytest bench/ --benchmark-json=FILE [--grid GRID] [--blocks 10] [--exact] [options of pytest-benchmark]

A repository with layers of its own has `bench/conftest.py` and `bench/test_cells.py` like upbench's.
"""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import pytest

from upbench.cell import Cell
from upbench.errors import UserError
from upbench.gate.cells import SHIPPED_GRID, find_own_grid, load_cells, read_cells
from upbench.gate.recording import ANCHOR, FORMAT
from upbench.gate.subjects import MODES, Subjects
from upbench.store.machine import conditions
from upbench.store.provenance import environment

# what a conftest.py takes over; the hooks are not called by name anywhere
__all__ = [
    "exact",
    "pytest_addoption",
    "pytest_benchmark_update_json",
    "pytest_collection_modifyitems",
    "pytest_generate_tests",
    "pytest_runtest_makereport",
    "pytest_sessionstart",
    "subjects",
]

ANCHOR_TURNS = 3  # in each block: its noise is in every ratio
AFTER_ALL_BLOCKS = 2**31
SUBJECTS = pytest.StashKey[Subjects]()
EXACT = pytest.StashKey[dict[str, list[dict[str, Any]]]]()
FAILED = pytest.StashKey[dict[str, str]]()
BEFORE = pytest.StashKey[dict[str, Any]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare what the command line of `pytest bench/` takes besides pytest's own."""
    group = parser.getgroup("upbench")
    group.addoption(
        "--grid",
        type=Path,
        help="the cells; default: ablations/gate.toml or gate.toml of this repository, or else the shipped one",
    )
    group.addoption(
        "--cells",
        type=Path,
        help="the cells as `python -m upbench.gate.cells` writes them, checked already",
    )
    group.addoption(
        "--blocks",
        type=int,
        default=10,
        help="times each cell has its turn, in random order; default 10",
    )
    group.addoption(
        "--exact",
        action="store_true",
        help="take the figures that do not vary as well",
    )
    group.addoption(
        "--order",
        type=int,
        help="seed of the random order; default: another each time",
    )


def pytest_sessionstart(session: pytest.Session) -> None:
    """Read the cells before anything is collected, and refuse bad input in one line.

    pytest calls this hook of `bench/conftest.py` for `pytest bench/` alone. Where `pytest` collects a whole repository
    it meets the file later, and then there is nothing to measure.
    """
    config = session.config
    if config.getoption("--blocks") < 1:
        raise pytest.UsageError("--blocks must be at least 1")
    try:
        cells = _choose_cells(config)
        config.stash[SUBJECTS] = Subjects(cells)
    except UserError as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[EXACT] = {}
    config.stash[FAILED] = {}
    config.stash[BEFORE] = conditions()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each test of the harness its cells. Other tests of the same session are left alone."""
    if "subjects" not in metafunc.fixturenames:
        return
    if "block" in metafunc.fixturenames:
        metafunc.parametrize(("cell", "mode", "block"), _list_turns(metafunc.config))
    else:
        metafunc.parametrize("cell", _list_exact(metafunc.config))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the turns block after block, each block in an order of its own. What is not timed comes last."""
    if _came_late(config):
        return
    own: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        if _is_of_the_harness(item):
            own.append(item)
        else:
            others.append(item)
    rng = random.Random(config.getoption("--order"))
    rng.shuffle(own)
    # the sort is stable: within a block the order stays random
    own.sort(key=_find_block)
    # the list itself is changed, for that is what pytest reads
    items[:] = [*others, *own]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Keep what a cell raised, for the verdict to say."""
    parameters = _get_parameters(item)
    cell = parameters.get("cell")
    if call.excinfo is not None and isinstance(cell, Cell):
        message = call.excinfo.exconly()
        failed = item.config.stash[FAILED]
        failed[cell.id] = " ".join(message.split())
    return (yield)


@pytest.fixture
def subjects(pytestconfig: pytest.Config) -> Subjects:
    """The cells of this process, made ready when they are first asked for."""
    return pytestconfig.stash[SUBJECTS]


@pytest.fixture
def exact(pytestconfig: pytest.Config) -> dict[str, list[dict[str, Any]]]:
    """Where the figures that do not vary go, by the id of the cell."""
    return pytestconfig.stash[EXACT]


@pytest.hookimpl(optionalhook=True)  # the hook is pytest-benchmark's
def pytest_benchmark_update_json(config: pytest.Config, benchmarks: Any, output_json: dict[str, Any]) -> None:
    """Add the suite's table to the file that pytest-benchmark writes."""
    if _came_late(config):
        return
    cells = config.stash[SUBJECTS].cells
    state = {
        "before": config.stash[BEFORE],
        "after": conditions(),
        "timer": str(config.getoption("--benchmark-timer")),
    }
    # None says that nobody asked, an empty table that no cell has any
    exact_figures = config.stash[EXACT] if config.getoption("--exact") else None
    output_json["upbench"] = {
        "format": FORMAT,
        "cells": {cell_id: cell.to_json() for cell_id, cell in cells.items()},
        "exact": exact_figures,
        "failed": config.stash[FAILED],
        "environment": environment() | state,
    }


def _came_late(config: pytest.Config) -> bool:
    """Whether pytest met this plug-in after the session had started, see `pytest_sessionstart`."""
    return SUBJECTS not in config.stash


def _choose_cells(config: pytest.Config) -> dict[str, Cell]:
    """The cells that the command line names, or those of the repository's own grid, or of the shipped one."""
    cells_file = config.getoption("--cells")
    if cells_file is not None:
        return read_cells(cells_file)
    grid = config.getoption("--grid")
    if grid is not None:
        return load_cells(grid)
    return load_cells(find_own_grid(config.rootpath) or SHIPPED_GRID)


def _list_turns(config: pytest.Config) -> list[Any]:
    """What `test_time` is called with: in each block, for each mode, the anchor's turns and one turn of each cell."""
    if _came_late(config):
        return []
    subjects = config.stash[SUBJECTS]
    timed: dict[str, Cell | None] = {}
    for turn in range(ANCHOR_TURNS):
        timed[f"{ANCHOR}{turn}"] = None
    for cell in subjects.timed:
        name = subjects.names[cell.id]
        timed[name] = cell
    blocks = range(config.getoption("--blocks"))
    turns = []
    for block, mode, name in itertools.product(blocks, MODES, timed):
        label = f"{name}-{mode}-{block}"
        turns.append(pytest.param(timed[name], mode, block, id=label))
    return turns


def _list_exact(config: pytest.Config) -> list[Any]:
    """What `test_exact` is called with: each cell, if the command line asks for figures that do not vary."""
    if _came_late(config) or not config.getoption("--exact"):
        return []
    subjects = config.stash[SUBJECTS]
    return [pytest.param(cell, id=subjects.names[cell_id]) for cell_id, cell in subjects.cells.items()]


def _is_of_the_harness(item: pytest.Item) -> bool:
    """Whether a test times a cell or takes its exact figures, and is not one that happens to lie beside those."""
    return "cell" in _get_parameters(item)


def _find_block(item: pytest.Item) -> int:
    """The block that a test belongs to."""
    return _get_parameters(item).get("block", AFTER_ALL_BLOCKS)


def _get_parameters(item: pytest.Item) -> dict[str, Any]:
    """What a test is called with; empty for a test without parameters."""
    # pytest does not declare the attribute, and tests without parameters lack it
    callspec = getattr(item, "callspec", None)
    return callspec.params if callspec else {}
