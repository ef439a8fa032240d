"""The process of one cell: reads it from standard input, runs it, leaves its result in a folder.

Started by `bench.run.pool`; standard input stays open as long as the driver lives, so a killed driver leaves no orphan.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, TextIO

from bench.cell import Cell
from bench.errors import Diverged, UserError

RESULT, ARRAYS, KEPT = "result.json", "arrays.npz", "kept.npz"
ORPHANED = 75  # exit status after the driver is gone


def main() -> None:
    """Read {"cell", "folder", "data", "keep"} from one line; write RESULT and, if any, ARRAYS into the folder.

    With "keep", what the metrics compared is written to KEPT as well.
    """
    # a descriptor of its own: who captures standard input, as pytest does, must not look like the driver's end
    stream = os.fdopen(os.dup(sys.stdin.fileno()))
    request = json.loads(stream.readline())
    threading.Thread(target=_die_with_driver, args=(stream,), daemon=True).start()
    folder = Path(request["folder"])
    data = Path(request["data"]) if request["data"] else None
    result = attempt(Cell.from_json(request["cell"]), data, folder, request["keep"])
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

    import numpy as np

    from bench.run.kept import write_kept
    from bench.tasks import TASKS

    settle(cell)
    result = TASKS.build(cell.task.name, **cell.task.options).run(cell, data)
    if result.arrays:
        np.savez_compressed(folder / ARRAYS, **result.arrays)
    if keep and result.compared:
        write_kept(folder / KEPT, result.compared, result.facts)
    return {
        "measurements": [dataclasses.asdict(measurement) for measurement in result.measurements],
        "raw": dict(result.raw),
    }


def settle(cell: Cell) -> None:
    """Bring torch into the state in which the cell's arithmetic repeats to the bit."""
    import torch

    torch.set_num_threads(cell.threads)
    torch.manual_seed(cell.seed)
    if cell.device == "cuda":  # on the CPU a fixed number of threads is enough, and this call costs seconds to import
        torch.use_deterministic_algorithms(True)
        # a guard for debugging, which would cost a write an allocation
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _die_with_driver(stream: TextIO) -> None:
    stream.read()
    os._exit(ORPHANED)


if __name__ == "__main__":
    main()
