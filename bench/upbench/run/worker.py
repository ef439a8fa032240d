"""The process of one cell, started by an executor: it runs the cell and leaves its result in a folder."""

from __future__ import annotations

import json
import os
import threading
import traceback
from multiprocessing import parent_process
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from upbench.cell import Cell
from upbench.errors import Diverged, UserError
from upbench.store.machine import conditions

LOG, RESULT, ARRAYS, KEPT = "log.txt", "result.json", "arrays.npz", "kept.npz"
ORPHANED = 75  # exit status after the driver is gone


def serve(cell: dict[str, Any], folder: Path, data: Path | None, keep: bool) -> None:
    """Run a cell and die with the process that started this one.

    Args:
        cell: the cell as JSON.
        folder: where LOG, RESULT and, if there are any, ARRAYS are written.
        data: the folder of data sets, if one was named.
        keep: whether what the metrics compared is written to KEPT as well.
    """
    # by descriptor, not sys.stdout: what libraries written in C print belongs there too
    with (folder / LOG).open("w") as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
    threading.Thread(target=_die_with_driver, daemon=True).start()
    result = attempt(Cell.from_json(cell), data, folder, keep)
    (folder / RESULT).write_text(json.dumps(result))


def attempt(cell: Cell, data: Path | None, folder: Path, keep: bool) -> dict[str, Any]:
    """Run a cell and say how it ended, as fields of a `Record`."""
    import torch

    try:
        return {"outcome": "ok", **run(cell, data, folder, keep)}
    except Diverged as error:
        return {"outcome": "diverged", "reason": str(error)}
    except (MemoryError, torch.OutOfMemoryError) as error:
        return {"outcome": "out-of-memory", "reason": str(error) or "MemoryError", "traceback": traceback.format_exc()}
    except UserError as error:
        # the reason says all; a traceback would say where the suite noticed it
        return {"outcome": "failed", "reason": str(error)}
    except Exception as error:
        # CPU allocation failures have no class of their own
        outcome = "out-of-memory" if "DefaultCPUAllocator" in str(error) else "failed"
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        return {"outcome": outcome, "reason": reason, "traceback": traceback.format_exc()}


def run(cell: Cell, data: Path | None, folder: Path, keep: bool) -> dict[str, Any]:
    """The cell's measurements and what belongs to them, as fields of a `Record`."""
    import dataclasses
    import time

    import numpy as np

    from upbench.store.kept import write_kept
    from upbench.tasks.settled import run_settled

    # taken outside of the clock: asking a GPU's driver takes tenths of a second
    before = conditions()
    began = time.perf_counter()
    result = run_settled(cell, data)
    computing = time.perf_counter() - began
    if result.arrays:
        np.savez_compressed(folder / ARRAYS, allow_pickle=False, **result.arrays)
    if keep and result.compared:
        write_kept(folder / KEPT, result.compared, result.facts)
    return {
        "computing": round(computing, 3),
        "conditions": {"before": before, "after": conditions()},
        "measurements": [dataclasses.asdict(measurement) for measurement in result.measurements],
        "raw": dict(result.raw),
    }


def _die_with_driver() -> None:
    driver = parent_process()
    # None where a test calls this in its own process
    if driver is not None:
        wait([driver.sentinel])
        os._exit(ORPHANED)
