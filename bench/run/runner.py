"""Runs what a grid still lacks, and keeps what it gets."""

from __future__ import annotations

import os
from collections.abc import Container, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.cell import Cell, flatten
from bench.data import DATA, cache
from bench.errors import UserError, unknown
from bench.metrics import METRICS
from bench.run.grid import Grid
from bench.run.pool import Ended, run_cells
from bench.run.progress import Batches, Progress, kind
from bench.run.provenance import environment, fingerprint
from bench.run.store import Record, Store
from bench.run.tune import resolve
from bench.tasks import TASKS


@dataclass(frozen=True)
class Plan:
    """todo: cells to run now. kept: cells whose stored result stands. held: of those, the ones that failed.

    waiting: the part of the grid that can only be planned after these, when trials have decided its settings.
    """

    todo: tuple[Cell, ...]
    kept: tuple[Cell, ...]
    held: tuple[Cell, ...]
    waiting: Grid


def select(grid: Grid, only: Iterable[str]) -> Grid:
    """What meets every `key=value` condition; keys are settings, dotted options, or `experiment`.

    An open cell brings its trials with it. Raises UserError for a condition that is malformed, names no setting, or
    leaves no cell.
    """
    flat = _settings(grid)
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
    choices = [tuple(c for c in e.choices if (e.name, c.id) in kept) for e in grid.experiments]
    trials = {cell_id for part in choices for choice in part for ids in choice.trials for cell_id in ids}
    experiments = (
        replace(e, cells=tuple(c for c in e.cells if (e.name, c.id) in kept or c.id in trials), choices=part)
        for e, part in zip(grid.experiments, choices, strict=True)
    )
    return replace(grid, experiments=tuple(experiments))


def _settings(grid: Grid) -> dict[tuple[str, str], dict[str, Any]]:
    """By experiment and cell; what is still open is not a setting."""
    flat = {}
    for e in grid.experiments:
        for cell in e.cells:
            flat[e.name, cell.id] = {"experiment": e.name, **flatten(cell.to_json())}
        for choice in e.choices:
            settings = {"experiment": e.name, **flatten(choice.candidates[0].to_json())}
            flat[e.name, choice.id] = {key: value for key, value in settings.items() if key not in e.tuned}
    return flat


def plan(grid: Grid, store: Store, *, retry: bool) -> Plan:
    """What is missing, stale or damaged is to do; what failed stays as it is unless `retry`."""

    def standing(cell: Cell) -> Record | None:
        record = _readable(store, cell.id)
        again = record is None or record.fingerprint != fingerprint(cell) or (retry and record.outcome != "ok")
        return None if again else record

    records = {cell_id: standing(cell) for cell_id, cell in grid.cells.items()}
    resolved = resolve(grid, records.get)
    records |= {cell_id: standing(cell) for cell_id, cell in resolved.cells.items() if cell_id not in records}
    cells = resolved.cells
    return Plan(
        tuple(cell for cell_id, cell in cells.items() if records[cell_id] is None),
        tuple(cell for cell_id, cell in cells.items() if records[cell_id]),
        tuple(cell for cell_id, cell in cells.items() if (record := records[cell_id]) and record.outcome != "ok"),
        _open_part(resolved),
    )


def _open_part(grid: Grid) -> Grid:
    """The choices of a grid and the trials they wait for, without the rest."""
    trials = {cell_id for choice in grid.choices for ids in choice.trials for cell_id in ids}
    experiments = (replace(e, cells=tuple(c for c in e.cells if c.id in trials)) for e in grid.experiments)
    return replace(grid, experiments=tuple(experiments))


def check_ready(cells: Iterable[Cell], data: Path | None) -> None:
    """Raises UserError if data, a metric's file or a device that the cells need is not there, or if data are damaged.

    Data are decoded here, unless that was done before, so that no cell's time goes into it.
    """
    cells = tuple(cells)
    specs = {cell.data.name + repr(cell.data.options): cell.data for cell in cells if cell.data}.values()
    for spec in specs:
        DATA.build(spec.name, **spec.options).check(data)
    for name in dict.fromkeys(name for cell in cells for name in cell.task.options.get("metrics", ())):
        METRICS.get(name).check()
    if any(cell.device == "cuda" for cell in cells):
        import torch

        if not torch.cuda.is_available():
            raise UserError("device 'cuda' is not available on this machine; run with --device cpu")
    for spec in specs:
        cache.prepare(spec, data)


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
    """Run the plan's cells and store each as it ends; then those whose settings these have decided.

    The records of this run are returned, and those of decided cells that had failed before.
    workers: cells at once, by default as many as their threads fit the processor; cells of an exclusive task run
    alone, after the others. keep_seeds: see `bench.run.kept`. Raises UserError when the store cannot be written.
    """
    first = schedule(plan.todo, workers)
    expected = schedule([choice.candidates[0] for choice in plan.waiting.choices], workers)
    with progress:
        progress.start(first + expected, len(plan.kept))
        records = list(_run(first, store, data, timeout, progress, keep_seeds))
        if plan.waiting.choices:
            later = _decided(plan.waiting, store)
            progress.batches = first + schedule(later.todo, workers)
            records += _run(schedule(later.todo, workers), store, data, timeout, progress, keep_seeds)
            records += [record for cell in later.held if (record := store.read(cell.id))]
    return records


def _decided(waiting: Grid, store: Store) -> Plan:
    """The plan of the cells that were open; their trials have just been run, and are not run again."""
    resolved = resolve(waiting, store.read)
    experiments = (
        replace(e, cells=e.cells if o.choices else ())
        for e, o in zip(resolved.experiments, waiting.experiments, strict=True)
    )
    return plan(replace(resolved, experiments=tuple(experiments)), store, retry=False)


def _run(
    batches: Batches,
    store: Store,
    data: Path | None,
    timeout: float,
    progress: Progress,
    keep_seeds: Container[int],
) -> Generator[Record]:
    started = run_cells(batches, store.scratch, data=data, timeout=timeout, keep_seeds=keep_seeds)
    with closing(started) as events:
        for event in events:
            if isinstance(event, Ended):
                record = _record(event)
                store.write(record, event.arrays, event.kept)
                progress.ended(event.cell, record)
                yield record
            else:
                progress.running(event)


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
