"""The process of one cell, started by `bench.run.pool`: runs the cell and leaves its result in a folder."""

from __future__ import annotations

import json
import os
import threading
import traceback
from multiprocessing import parent_process
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from bench.cell import Cell
from bench.errors import Diverged, UserError
from bench.run.machine import conditions

LOG, RESULT, ARRAYS, KEPT = "log.txt", "result.json", "arrays.npz", "kept.npz"
ORPHANED = 75  # exit status after the driver is gone


def serve(cell: dict[str, Any], folder: Path, data: Path | None, keep: bool) -> None:
    """Run the cell of this JSON; write LOG, RESULT and, if any, ARRAYS into the folder.

    With `keep`, what the metrics compared is written to KEPT as well. Dies with the process that started it.
    """
    with (folder / LOG).open("w") as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
    threading.Thread(target=_die_with_driver, daemon=True).start()
    result = attempt(Cell.from_json(cell), data, folder, keep)
    (folder / RESULT).write_text(json.dumps(result))


def attempt(cell: Cell, data: Path | None, folder: Path, keep: bool) -> dict[str, Any]:
    """Run the cell and say how it ended, as the fields of a stored record."""
    import torch

    try:
        return {"outcome": "ok", **run(cell, data, folder, keep)}
    except Diverged as error:
        return {"outcome": "diverged", "reason": str(error)}
    except (MemoryError, torch.OutOfMemoryError) as error:
        return {"outcome": "out-of-memory", "reason": str(error) or "MemoryError", "traceback": traceback.format_exc()}
    except UserError as error:
        return {"outcome": "failed", "reason": str(error)}
    except Exception as error:
        # CPU allocation failures have no class of their own
        outcome = "out-of-memory" if "DefaultCPUAllocator" in str(error) else "failed"
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        return {"outcome": outcome, "reason": reason, "traceback": traceback.format_exc()}


def run(cell: Cell, data: Path | None, folder: Path, keep: bool) -> dict[str, Any]:
    """The cell's measurements, bit-identical for the same cell on the same machine, times aside."""
    import dataclasses
    import time

    import numpy as np
    from threadpoolctl import threadpool_limits

    from bench.run.kept import write_kept
    from bench.tasks import TASKS

    settle(cell)
    before = conditions()
    began = time.perf_counter()
    with threadpool_limits(cell.threads):  # the matrix products of NumPy depend on it
        result = TASKS.build(cell.task.name, **cell.task.options).run(cell, data)
    computing = time.perf_counter() - began
    if result.arrays:
        np.savez_compressed(folder / ARRAYS, **result.arrays)
    if keep and result.compared:
        write_kept(folder / KEPT, result.compared, result.facts)
    return {
        "computing": round(computing, 3),
        "conditions": {"before": before, "after": conditions()},
        "measurements": [dataclasses.asdict(measurement) for measurement in result.measurements],
        "raw": dict(result.raw),
    }


def settle(cell: Cell) -> None:
    """Bring torch into the state in which the cell's arithmetic repeats to the bit."""
    import torch

    torch.set_num_threads(cell.threads)
    torch.manual_seed(cell.seed)
    if cell.device == "cuda":  # on the CPU a fixed number of threads is enough, and this call costs seconds to import
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # read when CUDA starts, which is not before this
        torch.use_deterministic_algorithms(True)
        # a guard for debugging, which would cost a write an allocation
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _die_with_driver() -> None:
    driver = parent_process()
    if driver is not None:
        wait([driver.sentinel])
        os._exit(ORPHANED)
