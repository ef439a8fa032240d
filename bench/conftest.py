"""What `pytest bench/` adds to pytest-benchmark: a grid of cells, blocks in random order, and the suite's own table.

pytest bench/ --benchmark-json=FILE [--grid ablations/gate.toml] [--blocks 10] [--exact] [pytest-benchmark's]
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from bench.cell import Cell
from bench.errors import UserError
from bench.gate.cells import GRID, read_cells
from bench.gate.recording import ANCHOR, FORMAT
from bench.gate.subjects import MODES, Subjects
from bench.run.machine import conditions
from bench.run.provenance import environment

ANCHOR_TURNS = 3  # in each block: its noise is in every ratio
SUBJECTS = pytest.StashKey[Subjects]()
EXACT = pytest.StashKey[dict[str, list[dict[str, Any]]]]()
FAILED = pytest.StashKey[dict[str, str]]()
BEFORE = pytest.StashKey[dict[str, Any]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("upbench")
    group.addoption("--grid", type=Path, default=None, help=f"the cells; default {GRID.name}")
    group.addoption("--blocks", type=int, default=10, help="times each cell has its turn, in random order; default 10")
    group.addoption("--cells", type=Path, default=None, help="cells as `python -m bench.gate.cells` writes them")
    group.addoption("--exact", action="store_true", help="take the figures that do not vary as well")
    group.addoption("--order", type=int, default=None, help="seed of the random order; default: another each time")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--blocks") < 1:
        raise pytest.UsageError("--blocks must be at least 1")
    try:
        config.stash[SUBJECTS] = Subjects(read_cells(config.getoption("--cells"), config.getoption("--grid")))
    except UserError as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[EXACT], config.stash[FAILED] = {}, {}
    config.stash[BEFORE] = conditions()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    subjects = metafunc.config.stash[SUBJECTS]
    if "block" in metafunc.fixturenames:
        anchors = [(f"{ANCHOR}{turn}", None) for turn in range(ANCHOR_TURNS)]
        timed = [*anchors, *((subjects.names[cell.id], cell) for cell in subjects.timed)]
        cases = [
            pytest.param(cell, mode, block, id=f"{name}-{mode}-{block}")
            for block in range(metafunc.config.getoption("--blocks"))
            for mode in MODES
            for name, cell in timed
        ]
        metafunc.parametrize(("cell", "mode", "block"), cases)
    else:
        chosen = subjects.cells.values() if metafunc.config.getoption("--exact") else ()
        metafunc.parametrize("cell", [pytest.param(cell, id=subjects.names[cell.id]) for cell in chosen])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Block after block, each in an order of its own; what is not timed comes last."""
    rng = random.Random(config.getoption("--order"))
    rng.shuffle(items)
    items.sort(key=lambda item: _block(item))


def _block(item: pytest.Item) -> int:
    return getattr(item, "callspec").params.get("block", 2**31)  # noqa: B009 - pytest does not declare it


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Keep what a cell raised, for the verdict to say."""
    cell = getattr(item, "callspec").params.get("cell")  # noqa: B009
    if call.excinfo is not None and isinstance(cell, Cell):
        item.config.stash[FAILED][cell.id] = " ".join(call.excinfo.exconly().split())
    return (yield)


@pytest.fixture
def subjects(pytestconfig: pytest.Config) -> Subjects:
    return pytestconfig.stash[SUBJECTS]


@pytest.fixture
def exact(pytestconfig: pytest.Config) -> dict[str, list[dict[str, Any]]]:
    """Where the figures that do not vary go, by cell."""
    return pytestconfig.stash[EXACT]


def pytest_benchmark_update_json(config: pytest.Config, benchmarks: Any, output_json: dict[str, Any]) -> None:
    output_json["upbench"] = {
        "format": FORMAT,
        "cells": {cell_id: cell.to_json() for cell_id, cell in config.stash[SUBJECTS].cells.items()},
        "exact": config.stash[EXACT] if config.getoption("--exact") else None,
        "failed": config.stash[FAILED],
        "environment": {
            **environment(),
            "before": config.stash[BEFORE],
            "after": conditions(),
            "timer": str(config.getoption("--benchmark-timer")),
        },
    }
