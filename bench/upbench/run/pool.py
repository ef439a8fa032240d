"""The executor of one machine: cells in processes of their own, a few at a time.

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
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from upbench.cell import Cell
from upbench.modules import is_file_name
from upbench.run.executor import Batch, Ended, Running, Terms
from upbench.run.worker import ARRAYS, KEPT, LOG, RESULT, serve
from upbench.store.provenance import reached_modules
from upbench.tasks import TASKS

POLL = 0.05  # seconds between two looks at the processes
TELL_EVERY = 1.0  # seconds after which the running cells are told again
LOG_TAIL = 4000  # characters of a dead worker's output that are kept
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

FRESH, FORKED = get_context("spawn"), get_context("forkserver")
# what each cell would import while it runs: the second by its optimiser
LATE = ("upbench.store.kept", "torch._dynamo")


@dataclass
class _Process:
    """The process of a cell, the folder it writes to, and when it was started."""

    cell: Cell
    process: BaseProcess
    folder: Path
    started: float

    @property
    def age(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    def kill(self) -> None:
        """End the process, and wait until it has ended."""
        self.process.kill()
        self.process.join()
        self.process.close()


class LocalPool:
    """Runs cells on this machine, see `upbench.run.executor.Executor`."""

    def run(self, batches: Sequence[Batch], terms: Terms) -> Generator[Ended | Running]:
        """Run each batch to its end before the next. A cell that outlives its time is killed."""
        cells = [cell for batch in batches for cell in batch.cells]
        _start_server([cell for cell in cells if not _is_exclusive(cell)])
        for batch in batches:
            yield from _run_batch(batch, terms)


def _run_batch(batch: Batch, terms: Terms) -> Generator[Ended | Running]:
    waiting = list(reversed(batch.cells))
    running: list[_Process] = []
    told = -TELL_EVERY
    try:
        while waiting or running:
            # the display is told of a change at once, else only now and then
            changed = False
            while waiting and len(running) < batch.at_once:
                running.append(_start(waiting.pop(), terms))
                changed = True
            for process in list(running):
                ended = _poll(process, terms.timeout)
                if ended is not None:
                    running.remove(process)
                    changed = True
                    yield ended
            if changed or time.monotonic() - told > TELL_EVERY:
                told = time.monotonic()
                yield Running(tuple(process.cell for process in running))
            time.sleep(POLL)
    finally:
        for process in running:
            process.kill()


def _start_server(cells: Iterable[Cell]) -> None:
    """Return once processes of these cells can be forked, so that no cell's time goes into that."""
    modules: set[str] = set()
    for cell in cells:
        modules |= reached_modules(cell)
    if not modules:
        return
    # a user's own file cannot be imported by a name; the cell itself does it
    importable = sorted(module for module in modules if not is_file_name(module))
    FORKED.set_forkserver_preload(["upbench.run.worker", *LATE, *importable])
    # a process that does nothing: it returns when the server has imported all
    first = FORKED.Process(target=int)
    with _uninterrupted(), _threads(1):
        first.start()
    first.join()


def _is_exclusive(cell: Cell) -> bool:
    return bool(TASKS.get(cell.task.name).exclusive)


def _start(cell: Cell, terms: Terms) -> _Process:
    folder = terms.scratch / cell.id
    folder.mkdir()
    # whole paths, so that a task which changes its working directory still finds them
    data = terms.data.resolve() if terms.data else None
    arguments = (cell.to_json(), folder.resolve(), data, cell.seed in terms.keep_seeds)
    fresh = _is_exclusive(cell)
    context: Any = FRESH if fresh else FORKED
    process = context.Process(target=serve, args=arguments)
    with _uninterrupted(), _threads(cell.threads if fresh else 1):
        process.start()
    return _Process(cell, process, folder, time.monotonic())


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
    """Processes started here find so many threads in their environment; the cell says how many torch then takes."""
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


def _poll(running: _Process, timeout: float) -> Ended | None:
    """What came of a process; None while it is at work and has time left."""
    duration = running.age
    status = running.process.exitcode
    # None while the process is alive
    if status is None:
        if duration < timeout:
            return None
        running.kill()
        return Ended(running.cell, {"outcome": "timeout", "reason": f"killed after {timeout:g} s"}, duration)
    running.process.close()
    result = running.folder / RESULT
    # a process can also end in order without having come to its result, by os._exit for one
    if status != 0 or not result.exists():
        return Ended(running.cell, _explain_death(status, running.folder), duration)
    arrays = running.folder / ARRAYS
    kept = running.folder / KEPT
    return Ended(
        running.cell,
        json.loads(result.read_text()),
        duration,
        arrays=arrays if arrays.exists() else None,
        kept=kept if kept.exists() else None,
    )


def _explain_death(status: int, folder: Path) -> dict[str, Any]:
    """The outcome of a process that left no result, from its exit status and the end of its output."""
    log = folder / LOG
    output = log.read_text(errors="replace")[-LOG_TAIL:] if log.exists() else ""
    if status == -signal.SIGKILL:
        reason = "killed by signal 9, which is most often the system's answer to a lack of memory"
        return {"outcome": "out-of-memory", "reason": reason, "traceback": output}
    how = f"ended with status {status}"
    if status < 0:
        how = f"killed by {signal.Signals(-status).name}"
    return {"outcome": "failed", "reason": f"process {how} without a result", "traceback": output}
