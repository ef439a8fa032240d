"""The state of the process in which a cell's arithmetic repeats to the bit, and how a cell is run in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from upbench.cell import Cell
from upbench.tasks import TASKS

if TYPE_CHECKING:
    from upbench.tasks.base import Result


def run_settled(cell: Cell, folder: Path | None) -> Result:
    """Run the cell's task in the settled state.

    Args:
        cell: what is run.
        folder: where the data of the user's lie, if the cell's data need it.

    Returns:
        What the task leaves: the same bits for the same cell on the same machine, measured times aside.
    """
    with settled(cell):
        # built in here: what the task's module loads on import then meets the same limits in every caller
        task = TASKS.build(cell.task.name, **cell.task.options)
        return task.run(cell, folder)


@contextmanager
def settled(cell: Cell) -> Iterator[None]:
    """Bring torch and NumPy into the state in which the cell's arithmetic repeats to the bit.

    The threads, the seed of torch's random numbers and, on a GPU, its deterministic algorithms are the cell's within
    the block. Threads and algorithms are what they were before after it; the random numbers go on from where they are.

    Args:
        cell: the cell whose seed, device and number of threads are taken.
    """
    import torch
    from threadpoolctl import threadpool_limits

    threads_before = torch.get_num_threads()
    deterministic_before = torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(cell.threads)
    torch.manual_seed(cell.seed)
    # on the CPU a fixed number of threads is enough, and the call costs seconds of imports
    if cell.device == "cuda":
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # read when CUDA starts, which is not before this
        torch.use_deterministic_algorithms(True)
        # a guard for debugging, which would cost a write an allocation
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        with threadpool_limits(cell.threads):  # the matrix products of NumPy depend on it
            yield
    finally:
        torch.set_num_threads(threads_before)
        if torch.are_deterministic_algorithms_enabled() != deterministic_before:
            torch.use_deterministic_algorithms(deterministic_before)
