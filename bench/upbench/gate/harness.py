"""What `pytest bench/` runs: each cell's forward pass and training step, and on request what does not vary."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from upbench.cell import Cell
from upbench.gate.exact import take_exact_figures
from upbench.gate.recording import ANCHOR
from upbench.gate.subjects import Subjects


def test_time(benchmark: Callable[..., Any], subjects: Subjects, cell: Cell | None, mode: str, block: int) -> None:
    """Time one turn of a cell, or of the anchor where `cell` is None."""
    step = subjects.step(cell, mode)
    turn = {"cell": cell.id if cell else ANCHOR, "mode": mode, "block": block}
    benchmark.extra_info.update(turn)  # type: ignore[attr-defined]
    benchmark(step)


def test_exact(subjects: Subjects, exact: dict[str, list[dict[str, Any]]], cell: Cell) -> None:
    """Take the figures of a cell that do not vary."""
    figures = take_exact_figures(subjects, cell)
    exact[cell.id] = [dataclasses.asdict(figure) for figure in figures]
