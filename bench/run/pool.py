"""Runs cells, each in a process of its own, a few at a time."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Container, Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.cell import Cell
from bench.run.worker import ARRAYS, KEPT, RESULT

POLL = 0.05  # seconds between two looks at the processes
LOG_TAIL = 4000  # characters of a dead worker's output that are kept


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
    process: subprocess.Popen[str]
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


def _start(cell: Cell, scratch: Path, data: Path | None, keep_seeds: Container[int]) -> _Running:
    folder = scratch / cell.id
    folder.mkdir()
    threads = {name: str(cell.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.run.worker"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **threads, "CUBLAS_WORKSPACE_CONFIG": ":4096:8"},
            start_new_session=True,  # Ctrl-C reaches the driver alone, which then ends its workers
        )
    assert process.stdin is not None
    request = {
        "cell": cell.to_json(),
        "folder": str(folder.resolve()),
        "data": str(data.resolve()) if data else None,
        "keep": cell.seed in keep_seeds,
    }
    with contextlib.suppress(BrokenPipeError):  # it died at once; _poll says how
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
    return _Running(cell, process, folder, time.monotonic())


def _poll(running: _Running, timeout: float) -> Ended | None:
    duration = time.monotonic() - running.started
    status = running.process.poll()
    if status is None:
        if duration < timeout:
            return None
        _kill(running)
        return Ended(running.cell, {"outcome": "timeout", "reason": f"killed after {timeout:g} s"}, duration)
    assert running.process.stdin is not None
    running.process.stdin.close()
    result = running.folder / RESULT
    if status == 0 and result.exists():
        arrays, kept = (path if path.exists() else None for path in (running.folder / ARRAYS, running.folder / KEPT))
        return Ended(running.cell, json.loads(result.read_text()), duration, arrays, kept)
    return Ended(running.cell, _post_mortem(status, running.folder), duration)


def _post_mortem(status: int, folder: Path) -> dict[str, Any]:
    log = (folder / "log.txt").read_text(errors="replace")[-LOG_TAIL:]
    if status == -signal.SIGKILL:
        reason = "killed by signal 9, which is most often the system's answer to a lack of memory"
        return {"outcome": "out-of-memory", "reason": reason, "traceback": log}
    how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
    return {"outcome": "failed", "reason": f"process {how} without a result", "traceback": log}


def _kill(running: _Running) -> None:
    running.process.kill()
    running.process.wait()
    assert running.process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        running.process.stdin.close()
