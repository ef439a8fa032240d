"""The cells of a gate's grid made ready to be timed in one process, beside torch's own transposed convolution."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from bench.cell import Cell, distinguish
from bench.errors import UserError

MODES = ("forward", "train")
ANCHOR_CHANNELS, ANCHOR_SIDE, ANCHOR_BATCH = 32, 32, 1


class Subjects:
    """Steps by cell and mode; a network is built when it is first asked for.

    timed: cells of the task `speed`; the others train something tiny, for figures that depend on the seed alone.
    Raises UserError for cells that one process cannot time side by side: other threads or another device.
    """

    def __init__(self, cells: dict[str, Cell]) -> None:
        self.cells = cells
        self.timed = [cell for cell in cells.values() if cell.task.name == "speed"]
        self._ready: dict[str, Any] = {}
        if not cells:
            raise UserError("there is no cell to record")
        for key in ("threads", "device"):
            values = sorted({str(getattr(cell, key)) for cell in cells.values()})
            if len(values) > 1:
                raise UserError(f"cells of one process must share {key}, got {', '.join(values)}")

    @cached_property
    def names(self) -> dict[str, str]:
        """What tells each cell from the others, by id."""
        return distinguish(self.cells)

    def step(self, cell: Cell | None, mode: str) -> Callable[[], object]:
        """The forward pass or the training step of a cell; those of the anchor if cell is None."""
        key = "" if cell is None else cell.id
        if key not in self._ready:
            self._ready[key] = self._anchor() if cell is None else self.prepare(cell)
        return getattr(self._ready[key], mode)

    def prepare(self, cell: Cell) -> Any:
        import torch

        from bench.tasks.speed import prepare

        torch.set_num_threads(cell.threads)
        return prepare(cell)

    def _anchor(self) -> Any:
        """torch's own 4x4 transposed convolution: nothing in the suite can make it slower."""
        import torch

        from bench.models.single import Single
        from bench.tasks.speed import Subject, forward_pass, training_step

        cell = next(iter(self.cells.values()))
        torch.set_num_threads(cell.threads)

        def up(in_channels: int, out_channels: int, *, dims: int = 2) -> torch.nn.Module:
            return torch.nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1, bias=False)

        network = Single(up, ANCHOR_CHANNELS, ANCHOR_CHANNELS, ANCHOR_SIDE).to(cell.device)
        x = torch.randn(ANCHOR_BATCH, ANCHOR_CHANNELS, ANCHOR_SIDE, ANCHOR_SIDE, device=cell.device)
        return Subject(cell, network, x, forward_pass(network, x, cell), training_step(network, x, cell))
