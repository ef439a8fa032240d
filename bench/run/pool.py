"""Runs cells, each in a process of its own, a few at a time.

A process is forked from a server that has imported everything and computed nothing, as the imports of an interpreter of
its own would take as long as many a cell. Cells of an exclusive task, which time something, get that interpreter all
the same: forked processes share what was drawn at its start, such as the places of code and data, and would be
replicates of one another in nothing else than noise.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Container, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from bench.cell import Cell
from bench.run.provenance import modules
from bench.run.worker import ARRAYS, KEPT, LOG, RESULT, serve
from bench.tasks import TASKS

POLL = 0.05  # seconds between two looks at the processes
LOG_TAIL = 4000  # characters of a dead worker's output that are kept
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

FRESH, FORKED = get_context("spawn"), get_context("forkserver")
LATE = ("bench.run.kept", "torch._dynamo")  # what each cell would import while it runs: the latter by its optimiser


@dataclass(frozen=True)
class Ended:
    """A cell whose process is over. result: the fields that `worker.attempt` returns. duration: seconds.

    arrays, kept: the files it wrote, for the figures and for `upbench recompute`.
    """

    cell: Cell
    result: dict[str, Any]
    duration: float
    arrays: Path | None = None
    kept: Path | None = None


@dataclass
class _Running:
    cell: Cell
    process: BaseProcess
    folder: Path
    started: float


def run_cells(
    batches: Iterable[tuple[list[Cell], int]],
    scratch: Path,
    *,
    data: Path | None,
    timeout: float,
    keep_seeds: Container[int] = (),
) -> Generator[Ended | list[Cell]]:
    """Run each batch of (cells, how many at once) to its end before the next.

    Yields an `Ended` for every cell as it ends, and the list of running cells whenever it changes or a second passes.
    A cell that outlives `timeout` seconds is killed. Closing the generator kills what still runs. What the metrics of
    cells with one of `keep_seeds` compared is kept.
    """
    batches = list(batches)
    _start_server([cell for cells, _ in batches for cell in cells if not _is_exclusive(cell)])
    for cells, workers in batches:
        waiting, running = list(reversed(cells)), list[_Running]()
        told = 0.0
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    running.append(_start(waiting.pop(), scratch, data, keep_seeds))
                    told = 0.0
                for each in list(running):
                    if (result := _poll(each, timeout)) is not None:
                        running.remove(each)
                        yield result
                        told = 0.0
                if time.monotonic() - told > 1:
                    told = time.monotonic()
                    yield [each.cell for each in running]
                time.sleep(POLL)
        finally:
            for each in running:
                _kill(each)


def _start_server(cells: list[Cell]) -> None:
    """Return once processes of these cells can be forked, so that no cell's time goes into that."""
    if cells:
        FORKED.set_forkserver_preload(["bench.run.worker", *LATE, *sorted(set().union(*map(modules, cells)))])
        first = FORKED.Process(target=int)
        with _uninterrupted(), _threads(1):
            first.start()
        first.join()


def _is_exclusive(cell: Cell) -> bool:
    return bool(TASKS.get(cell.task.name).exclusive)


def _start(cell: Cell, scratch: Path, data: Path | None, keep_seeds: Container[int]) -> _Running:
    folder = scratch / cell.id
    folder.mkdir()
    arguments = (cell.to_json(), folder.resolve(), data.resolve() if data else None, cell.seed in keep_seeds)
    fresh = _is_exclusive(cell)
    process = (FRESH if fresh else FORKED).Process(target=serve, args=arguments)
    with _uninterrupted(), _threads(cell.threads if fresh else 1):
        process.start()
    return _Running(cell, process, folder, time.monotonic())


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Processes started here never see Ctrl-C: it reaches the driver alone, which then ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Processes started here find so many threads in their environment; `settle` says how many torch then takes."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, str(count)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _poll(running: _Running, timeout: float) -> Ended | None:
    duration = time.monotonic() - running.started
    status = running.process.exitcode
    if status is None:
        if duration < timeout:
            return None
        _kill(running)
        return Ended(running.cell, {"outcome": "timeout", "reason": f"killed after {timeout:g} s"}, duration)
    running.process.close()
    result = running.folder / RESULT
    if status == 0 and result.exists():
        arrays, kept = (path if path.exists() else None for path in (running.folder / ARRAYS, running.folder / KEPT))
        return Ended(running.cell, json.loads(result.read_text()), duration, arrays, kept)
    return Ended(running.cell, _post_mortem(status, running.folder), duration)


def _post_mortem(status: int, folder: Path) -> dict[str, Any]:
    log = (folder / LOG).read_text(errors="replace")[-LOG_TAIL:] if (folder / LOG).exists() else ""
    if status == -signal.SIGKILL:
        reason = "killed by signal 9, which is most often the system's answer to a lack of memory"
        return {"outcome": "out-of-memory", "reason": reason, "traceback": log}
    how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
    return {"outcome": "failed", "reason": f"process {how} without a result", "traceback": log}


def _kill(running: _Running) -> None:
    running.process.kill()
    running.process.join()
    running.process.close()
