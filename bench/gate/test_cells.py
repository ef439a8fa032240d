"""What `pytest bench/` runs: each cell's forward pass and training step, and on request what does not vary."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from bench.cell import Cell
from bench.gate.exact import exact_figures
from bench.gate.recording import ANCHOR
from bench.gate.subjects import Subjects


def test_time(benchmark: Callable[..., Any], subjects: Subjects, cell: Cell | None, mode: str, block: int) -> None:
    step = subjects.step(cell, mode)
    benchmark.extra_info |= {"cell": cell.id if cell else ANCHOR, "mode": mode, "block": block}  # type: ignore[attr-defined]
    benchmark(step)


def test_exact(subjects: Subjects, exact: dict[str, list[dict[str, Any]]], cell: Cell) -> None:
    exact[cell.id] = [dataclasses.asdict(figure) for figure in exact_figures(subjects, cell)]
