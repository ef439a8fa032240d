"""The cells of a gate's grid made ready to be timed in one process, beside torch's own transposed convolution."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from upbench.cell import Cell
from upbench.errors import UserError
from upbench.labels import label_cells

if TYPE_CHECKING:
    from torch import nn

    from upbench.tasks.speed import Subject

MODES = ("forward", "train")
ANCHOR_CHANNELS, ANCHOR_SIDE, ANCHOR_BATCH = 32, 32, 1


class Subjects:
    """Steps by cell and mode; a network is built when it is first asked for.

    Attributes:
        cells: what is recorded, by id.
        timed: the cells of the task `speed`. The others train something tiny, for figures that depend on the seed
            alone.
    """

    def __init__(self, cells: dict[str, Cell]) -> None:
        """Take the cells of one process.

        Raises UserError for cells that one process cannot time side by side: other threads or another device.
        """
        self.cells = cells
        self.timed = [cell for cell in cells.values() if cell.task.name == "speed"]
        self._ready: dict[str, Subject] = {}
        if not cells:
            raise UserError("there is no cell to record")
        for key in ("threads", "device"):
            values = {str(getattr(cell, key)) for cell in cells.values()}
            if len(values) > 1:
                found = ", ".join(sorted(values))
                raise UserError(f"cells of one process must share {key}, got {found}")

    @cached_property
    def names(self) -> dict[str, str]:
        """What tells each cell from the others, by id."""
        return label_cells(self.cells)

    def step(self, cell: Cell | None, mode: str) -> Callable[[], object]:
        """The forward pass or the training step of a cell; those of the anchor if `cell` is None."""
        key = "" if cell is None else cell.id
        # built once a process: the turns of all blocks time the same network
        if key not in self._ready:
            self._ready[key] = self._prepare_anchor() if cell is None else self.prepare(cell)
        return getattr(self._ready[key], mode)

    def prepare(self, cell: Cell) -> Subject:
        """Build the network of a timed cell, in a process with the cell's number of threads."""
        import torch

        from upbench.tasks.speed import prepare_subject

        torch.set_num_threads(cell.threads)
        return prepare_subject(cell)

    def _prepare_anchor(self) -> Subject:
        """torch's own 4x4 transposed convolution: nothing in the suite can make it slower."""
        import torch

        from upbench.models.single import Single
        from upbench.tasks.speed import Subject, make_forward_pass, make_training_step

        # all cells share threads and device, so any of them tells both
        cell = next(iter(self.cells.values()))
        torch.set_num_threads(cell.threads)

        def up(in_channels: int, out_channels: int, *, dims: int = 2) -> nn.Module:
            """What the network asks for; it never asks for other dimensions than 2."""
            return torch.nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1, bias=False)

        network = Single(up, ANCHOR_CHANNELS, ANCHOR_CHANNELS, ANCHOR_SIDE)
        network = network.to(cell.device)
        x = torch.randn(ANCHOR_BATCH, ANCHOR_CHANNELS, ANCHOR_SIDE, ANCHOR_SIDE, device=cell.device)
        forward = make_forward_pass(network, x, cell)
        train = make_training_step(network, x, cell)
        return Subject(cell, network, x, forward, train)
