"""Runs what a grid still lacks, and keeps what it gets."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bench.cell import Cell, flatten
from bench.data import DATA
from bench.errors import UserError, unknown
from bench.metrics import METRICS
from bench.run.grid import Grid
from bench.run.pool import Ended, run_cells
from bench.run.progress import Progress, kind
from bench.run.provenance import environment, fingerprint
from bench.run.store import Record, Store
from bench.tasks import TASKS


@dataclass(frozen=True)
class Plan:
    """todo: cells to run now. kept: cells whose stored result stands. held: of those, the ones that failed."""

    todo: tuple[Cell, ...]
    kept: tuple[Cell, ...]
    held: tuple[Cell, ...]


def select(grid: Grid, only: Iterable[str]) -> dict[str, Cell]:
    """The cells that meet every `key=value` condition; keys are settings, dotted options, or `experiment`.

    Raises UserError for a condition that is malformed, names no setting, or leaves no cell.
    """
    flat = {
        (experiment.name, cell.id): {"experiment": experiment.name, **flatten(cell.to_json())}
        for experiment in grid.experiments
        for cell in experiment.cells
    }
    kept = dict(flat)
    for condition in only:
        key, equals, value = condition.partition("=")
        known = {key for settings in flat.values() for key in settings}
        if not equals:
            raise UserError(f"--only {condition!r} must be KEY=VALUE, for example layer=pixel_dcl")
        if key not in known:
            raise unknown("setting", key, known, f"--only {condition!r}")
        values = {str(settings[key]) for settings in flat.values() if key in settings}
        if value not in values:
            raise unknown(key, value, values, f"--only {condition!r}")
        kept = {where: settings for where, settings in kept.items() if str(settings.get(key)) == value}
    if not kept:
        raise UserError(f"no cell meets all of: {', '.join(only)}")
    chosen = {cell_id for _, cell_id in kept}
    return {cell_id: cell for cell_id, cell in grid.cells.items() if cell_id in chosen}


def plan(cells: Mapping[str, Cell], store: Store, *, retry: bool) -> Plan:
    """What is missing, stale or damaged is to do; what failed stays as it is unless `retry`."""
    todo, kept, held = [], [], []
    for cell_id, cell in cells.items():
        record = _readable(store, cell_id)
        if record is None or record.fingerprint != fingerprint(cell) or (retry and record.outcome != "ok"):
            todo.append(cell)
        else:
            kept.append(cell)
            if record.outcome != "ok":
                held.append(cell)
    return Plan(tuple(todo), tuple(kept), tuple(held))


def check_ready(cells: Iterable[Cell], data: Path | None) -> None:
    """Raises UserError if data, a metric's file or a device that the cells need is not there."""
    cells = tuple(cells)
    for spec in {cell.data.name + repr(cell.data.options): cell.data for cell in cells if cell.data}.values():
        DATA.build(spec.name, **spec.options).check(data)
    for name in dict.fromkeys(name for cell in cells for name in cell.task.options.get("metrics", ())):
        METRICS.get(name).check()
    if any(cell.device == "cuda" for cell in cells):
        import torch

        if not torch.cuda.is_available():
            raise UserError("device 'cuda' is not available on this machine; run with --device cpu")


def execute(
    plan: Plan,
    store: Store,
    *,
    workers: int | None,
    data: Path | None,
    timeout: float,
    progress: Progress,
    keep_seeds: Container[int] = (),
) -> list[Record]:
    """Run the plan's cells and store each as it ends; the records of this run are returned.

    workers: cells at once, by default as many as their threads fit the processor; cells of an exclusive task run
    alone, after the others. keep_seeds: see `bench.run.kept`. Raises UserError when the store cannot be written.
    """
    batches = schedule(plan.todo, workers)
    records = []
    started = run_cells(batches, store.scratch, data=data, timeout=timeout, keep_seeds=keep_seeds)
    with progress, closing(started) as events:
        progress.start(batches, len(plan.kept))
        for event in events:
            if isinstance(event, Ended):
                record = _record(event)
                store.write(record, event.arrays, event.kept)
                records.append(record)
                progress.ended(event.cell, record)
            else:
                progress.running(event)
    return records


def schedule(cells: Iterable[Cell], workers: int | None) -> list[tuple[list[Cell], int]]:
    """Batches of (cells, how many at once).

    Cells of exclusive tasks run alone. One of each kind comes first, so that the estimate of the time left is soon
    about the whole run.
    """
    shared: list[Cell] = []
    alone: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if TASKS.get(cell.task.name).exclusive:
            alone.setdefault(kind(cell), []).append(cell)
        else:
            shared.append(cell)
    at_once = workers or max(1, available_cores() // max((cell.threads for cell in shared), default=1))
    first, rest = [group[0] for group in alone.values()], [cell for group in alone.values() for cell in group[1:]]
    return [(first, 1), (shared, at_once), (rest, 1)]


def available_cores() -> int:
    """Processors this process may use, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _record(ended: Ended) -> Record:
    return Record(
        id=ended.cell.id,
        cell=ended.cell.to_json(),
        duration=round(ended.duration, 3),
        fingerprint=fingerprint(ended.cell),
        environment=environment(),
        **ended.result,
    )


def _readable(store: Store, cell_id: str) -> Record | None:
    try:
        return store.read(cell_id)
    except UserError:
        return None
